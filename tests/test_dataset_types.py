"""Inputs of every element type: strings kept byte for byte, numbers held exactly or refused."""

from __future__ import annotations

import numpy as np
import pytest
from dataset_samples import arrays, codes, everything, run, spec, tensor
from hypothesis import given
from hypothesis import strategies as st

from edgepack.datasets.preprocess import preprocess_sample
from edgepack.datasets.strings import encoded
from edgepack.errors import DatasetError
from edgepack.records.dataset import Preprocess, SplitSpec
from edgepack.records.tensors import Tensor

TEXT = {"dtype": "string"}
WORDS = ["a", "", "dé", "日本", "long enough to be the longest"]
BYTES = [word.encode() for word in WORDS]
NUMBERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
NUMBERS += ["bool", "float16", "float32", "float64"]


def _texts(samples, name="x", split="evaluate"):
    return arrays(samples, name, split)[0]


def _npz(root, **columns):
    np.savez(root / "data.npz", **columns)
    return "data.npz"


@pytest.mark.parametrize("values", [np.array(WORDS), np.array(BYTES), np.array(BYTES, "S900")])
def test_strings_of_an_array_become_utf8_of_the_longest_ones_width(tmp_path, values):
    dataset = spec("arrays", _npz(tmp_path, x=values), x=TEXT, task="none")
    samples = run(dataset, tmp_path, tensor((), "string"))
    found = _texts(samples)
    assert found.dtype == "S29"
    assert sorted(found.tolist()) == sorted(BYTES)
    ref = samples.splits["evaluate"].inputs["x"]
    assert (ref.dtype, ref.shape) == ("string", (5,))
    assert np.load(ref.path, mmap_mode="r").tolist() == found.tolist()


def test_bytes_that_are_no_text_are_kept(tmp_path):
    values = np.array([b"\xff\xfe", b"a\0b", b"\0\0x"])
    dataset = spec("arrays", _npz(tmp_path, x=values), x=TEXT, task="none")
    found = _texts(run(dataset, tmp_path, tensor((), "string")))
    assert sorted(found.tolist()) == sorted(values.tolist())


def test_several_strings_a_sample_keep_their_order(tmp_path):
    values = np.array([["a", "bb"], ["日本", ""], ["c", "a"]])
    dataset = spec("arrays", _npz(tmp_path, x=values), x=TEXT, task="none")
    found = _texts(run(dataset, tmp_path, tensor((2,), "string")))
    expected = [[b"a", b"bb"], ["日本".encode(), b""], [b"c", b"a"]]
    assert sorted(found.tolist()) == sorted(expected)


def test_a_shape_that_strings_do_not_have_is_refused(tmp_path):
    dataset = spec("arrays", _npz(tmp_path, x=np.array([["a", "b"]] * 3)), x=TEXT, task="none")
    with pytest.raises(DatasetError, match=r"shape \[2\] does not fit the input 'x'.*\[3\]"):
        run(dataset, tmp_path, tensor((3,), "string"))


def test_strings_and_numbers_feed_one_model_and_copies_are_found(tmp_path):
    path = _npz(tmp_path, user=np.array(["u", "v", "u"]), age=np.array([1, 2, 1]))
    inputs = {"user": Preprocess(dtype="string"), "age": Preprocess(dtype="int32")}
    samples = run(
        spec("arrays", path, inputs=inputs, task="none"),
        tmp_path,
        tensor((), "string", "user"),
        tensor((), "int32", "age"),
    )
    users, ages = (arrays(samples, name)[0].tolist() for name in ("user", "age"))
    assert sorted(zip(users, ages, strict=True)) == [(b"u", 1), (b"u", 1), (b"v", 2)]
    assert codes(samples) == {"duplicate", "few-samples"}


def test_what_is_looked_for_in_numbers_is_not_in_strings(tmp_path):
    values = np.array([["nan", "nan"], ["inf", "inf"], ["1e9", "1e9"]])
    dataset = spec("arrays", _npz(tmp_path, x=values), x=TEXT, task="none")
    assert codes(run(dataset, tmp_path, tensor((2,), "string"))) == {"few-samples"}


def test_content_is_the_same_whatever_the_width_of_its_array(tmp_path):
    np.savez(tmp_path / "one.npz", x=np.array(["same", "a much longer string"]))
    np.savez(tmp_path / "two.npz", x=np.array([b"same", b"other"]))
    splits = everything(calibrate=SplitSpec(path="two.npz"), evaluate=SplitSpec(path="one.npz"))
    dataset = spec("arrays", "", x=TEXT, task="none", splits=splits)
    with pytest.raises(DatasetError, match="one sample is in two splits by content"):
        run(dataset, tmp_path, tensor((), "string"))


def test_where_one_string_ends_is_part_of_the_content(tmp_path):
    values = np.array([["ab", "c"], ["a", "bc"]])
    dataset = spec("arrays", _npz(tmp_path, x=values), x=TEXT, task="none")
    assert "duplicate" not in codes(run(dataset, tmp_path, tensor((2,), "string")))


def test_a_table_feeds_strings_as_they_stand(tmp_path):
    text = 'id,title,n,label\n 007 ,"a, b",1,0\n8,,2,1\n9,NaN,3,0\n'
    (tmp_path / "data.csv").write_text(text)
    inputs = {
        "who": Preprocess(dtype="string", columns=("id", "title")),
        "n": Preprocess(columns=("n",)),
    }
    samples = run(
        spec("table", "data.csv", inputs=inputs),
        tmp_path,
        tensor((2,), "string", "who"),
        tensor((1,), name="n"),
    )
    who, _ = arrays(samples, "who")
    n, _ = arrays(samples, "n")
    found = {float(k): v for (k,), v in zip(n, who.tolist(), strict=True)}
    assert found == {1.0: [b" 007 ", b"a, b"], 2.0: [b"8", b""], 3.0: [b"9", b"NaN"]}


@given(st.lists(st.text(max_size=20) | st.binary(max_size=20), max_size=5))
def test_any_strings_are_kept_or_refused(values):
    stored = np.empty(len(values), object)
    stored[:] = values
    expected = [v.encode("utf-8", "surrogatepass") if isinstance(v, str) else v for v in values]
    whole = not any(one.endswith(b"\0") for one in expected)
    try:
        assert encoded(stored).tolist() == expected
    except DatasetError:
        assert not whole
    else:
        assert whole


def _yielding(root, monkeypatch, name, body):
    (root / f"{name}.py").write_text(f"import numpy as np\ndef samples():\n{body}\n")
    monkeypatch.syspath_prepend(root)
    return spec("function", "", function=f"{name}:samples", x=TEXT, task="none")


def test_a_function_yields_strings_that_grow(tmp_path, monkeypatch):
    body = "    for n in range(300): yield {'x': 'é' * (n % 150) + str(n)}"
    dataset = _yielding(tmp_path, monkeypatch, "growing_strings", body)
    found = _texts(run(dataset, tmp_path, tensor((), "string")))
    assert sorted(found.tolist()) == sorted(f"{'é' * (n % 150)}{n}".encode() for n in range(300))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lists_of_text", "['a', 'bb']"),
        ("lists_of_bytes", "[b'a', b'bb']"),
        ("objects", "np.array(['a', b'bb'], object)"),
        ("arrays_of_bytes", "np.array([b'a', b'bb'])"),
    ],
)
def test_a_function_yields_strings_of_any_kind(tmp_path, monkeypatch, name, values):
    body = f"    for n in range(3): yield {values}"
    dataset = _yielding(tmp_path, monkeypatch, name, body)
    dataset = dataset.model_copy(update={"inputs": {"x": Preprocess(dtype="string")}})
    with pytest.raises(DatasetError, match="all 3 samples of evaluate are the same"):
        run(dataset, tmp_path, tensor((2,), "string"))


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("ends_in_nul", "    yield b'a\\0'", "ends in NUL"),
        ("ends_in_nul_inside", "    yield ['a\\0', 'longer']", "ends in NUL"),
        ("surrogate", "    yield '\\ud800'", "cannot be written as UTF-8"),
        ("endless", "    yield 'a' * 65_537", "a string of 65537 bytes is too long"),
        ("mixed", "    yield 'a'\n    yield 1", "as int64 in sample 1, as bytes8 in the first"),
        ("mixed_other", "    yield 1\n    yield 'a'", "as bytes8 in sample 1, as int64"),
        ("objects_inside", "    yield np.array(['a', 1], object)", "int objects are neither"),
        ("numbers", "    yield 1.5", "samples of float64 cannot feed the input 'x'\n.*strings"),
    ],
)
def test_what_a_function_yields_as_no_string_is_refused(tmp_path, monkeypatch, name, body, message):
    dataset = _yielding(tmp_path, monkeypatch, f"strings_{name}", body)
    with pytest.raises(DatasetError, match=message):
        run(dataset, tmp_path, tensor((), "string"))


def test_a_cell_that_ends_in_nul_is_refused(tmp_path):
    (tmp_path / "data.csv").write_bytes(b"x,label\na\0,0\n")
    dataset = spec("table", "data.csv", x={**TEXT, "columns": ("x",)})
    with pytest.raises(DatasetError, match="ends in NUL"):
        run(dataset, tmp_path, tensor((1,), "string"))


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("image-folder", {}, "kind image-folder feeds numbers"),
        ("arrays", {"scale": 2.0}, "strings, which have no scale\n.*out of \\[inputs.x\\]"),
        ("arrays", {"mean": (1.0,), "std": (2.0,)}, "strings, which have no mean, std"),
    ],
)
def test_what_makes_no_sense_for_strings_is_refused(tmp_path, kind, fields, message):
    dataset = spec(kind, _npz(tmp_path, x=np.array(WORDS)), x={**TEXT, **fields}, task="none")
    with pytest.raises(DatasetError, match=message):
        run(dataset, tmp_path, tensor((), "string"))


def test_strings_do_not_feed_numbers(tmp_path):
    dataset = spec("arrays", _npz(tmp_path, x=np.array(WORDS)), task="none")
    with pytest.raises(DatasetError, match=r"samples of str\d+ cannot feed.*\n.*be numbers"):
        run(dataset, tmp_path, tensor(()))


def _extremes(dtype):
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return np.array([False, True, True])
    info = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    return np.array([info.min, info.max, 1], kind)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_numbers_of_every_type_come_through_unharmed(tmp_path, dtype, shape):
    values = np.broadcast_to(_extremes(dtype).reshape(3, *[1] * len(shape)), (3, *shape))
    dataset = spec("arrays", _npz(tmp_path, x=values), x={"dtype": dtype}, task="none")
    found, _ = arrays(run(dataset, tmp_path, tensor(shape, dtype)))
    assert (found.dtype, found.shape) == (dtype, (3, *shape))
    assert sorted(found.ravel().tolist()) == sorted(values.ravel().tolist())


@pytest.mark.parametrize("dtype", NUMBERS)
def test_big_endian_arrays_are_read_as_what_they_mean(tmp_path, dtype):
    values = _extremes(dtype).astype(np.dtype(dtype).newbyteorder(">"))
    dataset = spec("arrays", _npz(tmp_path, x=values), x={"dtype": dtype}, task="none")
    found, _ = arrays(run(dataset, tmp_path, tensor((), dtype)))
    assert sorted(found.tolist()) == sorted(values.tolist())


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1, 128]), "int8"),
        (np.array([1, -1]), "uint64"),
        (np.array([1, 2**63], np.uint64), "int64"),
        (np.array([1.0, 2.0**63]), "int64"),
        (np.array([1.0, 2.0**64]), "uint64"),
        (np.array([1, 2**32], np.int64), "uint32"),
        (np.array([1, 65504], np.float16), "int16"),
        (np.array([0, 2]), "bool"),
        (np.array([0.0, 0.5]), "bool"),
        (np.array([1.0, 1e39]), "float32"),
        (np.array([1, 100_000]), "float16"),
    ],
)
def test_values_that_the_type_cannot_hold_are_refused(tmp_path, values, dtype):
    dataset = spec("arrays", _npz(tmp_path, x=values), x={"dtype": dtype}, task="none")
    with pytest.raises(DatasetError, match=r"one sample .* holds values that the input's type"):
        run(dataset, tmp_path, tensor((), dtype))


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
    st.sampled_from(NUMBERS[:8]),
)
def test_an_integer_is_held_exactly_or_counted(values, dtype):
    array = np.array(values, np.int64)
    prepared = preprocess_sample(array, Preprocess(dtype=dtype), tensor((len(values),), dtype))
    info = np.iinfo(dtype)
    held = [info.min <= value <= info.max for value in values]
    assert prepared.clipped == held.count(False)
    kept = zip(values, prepared.array.tolist(), held, strict=True)
    assert all(value == found for value, found, one in kept if one)


def test_identifiers_of_a_table_are_exact(tmp_path):
    (tmp_path / "data.csv").write_text(f"id,on,label\n{2**53 + 1},true,0\n{-(2**63)},0,0\n")
    inputs = {
        "id": Preprocess(dtype="int64", columns=("id",)),
        "on": Preprocess(dtype="bool", columns=("on",)),
    }
    samples = run(
        spec("table", "data.csv", inputs=inputs),
        tmp_path,
        tensor((1,), "int64", "id"),
        tensor((1,), "bool", "on"),
    )
    ids, on = (arrays(samples, name)[0].ravel().tolist() for name in ("id", "on"))
    assert dict(zip(ids, on, strict=True)) == {2**53 + 1: True, -(2**63): False}


@pytest.mark.parametrize("cell", [str(2**63), str(2**200), "1e30", "-129"])
def test_cells_that_an_integer_input_cannot_hold_are_refused(tmp_path, cell):
    (tmp_path / "data.csv").write_text(f"id,label\n1,0\n{cell},0\n")
    dtype = "int8" if cell == "-129" else "int64"
    dataset = spec("table", "data.csv", x={"dtype": dtype, "columns": ("id",)})
    with pytest.raises(DatasetError, match=r"one sample .* holds values that the input's type"):
        run(dataset, tmp_path, tensor((1,), dtype))


@pytest.mark.parametrize("shape", [None, ()])
def test_inputs_without_rank_or_batch_take_what_there_is(tmp_path, shape):
    values = np.array([0.25, 0.5, 0.75], np.float32)
    dataset = spec("arrays", _npz(tmp_path, x=values), task="none")
    found, _ = arrays(run(dataset, tmp_path, Tensor(name="x", dtype="float32", shape=shape)))
    assert sorted(found.tolist()) == values.tolist()


def test_inputs_of_unknown_rank_keep_the_samples_shape(tmp_path):
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    dataset = spec("arrays", _npz(tmp_path, x=values), task="none")
    found, _ = arrays(run(dataset, tmp_path, Tensor(name="x", dtype="float32", shape=None)))
    assert found.shape == (2, 3, 2)


@pytest.mark.parametrize("dtype", ["bfloat16", "complex64", "int4", "variant"])
def test_types_that_no_sample_has_are_refused(tmp_path, dtype):
    dataset = spec("arrays", _npz(tmp_path, x=np.array([1])), x={"dtype": dtype}, task="none")
    with pytest.raises(DatasetError, match=f"takes {dtype}: samples are numbers or strings"):
        run(dataset, tmp_path, tensor((), dtype))
