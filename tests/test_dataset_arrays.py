from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from dataset_samples import RNG, arrays, codes, everything, run, spec, tensor

from edgepack.errors import DatasetError
from edgepack.records.dataset import SPLITS, Preprocess

X = RNG.random((6, 4), dtype=np.float32)
Y = np.array([0, 1, 2, 0, 1, 2])


def _save(root, **columns):
    np.savez(root / "data.npz", **columns)


def _by_label(samples, name="x"):
    values, labels = arrays(samples, name)
    return {int(label): value.tolist() for value, label in zip(values, labels, strict=True)}


@pytest.mark.parametrize("label", ["label", "labels", "y"])
def test_labels_go_with_their_rows(tmp_path, label):
    _save(tmp_path, x=X, **{label: np.arange(6)})
    samples = run(spec("arrays", "data.npz"), tmp_path, tensor((4,)))
    assert _by_label(samples) == dict(enumerate(X.tolist()))
    assert samples.classes == tuple("012345")


def test_the_spec_names_array_and_labels(tmp_path):
    _save(tmp_path, pictures=X, other=X[::-1], kind=Y)
    dataset = spec("arrays", "data.npz", x={"array": "pictures"}, labels="kind")
    samples = run(dataset, tmp_path, tensor((4,)))
    values, labels = arrays(samples)
    assert sorted(values.tolist()) == sorted(X.tolist())
    assert sorted(labels.tolist()) == sorted(Y.tolist())


def test_a_npy_file_has_one_array_and_no_labels(tmp_path):
    np.save(tmp_path / "data.npy", X)
    values, labels = arrays(run(spec("arrays", "data.npy", task="none"), tmp_path, tensor((4,))))
    assert sorted(values.tolist()) == sorted(X.tolist())
    assert labels is None


def test_each_input_of_a_model_has_its_array(tmp_path):
    a, b = X, RNG.random((6, 2), dtype=np.float32)
    _save(tmp_path, a=a, b=b, y=np.arange(6))
    dataset = spec("arrays", "data.npz", inputs={"b": Preprocess(scale=2.0)})
    samples = run(dataset, tmp_path, tensor((4,), name="a"), tensor((2,), name="b"))
    assert _by_label(samples, "a") == dict(enumerate(a.tolist()))
    assert _by_label(samples, "b") == dict(enumerate((b * 2).tolist()))


def test_dimensions_of_one_may_come_and_go(tmp_path):
    _save(tmp_path, x=X.reshape(6, 2, 2), y=Y)
    values, _ = arrays(run(spec("arrays", "data.npz"), tmp_path, tensor((1, 2, 2, 1))))
    assert values.shape == (6, 1, 2, 2, 1)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [(Y.reshape(6, 1), Y), (Y.astype(np.float32), Y), (Y.astype(np.uint8), Y)],
)
def test_class_indices_may_be_stored_in_other_ways(tmp_path, labels, expected):
    _save(tmp_path, x=X, y=labels)
    _, found = arrays(run(spec("arrays", "data.npz"), tmp_path, tensor((4,))))
    assert found.shape == (6,)
    assert sorted(found.tolist()) == sorted(expected.tolist())


def test_labels_of_a_segmentation_are_kept_whole(tmp_path):
    masks = RNG.integers(0, 3, (6, 2, 2))
    masks[:, 0, 0] = np.arange(6)
    _save(tmp_path, x=X, y=masks)
    values, found = arrays(
        run(spec("arrays", "data.npz", task="segmentation"), tmp_path, tensor((4,)))
    )
    for value, mask in zip(values, found, strict=True):
        row = X.tolist().index(value.tolist())
        np.testing.assert_array_equal(mask, masks[row])


def test_targets_of_a_regression_are_floats(tmp_path):
    _save(tmp_path, x=X, y=X.sum(axis=1))
    values, found = arrays(
        run(spec("arrays", "data.npz", task="regression"), tmp_path, tensor((4,)))
    )
    np.testing.assert_allclose(values.sum(axis=1), found, rtol=1e-6)


def test_integers_that_do_not_fit_are_an_error(tmp_path):
    _save(tmp_path, x=np.array([[1, 300], [2, 3]]), y=np.array([0, 1]))
    dataset = spec("arrays", "data.npz", x={"dtype": "uint8"})
    with pytest.raises(DatasetError, match=r"one sample .* holds values that the input's type"):
        run(dataset, tmp_path, tensor((2,), "uint8"))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("dtype", "problem"), [("float32", "NaN or infinity"), ("int8", "cannot")])
def test_nan_and_infinity_are_an_error_for_any_input(tmp_path, bad, dtype, problem):
    broken = X.copy()
    broken[3, 1] = bad
    _save(tmp_path, x=broken, y=Y)
    dataset = spec("arrays", "data.npz", x={"dtype": dtype})
    with pytest.raises(DatasetError, match=rf"one sample of evaluate .*{problem}\n +3"):
        run(dataset, tmp_path, tensor((4,), dtype))


def _objects():
    return np.array([{"a": 1}] * 6, dtype=object)


@pytest.mark.parametrize(
    ("columns", "fields", "shape", "message"),
    [
        ({"x": _objects(), "y": Y}, {}, (4,), r"not a readable .*\n.*without object arrays"),
        ({"x": X}, {}, (4,), r"has no array 'label' with labels\n.*Its arrays: x\..*\"none\""),
        ({"x": X, "y": Y}, {"labels": "kind"}, (4,), "has no array 'kind'"),
        ({"a": X, "b": X, "y": Y}, {}, (4,), r"no array 'x' for the input 'x'\n.*: a, b, y\. Set"),
        ({"a": X, "y": Y}, {"x": {"array": "c"}}, (4,), "has no array 'c' for the input 'x'"),
        ({"x": X, "y": Y[:4]}, {}, (4,), "differ in their first dimension: .*'x': 6, 'labels': 4"),
        ({"x": X, "y": Y - 1}, {}, (4,), r"labels run from -1 to 1\n"),
        ({"x": X, "y": Y}, {"classes": ("a", "b")}, (4,), "run from 0 to 2, classes from 0 to 1"),
        ({"x": X, "y": Y + 0.5}, {}, (4,), "'y' holds float64, not class indices"),
        ({"x": X, "y": Y * np.nan}, {}, (4,), "'y' holds NaN or infinity"),
        ({"x": X, "y": Y.astype("U1")}, {}, (4,), r"'y' holds str\d+, not numbers"),
        ({"x": X, "y": np.eye(6)}, {}, (4,), r"shape \[6, 6\], class .*\n.*store the argmax"),
        ({"x": X, "y": Y}, {}, (5,), r"3: a sample of shape \[4\] does not fit|shape \[4\]"),
        ({"x": X.astype("U4"), "y": Y}, {}, (4,), r"samples of str\d+ cannot feed the input 'x'"),
        ({"x": X, "y": Y + 10**9}, {}, (4,), r"labels run up to 1000000002: that is no class"),
        ({"x": np.float32(1), "y": Y}, {}, (4,), "the array for 'x' is a single number"),
        ({"x": X[:0], "y": Y[:0]}, {}, (4,), "evaluate has no sample"),
    ],
)
def test_what_is_wrong_with_arrays_is_said(tmp_path, columns, fields, shape, message):
    _save(tmp_path, **columns)
    with pytest.raises(DatasetError, match=message):
        run(spec("arrays", "data.npz", **fields), tmp_path, tensor(shape))


def _half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "change",
    [
        _half,
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\3\4" + bytes(50)),
        lambda path: path.write_text("x,y\n1,2\n"),
    ],
)
def test_a_file_that_is_no_array_is_named(tmp_path, change):
    _save(tmp_path, x=X, y=Y)
    change(tmp_path / "data.npz")
    with pytest.raises(DatasetError, match=r"data\.npz: not a readable \.npy or \.npz file"):
        run(spec("arrays", "data.npz"), tmp_path, tensor((4,)))


@pytest.mark.parametrize(
    ("inputs", "model", "message"),
    [
        (
            {"image": Preprocess()},
            [tensor((4,))],
            r"the model has no input 'image'\n.*Its inputs: x\. Rename \[inputs\.image\]",
        ),
        (
            {"x": Preprocess(dtype="uint8")},
            [tensor((4,))],
            r"the input 'x' is float32, the spec makes uint8\n.*inputs\.x\.dtype = \"float32\"",
        ),
        (
            {"x": Preprocess(dtype="string")},
            [tensor((4,), "resource")],
            "'x' takes resource: samples",
        ),
    ],
)
def test_inputs_that_are_not_the_models_are_refused(tmp_path, inputs, model, message):
    _save(tmp_path, x=X, y=Y)
    with pytest.raises(DatasetError, match=message):
        run(spec("arrays", "data.npz", inputs=inputs), tmp_path, *model)


@pytest.mark.parametrize("kind", ["image-folder", "image-list", "audio"])
def test_files_feed_one_input_only(tmp_path, kind):
    with pytest.raises(DatasetError, match=f"kind {kind} feeds one input, and the model has a, b"):
        run(spec(kind, inputs={}), tmp_path, tensor((4,), name="a"), tensor((4,), name="b"))


def _table(root, text):
    (root / "data.csv").write_text(text, encoding="utf-8")


COLUMNS = {"columns": ("b", "a")}


def test_columns_make_the_input_in_their_order(tmp_path):
    _table(tmp_path, "\ufeffa,b,label\n1,2.5,0\n\n-3,4e1,1\n")
    dataset = spec("table", "data.csv", x={**COLUMNS, "scale": 2.0})
    samples = run(dataset, tmp_path, tensor((2,)))
    assert _by_label(samples) == {0: [5.0, 2.0], 1: [80.0, -6.0]}


def test_each_input_has_its_columns(tmp_path):
    _table(tmp_path, "a,b,c,label\n1,2,3,0\n4,5,6,1\n")
    inputs = {"left": Preprocess(columns=("c",)), "right": Preprocess(columns=("a", "b"))}
    samples = run(
        spec("table", "data.csv", inputs=inputs),
        tmp_path,
        tensor((2,), name="right"),
        tensor((1,), name="left"),
    )
    assert _by_label(samples, "left") == {0: [3.0], 1: [6.0]}
    assert _by_label(samples, "right") == {0: [1.0, 2.0], 1: [4.0, 5.0]}


def test_labels_may_be_names_and_are_sorted(tmp_path):
    _table(tmp_path, "a,b,label\n1,2,dog\n3,4,cat\n")
    samples = run(spec("table", "data.csv", inputs={"*": Preprocess(**COLUMNS)}), tmp_path, X_IN)
    assert samples.classes == ("cat", "dog")
    assert _by_label(samples) == {1: [2.0, 1.0], 0: [4.0, 3.0]}


X_IN = tensor((2,))


def test_a_regression_reads_numbers(tmp_path):
    _table(tmp_path, "a,b,price\n1,2,0.5\n3,4,1e3\n")
    dataset = spec("table", "data.csv", x=COLUMNS, task="regression", labels="price")
    _, labels = arrays(run(dataset, tmp_path, X_IN))
    assert labels.dtype == np.float32
    assert sorted(labels.tolist()) == [0.5, 1000.0]


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("a,label\n1,0\n", {}, r"data\.csv:2: has no column 'b'\n.*Its columns: a, label"),
        ("a,b\n1,0\n", {}, r"data\.csv:2: has no column 'label'"),
        ("a,b,label\n1,2,0\n1,x,0\n", {}, r"data\.csv:3: 'x' in column b is not a number"),
        ("a,b,label\n1,,0\n", {}, r"data\.csv:2: '' in column b is not a number"),
        ("a,b,label\n1,nan,0\n", {}, r"data\.csv:2: 'nan' in column b is not a number"),
        ("a,b,label\n1,2\n", {}, r"data\.csv:2: has another number of cells"),
        ("a,b,label\n1,2,2\n", {"classes": ("n", "y")}, r"data\.csv:2: '2' is not among"),
        ("a,b,label\n1,2,-1\n3,4,0\n", {"classes": ("0", "1")}, r"csv:2: '-1' is not among"),
        ("a,b,label\n1,2,x\n", {"task": "regression"}, "'x' in column label is not a number"),
        ("a,b,label\n", {}, "holds no sample of kind table"),
        ("", {}, "holds no sample of kind table"),
        ('a,b,label\n"1,2,0\n', {}, "not a readable CSV file: unexpected end"),
        ("a,b,label\n1,2,0\n3,4,1\n", {"x": {}}, r"kind table needs inputs\.x\.columns"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, fields, message):
    _table(tmp_path, text)
    with pytest.raises(DatasetError, match=message):
        run(spec("table", "data.csv", **({"x": COLUMNS} | fields)), tmp_path, X_IN)


def test_a_table_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "data.csv").write_bytes("a,b,label\n1,2,\xe4\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="not a readable CSV file: 'utf-8' codec"):
        run(spec("table", "data.csv", x=COLUMNS), tmp_path, X_IN)


def _function(root, monkeypatch, name, body):
    (root / f"{name}.py").write_text(f"import numpy as np\n\n\ndef samples():\n{body}")
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return spec("function", "", function=f"{name}:samples", inputs={})


def test_a_function_yields_inputs_by_name_and_a_label(tmp_path, monkeypatch):
    dataset = _function(
        tmp_path,
        monkeypatch,
        "yields_dicts",
        """\
    for n in range(5):
        yield {'a': np.full(3, n, np.float32), 'b': np.float32([n * 2])}, n
""",
    )
    samples = run(dataset, tmp_path, tensor((3,), name="a"), tensor((1,), name="b"))
    assert _by_label(samples, "a") == {n: [n] * 3 for n in range(5)}
    assert _by_label(samples, "b") == {n: [n * 2] for n in range(5)}


def test_a_function_may_yield_plain_arrays(tmp_path, monkeypatch):
    body = "    return [np.arange(n, n + 3, dtype=np.float32) for n in range(5)]\n"
    dataset = _function(tmp_path, monkeypatch, "plain_arrays", body)
    dataset = dataset.model_copy(update={"task": "none"})
    values, labels = arrays(run(dataset, tmp_path, tensor((3,))))
    assert sorted(values[:, 0].tolist()) == [0, 1, 2, 3, 4]
    assert labels is None


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("raises", "    raise KeyError('gone')\n", "raises:samples failed: KeyError: 'gone'"),
        ("empty", "    return []\n", "empty:samples yielded no sample"),
        (
            "ragged",
            "    yield np.zeros(3), 0\n    yield np.zeros(4), 1\n",
            "yielded samples of different shapes",
        ),
        ("none_at_all", "    return None\n", "failed: TypeError"),
        ("unlabelled", "    yield np.zeros(3)\n", "has no array 'label' with labels"),
        (
            "half_labelled",
            "    yield np.zeros(3), 0\n    yield np.ones(3), None\n",
            "differ in their first dimension",
        ),
        (
            "label_too_late",
            "    yield np.zeros(3), None\n    yield np.ones(3), 1\n",
            "yielded 'label' with sample 1, but not with each before it",
        ),
        (
            "of_two_types",
            "    yield np.zeros(3, int), 0\n    yield np.ones(3), 1\n",
            r"yielded 'x' as float64 in sample 1, as int64 in the first\n.*one type",
        ),
        ("of_three", "    yield 1, 2, 3\n", r"yielded 3 values as sample 0\n.*\(inputs, label\)"),
        ("exits", "    raise SystemExit(3)\n", "exits:samples failed: SystemExit: 3"),
        ("object_made", "    yield np.array([None]), 0\n", "NoneType objects are neither"),
    ],
)
def test_what_is_wrong_with_a_function_is_said(tmp_path, monkeypatch, name, body, message):
    dataset = _function(tmp_path, monkeypatch, name, body)
    with pytest.raises(DatasetError, match=message):
        run(dataset, tmp_path, tensor((3,)))


def test_a_function_is_called_once(tmp_path, monkeypatch):
    body = """\
    with open(__file__ + '.calls', 'a') as file:
        file.write('called ')
    for n in np.random.permutation(200):
        yield np.full(3, n, np.float32), n
"""
    dataset = _function(tmp_path, monkeypatch, "counts_calls", body)
    dataset = dataset.model_copy(update={"splits": everything(calibrate=20, tune=0.1)})
    samples = run(dataset, tmp_path, tensor((3,)))
    assert (tmp_path / "counts_calls.py.calls").read_text() == "called "
    for split in SPLITS:
        values, labels = arrays(samples, split=split)
        np.testing.assert_array_equal(values[:, 0], labels)


def test_what_was_unpacked_does_not_stay(tmp_path):
    _save(tmp_path, x=X, y=Y)
    run(spec("arrays", "data.npz"), tmp_path, tensor((4,)))
    found = sorted(path.name for path in (tmp_path / "_prepared").iterdir())
    assert found == ["evaluate-0.npy", "evaluate-labels.npy"]


def test_arrays_that_nothing_uses_may_be_anything(tmp_path):
    _save(tmp_path, x=X, y=Y, mean=np.zeros(2), notes=_objects())
    assert run(spec("arrays", "data.npz"), tmp_path, tensor((4,))).splits["evaluate"].samples == 6


def test_an_array_that_claims_more_than_it_holds_takes_no_memory(tmp_path):
    header = io.BytesIO()
    described = {"descr": "<f4", "fortran_order": False, "shape": (10**12, 4)}
    np.lib.format.write_array_header_1_0(header, described)
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(64))
    with pytest.raises(DatasetError, match="not a readable"):
        run(spec("arrays", "data.npz", task="none"), tmp_path, tensor((4,)))


def test_whole_numbers_of_a_table_stay_exact(tmp_path):
    (tmp_path / "data.csv").write_text("a,label\n16777217,0\n16777219,1\n")
    dataset = spec("table", "data.csv", x={"columns": ["a"], "dtype": "int32"})
    assert _by_label(run(dataset, tmp_path, tensor((1,), "int32"))) == {
        0: [16777217],
        1: [16777219],
    }


@pytest.mark.parametrize("function", ["no_such_module:samples", "json:no_such_function"])
def test_a_function_that_is_not_there_is_named(tmp_path, function):
    dataset = spec("function", "", function=function)
    with pytest.raises(DatasetError, match=f"{function} failed: (ModuleNotFound|Attribute)Error"):
        run(dataset, tmp_path, tensor((3,)))


def test_samples_that_are_all_the_same_are_an_error(tmp_path):
    _save(tmp_path, x=np.tile(X[:1], (6, 1)), y=Y)
    with pytest.raises(DatasetError, match="all 6 samples of evaluate are the same"):
        run(spec("arrays", "data.npz"), tmp_path, tensor((4,)))


def test_duplicates_within_a_split_and_few_samples_are_noted(tmp_path):
    _save(tmp_path, x=X[[0, 1, 2, 3, 4, 0]], y=Y)
    samples = run(spec("arrays", "data.npz"), tmp_path, tensor((4,)))
    found = {lint.code: lint for lint in samples.lints}
    assert found["duplicate"].message.startswith("2 samples of evaluate are not the only ones")
    assert sorted(found["duplicate"].examples) == ["0", "5"]
    assert "accuracy of fewer than 100 say little" in found["few-samples"].message


def test_few_samples_to_calibrate_are_noted(tmp_path):
    _save(tmp_path, x=X, y=Y)
    dataset = spec("arrays", "data.npz", splits=everything(calibrate=2))
    samples = run(dataset, tmp_path, tensor((4,)))
    messages = [lint.message for lint in samples.lints if lint.code == "few-samples"]
    assert messages[0] == "calibrate has 2 samples: ranges of fewer than 10 say little"


def test_enough_different_samples_raise_no_lint(tmp_path):
    _save(tmp_path, x=RNG.random((150, 4), dtype=np.float32), y=np.arange(150) % 3)
    dataset = spec("arrays", "data.npz", splits=everything(calibrate=20, tune=20))
    assert codes(run(dataset, tmp_path, tensor((4,)))) == set()
