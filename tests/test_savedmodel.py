from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from graph_samples import field, node, saved
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.errors import (
    DamagedModelError,
    EdgepackError,
    FormatError,
    ModelError,
    SignatureError,
    UsageError,
    VersionsError,
)
from edgepack.savedmodel import reader
from edgepack.savedmodel.messages import SLOT_VARIABLES
from edgepack.savedmodel.wire import BYTES, Message, WireError, fields, without

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits/saved_model"
GRAPH = (DIGITS / "saved_model.pb").read_bytes()
WILD = ROOT.parent / "shared/data/wild"
RECORDS = (
    [json.loads(line) for line in (WILD / "index.jsonl").read_text().splitlines()]
    if WILD.exists()
    else []
)
needs_wild = pytest.mark.skipif(not WILD.exists(), reason="needs SavedModels from the wild")


@pytest.fixture
def model(tmp_path):
    return Path(shutil.copytree(DIGITS, tmp_path / "model"))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return Path(shutil.copytree(DIGITS, tmp_path_factory.mktemp("scratch") / "model"))


def _read_or_refuse(directory, data):
    (directory / "saved_model.pb").write_bytes(data)
    with contextlib.suppress(EdgepackError):  # anything else fails the test
        assert reader.read(directory).path == str(directory)


numbers = st.integers(1, 9)
flat = st.lists(
    st.one_of(
        st.tuples(numbers, st.just(0), st.integers(0, 2**64 - 1)),
        st.tuples(numbers, st.just(1), st.integers(0, 2**64 - 1)),
        st.tuples(numbers, st.just(2), st.binary(max_size=200)),
        st.tuples(numbers, st.just(5), st.integers(0, 2**32 - 1)),
    ),
    max_size=8,
)


def _message(entries):
    return b"".join(field(*entry) for entry in entries)


def _found(data):
    return [(f.number, f.value, data[f.start : f.end]) for f in fields(data)]


@given(flat)
def test_every_field_is_read_as_it_was_written(entries):
    data = _message(entries)
    for (number, kind, value), found in zip(entries, fields(data), strict=True):
        assert found.number == number
        assert (data[found.start : found.end] if kind == BYTES else found.value) == value


@given(flat, numbers)
def test_without_a_field_all_others_stay_byte_for_byte(entries, number):
    kept = [entry for entry in entries if entry[0] != number]
    assert without(_message(entries), (number,)) == _message(kept)


@given(st.lists(st.tuples(flat, flat), min_size=1, max_size=4), numbers)
def test_without_a_nested_field_lengths_are_right_and_all_others_stay(parts, number):
    def outer(drop):
        data = b""
        for inner, around in parts:
            held = [entry for entry in inner if not (drop and entry[0] == number)]
            data += field(2, 2, _message(held)) + _message([e for e in around if e[0] != 2])
        return data

    assert without(outer(drop=False), (2, number)) == outer(drop=True)


def test_without_what_is_not_there_changes_nothing():
    assert without(GRAPH, SLOT_VARIABLES) == GRAPH


@given(st.binary(max_size=60))
def test_bytes_are_a_message_or_a_wire_error(data):
    with contextlib.suppress(WireError):
        found = _found(data)
        assert sum(Message(data).count(n) for n in {f[0] for f in found}) == len(found)


@given(st.binary(max_size=200))
def test_random_bytes_never_crash_the_reader(scratch, data):
    _read_or_refuse(scratch, data)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, len(GRAPH) - 1), st.integers(0, 255)), min_size=1, max_size=20
    )
)
def test_mutations_never_crash_the_reader(scratch, changes):
    data = bytearray(GRAPH)
    for at, value in changes:
        data[at] = value
    _read_or_refuse(scratch, bytes(data))


@settings(max_examples=60)
@given(st.integers(0, 4000), st.binary(min_size=1, max_size=8))
def test_mutations_near_the_start_never_crash_the_reader(scratch, at, patch):
    _read_or_refuse(scratch, GRAPH[:at] + patch + GRAPH[at + len(patch) :])


@settings(max_examples=60)
@given(st.integers(1, len(GRAPH) - 1))
def test_a_truncated_graph_is_always_refused(scratch, size):
    (scratch / "saved_model.pb").write_bytes(GRAPH[:size])
    with pytest.raises(ModelError):
        reader.read(scratch)


def test_facts_of_the_digits_model():
    facts = reader.read(DIGITS)
    assert facts.tags == ("serve",)
    assert facts.tensorflow_version.startswith("2.")
    assert [s.name for s in facts.signatures] == [
        "__saved_model_init_op",
        "serve",
        "serving_default",
    ]
    signature = reader.select_signature(facts)
    assert signature.name == "serving_default"
    assert signature.method == "tensorflow/serving/predict"
    (image,), (scores,) = signature.inputs, signature.outputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", (-1, 8, 8, 1))
    assert (scores.name, scores.dtype, scores.shape) == ("scores", "float32", (-1, 10))
    assert image.tensor == "serving_default_image:0"
    files = [file for file in DIGITS.rglob("*") if file.is_file()]
    assert facts.size_bytes == sum(file.stat().st_size for file in files)
    assert facts.variables_bytes == sum(
        file.stat().st_size for file in files if file.parent.name == "variables"
    )
    assert {op.name: op.count for op in facts.ops}["Conv2D"] == 3
    assert not facts.stateful
    assert facts.slot_variables == 0
    assert facts.has_object_graph
    assert facts.fingerprint["saved_model_checksum"].isdecimal()


def _drop(*names):
    def change(model):
        for name in names:
            (model / name).unlink()

    return change


def _emptied(model):
    (model / "saved_model.pb").unlink()


def _versions(*names, whole=()):
    """Version directories in the place of the model; those that are whole hold it."""

    def change(model):
        held = model.rename(model.parent / "held")
        for name in names:
            (model / name).mkdir(parents=True)
        for name in whole:
            shutil.copytree(held, model / name)

    return change


def _beside(*names, then=lambda model: None):
    def change(model):
        then(model)
        for name in names:
            (model / name).touch()

    return change


def _keras(model):
    _emptied(model)
    (model / "weights.h5").touch()


def _text(model):
    _emptied(model)
    (model / "saved_model.pbtxt").touch()


def _flat_and_version(model):
    shutil.copytree(DIGITS, model / "3")


def _written(data):
    return lambda model: (model / "saved_model.pb").write_bytes(data)


def _retagged(model):
    tagged = without(GRAPH, (2, 1)) + field(2, 2, field(1, 2, field(4, 2, b"tpu")))
    (model / "saved_model.pb").write_bytes(tagged)


def _three_shards(model):
    index = model / "variables"
    (index / "variables.data-00000-of-00001").rename(index / "variables.data-00000-of-00003")


INDEX, SHARD = "variables/variables.index", "variables/variables.data-00000-of-00001"


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (shutil.rmtree, UsageError, r"model: there is no such path\n.*model\.path"),
        (_emptied, FormatError, r"holds no saved_model\.pb$"),
        (_keras, FormatError, r"but weights\.h5; load and export it: model\.export"),
        (_text, FormatError, r"saved_model\.pbtxt, a SavedModel as text"),
        (
            _versions("2", whole=["1"]),
            VersionsError,
            r"highest number, 2, holds no saved_model\.pb\n.*Finish copying .*2, or name .*model/1",
        ),
        (_versions("2", "10"), VersionsError, r"highest number, 10, .*\n  Finish copying \S*10\.$"),
        (_versions(whole=["01", "1"]), VersionsError, "01 and 1 have the same number"),
        (
            _beside("old.h5", then=_versions(whole=["1", "2"])),
            VersionsError,
            r"old\.h5 and the version directories 1, 2 lie side by side.*\n.*such as \S*model/2,",
        ),
        (
            _beside("m.keras", then=_versions(whole=["1"])),
            VersionsError,
            r"m\.keras and the version",
        ),
        (_beside("f.pb", then=_versions(whole=["1"])), VersionsError, r"f\.pb and the version"),
        (_flat_and_version, VersionsError, r"saved_model\.pb and the version directories 3"),
        (_written(b""), DamagedModelError, r"saved_model\.pb: it holds no graph"),
        (_written(GRAPH[:5000]), DamagedModelError, r"not a whole SavedModel: .* byte \d+"),
        (_written(b"<html>404</html>"), DamagedModelError, "not a whole SavedModel"),
        (_drop(INDEX), DamagedModelError, r"has variables, and variables\.index is missing"),
        (_drop(SHARD), DamagedModelError, r"has variables, and 1 variables\.data is missing"),
        (_drop(INDEX, SHARD), DamagedModelError, r"variables\.index is missing"),
        (_three_shards, DamagedModelError, r"has variables, and 2 variables\.data is missing"),
        (
            _retagged,
            SignatureError,
            r"no graph is tagged serve; their tags are: \(none\); tpu\n.*tags = \[\"tpu\"\]\.",
        ),
        (
            _written(without(GRAPH, (2, 1)) * 2),
            SignatureError,
            r"their tags are: \(none\); \(none\)\n  Save the one to build with the tag serve",
        ),
    ],
)
def test_what_is_wrong_is_said(model, change, kind, message):
    change(model)
    with pytest.raises(EdgepackError, match=message) as caught:
        reader.read(model)
    assert type(caught.value) is kind


def test_the_highest_version_is_read_by_number_and_said(model):
    _versions("latest", whole=["2", "10", "9"])(model)
    facts = reader.read(model)
    assert facts.path == str(model / "10")
    assert facts.version_directory == "10"
    assert facts.versions == ("2", "9", "10")


def test_a_named_version_is_read_beside_others(model):
    _beside("old.h5", then=_versions(whole=["2", "10"]))(model)
    facts = reader.read(model / "2")
    assert (facts.path, facts.version_directory) == (str(model / "2"), "")


def test_a_directory_of_a_whole_model_may_be_called_by_a_number(model):
    (model / "7").mkdir()
    assert reader.read(model).path == str(model)


def test_the_lines_that_make_a_savedmodel_of_text_do(model):
    code = (
        "from pathlib import Path\nfrom google.protobuf import text_format\n"
        "from tensorflow.core.protobuf import saved_model_pb2\n"
        "message = saved_model_pb2.SavedModel.FromString(Path('saved_model.pb').read_bytes())\n"
        "Path('saved_model.pbtxt').write_text(text_format.MessageToString(message))\n"
    )
    _run_python(code, model)
    _emptied(model)
    with pytest.raises(FormatError) as caught:
        reader.read(model)
    _run_python(caught.value.hint.split(":\n", 1)[1], model)
    assert _without_place(reader.read(model)) == _without_place(reader.read(DIGITS))


def _run_python(code, directory):
    subprocess.run([sys.executable, "-c", code], cwd=directory, capture_output=True, check=True)


def _without_place(facts):
    return facts.model_dump(exclude={"path", "digest", "size_bytes", "fingerprint"})


@pytest.mark.parametrize(
    ("tags", "found"),
    [((), ("serve",)), (("train",), ("train",)), (("gpu", "serve"), ("gpu", "serve"))],
)
def test_a_meta_graph_is_chosen_by_its_tags(model, tags, found):
    _retagged_all([b"train"], [b"serve", b"gpu"])(model)
    facts = reader.read(model, tags)
    assert facts.tags == found
    assert facts.meta_graphs == (("train",), ("gpu", "serve"), ("serve",))


def test_a_graph_of_training_is_not_taken_for_the_one_to_serve(model):
    data = without(GRAPH, (2, 1)) + field(2, 2, field(1, 2, field(4, 2, b"train")))
    (model / "saved_model.pb").write_bytes(data)
    assert reader.read(model).tags == ()


def test_tags_of_no_meta_graph_are_refused_with_all_there_are(model):
    _retagged_all([b"train"])(model)
    with pytest.raises(SignatureError, match="no graph is tagged tpu; their tags are: train; serv"):
        reader.read(model, ["tpu"])


def _retagged_all(*tags):
    """The graph once more for each set of tags, ahead of the one to serve."""
    held = b"".join(
        field(f.number, 2, GRAPH[f.start : f.end])
        for f in fields(GRAPH, *_span(GRAPH, 2))
        if f.number != 1
    )
    more = [field(2, 2, field(1, 2, _tags(names)) + held) for names in tags]
    return _written(b"".join([*more, GRAPH]))


def _tags(names):
    return b"".join(field(4, 2, name) for name in names)


def _span(data, number):
    return next((f.start, f.end) for f in fields(data) if f.number == number)


def test_a_file_is_no_savedmodel():
    with pytest.raises(UsageError, match="is a file, not a SavedModel directory") as caught:
        reader.read(DIGITS / "saved_model.pb")
    assert caught.value.exit_code == 2


def test_an_impossible_path_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError):
        reader.read(tmp_path / ("x" * 5000))


def test_stray_files_beside_the_weights_do_not_matter(model):
    (model / "variables/variables.data-00000-of-00001.tmp").touch()
    assert reader.read(model).signatures == reader.read(DIGITS).signatures


def test_a_stray_file_is_no_shard(model):
    (model / SHARD).rename(model / f"{SHARD}.tmp")
    with pytest.raises(ModelError, match=r"1 variables\.data is missing"):
        reader.read(model)


def test_a_broken_fingerprint_is_left_out(model):
    (model / "fingerprint.pb").write_bytes(b"\xff" * 20)
    assert reader.read(model).fingerprint == {}


def test_the_serving_graph_is_taken_among_several(model):
    other = field(2, 2, field(1, 2, field(4, 2, b"train")))
    (model / "saved_model.pb").write_bytes(other + GRAPH)
    assert reader.read(model).tags == ("serve",)


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        ((), "", "no signature with inputs and outputs"),
        (
            ("first", "second"),
            "",
            r"2 signatures that .*\n.*\(--signature first\)\. Known: first\(image\); second",
        ),
        (("first", "second"), "thrid", "no signature is called 'thrid'"),
        (("serving_default",), "serving_defualt", r"Did you mean serving_default\?"),
        (("first",), "__saved_model_init_op", "no signature is called '__saved_model_init_op'"),
    ],
)
def test_signatures_that_cannot_be_chosen_are_named(names, asked, message):
    with pytest.raises(SignatureError, match=message):
        reader.select_signature(_facts_with(names), asked)


@pytest.mark.parametrize(
    ("names", "asked", "chosen"),
    [
        (("only",), "", "only"),
        (("a", "serving_default"), "", "serving_default"),
        (("a", "b"), "b", "b"),
    ],
)
def test_signatures_that_can_be_chosen(names, asked, chosen):
    assert reader.select_signature(_facts_with(names), asked).name == chosen


def _facts_with(names):
    facts = reader.read(DIGITS)
    signature = reader.select_signature(facts)
    empty = next(s for s in facts.signatures if not s.outputs)
    found = (empty, *(signature.model_copy(update={"name": name}) for name in names))
    return facts.model_copy(update={"signatures": found})


def test_digest_follows_content_and_names_and_not_the_place(model):
    original = reader.digest(DIGITS)
    assert reader.digest(model) == original
    shard = model / SHARD
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    changed = reader.digest(model)
    (model / "assets").mkdir(exist_ok=True)
    (model / "assets/vocabulary.txt").touch()
    assert len({original, changed, reader.digest(model)}) == 3


def _linked(model):
    """The same files, the weights behind a symbolic link, as data tools leave them."""
    store = model.parent / "store"
    (model / "variables").rename(store)
    (model / "variables").symlink_to(store)
    return store


def test_weights_behind_a_link_count_like_any_other_file(model):
    original = reader.read(model)
    store = _linked(model)
    found = reader.read(model)
    assert found == original
    shard = store / Path(SHARD).name
    shard.write_bytes(bytes(reversed(shard.read_bytes())))
    assert reader.digest(model) != original.digest


def test_links_that_run_in_circles_are_followed_once(model):
    (model / "links").mkdir()
    (model / "links/up").symlink_to(model)
    (model / "links/aside").symlink_to(model / "links")
    assert reader.read(model).size_bytes == reader.read(DIGITS).size_bytes


def test_a_link_to_nothing_is_a_missing_shard(model):
    (model / SHARD).unlink()
    (model / SHARD).symlink_to(model / "gone")
    with pytest.raises(ModelError, match=r"1 variables\.data is missing"):
        reader.read(model)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_directory_that_cannot_be_read_is_named(model):
    (model / "closed").mkdir(mode=0)
    with pytest.raises(UsageError, match="closed: cannot be read: Permission denied"):
        reader.read(model)


def _calling(op, function=""):
    return [node("out", op, function=function)]


@pytest.mark.parametrize(
    ("nodes", "functions", "stateful"),
    [
        ([node("out", "Identity", ["x"]), node("x", "AssignAddVariableOp")], {}, True),
        ([node("out", "Identity", ["^x"]), node("x", "AssignVariableOp")], {}, True),
        ([node("out", "Identity"), node("restore", "AssignVariableOp")], {}, False),
        (_calling("PartitionedCall", "f"), {"f": [node("a", "AssignVariableOp")]}, True),
        (_calling("PartitionedCall", "f"), {"g": [node("a", "AssignVariableOp")]}, False),
        (_calling("f"), {"f": [node("a", "AssignSub")]}, True),
        (
            _calling("While", "f"),
            {"f": _calling("If", "g"), "g": [node("a", "ResourceScatterNdUpdate")]},
            True,
        ),
        (_calling("PartitionedCall", "f"), {"f": _calling("PartitionedCall", "f")}, False),
        ([node("out", "Identity", ["out"])], {}, False),
        *[([node("out", op)], {}, True) for op in ("RngReadAndSkip", "StatefulUniform")],
        *[([node("out", op)], {}, True) for op in ("SparseApplyFtrl", "StridedSliceAssign")],
        *[([node("out", op)], {}, False) for op in ("ScatterNd", "TensorScatterUpdate")],
        *[([node("out", op)], {}, False) for op in ("StatefulPartitionedCall", "RandomUniform")],
    ],
)
def test_a_model_is_stateful_where_inference_assigns(tmp_path, nodes, functions, stateful):
    (tmp_path / "saved_model.pb").write_bytes(saved(nodes, functions))
    assert reader.read(tmp_path).stateful is stateful


def test_a_graph_of_twenty_thousand_nodes_is_read_within_a_second(tmp_path):
    chain = [node(f"n{i}", "Identity", [f"n{i + 1}"], "f") for i in range(20_000)]
    (tmp_path / "saved_model.pb").write_bytes(saved([*chain, *_calling("While", "n0")]))
    start = time.process_time()
    facts = reader.read(tmp_path)
    assert time.process_time() - start < 1
    assert {op.name: op.count for op in facts.ops} == {"Identity": 20_000, "While": 1}


def _described(facts):
    return {
        s.name: {
            "inputs": {t.name: (t.dtype, t.shape, t.tensor) for t in s.inputs},
            "outputs": {t.name: (t.dtype, t.shape, t.tensor) for t in s.outputs},
        }
        for s in facts.signatures
    }


def _expected(record):
    def tensors(side):
        return {
            name: (t["dtype"], None if t["shape"] is None else tuple(t["shape"]), t["name"])
            for name, t in side.items()
            if t["dtype"] not in {"", "invalid", "dtype0"}
        }

    return {
        name: {side: tensors(signature[side]) for side in ("inputs", "outputs")}
        for name, signature in record["signatures"].items()
    }


@needs_wild
@pytest.mark.parametrize("record", RECORDS, ids=[record["id"] for record in RECORDS])
def test_models_in_the_wild_are_read_as_tensorflow_reads_them(record):
    facts = reader.read(WILD / record["id"])
    assert [list(facts.tags)] == record["tags"]
    assert facts.tensorflow_version == record["tensorflow_version"]
    assert _described(facts) == _expected(record)
    assert {op.name: op.count for op in facts.ops} == record["ops"]
    assert bool(facts.slot_variables) == record["has_slot_variables"]
    assert facts.has_object_graph == record["has_object_graph"]
    assert bool(facts.fingerprint) == record["has_fingerprint"]
    assert facts.stateful == (record["id"] == "breizhn__DTLN/0")
