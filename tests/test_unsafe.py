from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import UnsafeModelError
from edgepack.records.facts import UnsafeUse
from edgepack.savedmodel import messages, pickled
from edgepack.savedmodel.unsafe import UNSAFE_OPS, refuse, refused, unsafe_ops
from edgepack.savedmodel.wire import WireError

HERE = Path(__file__).parent
DIGITS = HERE.parent / "calibration/digits/saved_model"
WILD = HERE.parents[1] / "shared/data/wild"
SERVING = ("signature serving_default",)
# Each model of unsafe_models.py that does more than compute: its ops, how often, reached by what.
FOUND = {
    "reads_file": {"ReadFile": (1, SERVING)},
    "writes_file": {"WriteFile": (1, SERVING)},
    "lists_files": {"MatchingFiles": (1, SERVING)},
    "eager_py_func": {"EagerPyFunc": (1, SERVING)},
    "py_func": {"PyFunc": (1, SERVING)},
    "debug_urls": {"DebugIdentity": (1, SERVING)},
    "prints_to_file": {"PrintV2": (1, SERVING)},
    "text_dataset": {"TextLineDataset": (1, SERVING)},
    "record_dataset": {"TFRecordDataset": (1, SERVING)},
    "cached_in_file": {"CacheDatasetV2": (1, SERVING)},
    "saves": {"SaveV2": (1, SERVING)},
    "restores": {"RestoreV2": (1, SERVING)},
    "nested": {"ReadFile": (1, SERVING)},
    "twice": {"MatchingFiles": (1, SERVING), "ReadFile": (2, SERVING)},
    "two_signatures": {"ReadFile": (1, ("signature reads",))},
    "hidden_signature": {"ReadFile": (1, ("signature reads",))},
    "method": {"ReadFile": (1, ("function peek",))},
    "unreached": {"ReadFile": (1, ())},
    "runs_at_load": {"WriteFile": (1, ("loading",))},
    "old_main_op": {"WriteFile": (1, ("loading",))},
    "old_pipeline": {"ReadFile": (1, ())},
    "asset_outside": {"InitializeTableFromTextFileV2": (1, ("loading",))},
    "not_an_asset": {"InitializeTableFromTextFileV2": (1, ("loading",))},
    "old_not_an_asset": {"InitializeTableFromTextFileV2": (1, ("loading",))},
    "restores_on_load": {
        "MergeV2Checkpoints": (1, ("loading", "saving")),
        "SaveV2": (2, ("loading", "saving", *SERVING)),
    },
}
# What looks alike and is not: its own assets, standard error, memory, no address.
HARMLESS = ("plain", "prints", "debug_nowhere", "cached_in_memory", "lookup", "old_graph")

# Words in the names of inputs and attributes that a file, an address or a program may stand in.
TELLING = {
    "address",
    "ckpt",
    "dir",
    "dirs",
    "directory",
    "file",
    "filename",
    "filenames",
    "logdir",
    "mlir",
    "module",
    "path",
    "pattern",
    "patterns",
    "prefix",
    "prefixes",
    "uri",
    "urls",
}
# Named alike: patterns of text, names of counters, and StableHLO, which computes as a graph does.
JUDGED_HARMLESS = {
    "ExperimentalSetStatsAggregatorDataset",
    "RegexFullMatch",
    "RegexReplace",
    "SetStatsAggregatorDataset",
    "StaticRegexFullMatch",
    "StaticRegexReplace",
    "XlaCallModule",
    "_TPUCompileMlir",
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("unsafe")
    script = HERE / "unsafe_models.py"
    subprocess.run([sys.executable, script, directory], check=True, capture_output=True)
    return directory


def found(path):
    (meta,) = messages.meta_graphs((path / "saved_model.pb").read_bytes())
    return unsafe_ops(meta)


def use(op, *by):
    return UnsafeUse(op=op, count=1, does=UNSAFE_OPS[op], reached_by=by)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_an_op_that_does_more_than_compute_is_found_with_who_reaches_it(models, name):
    uses = found(models / name)
    assert {one.op: (one.count, one.reached_by) for one in uses} == FOUND[name]
    assert all(one.does == UNSAFE_OPS[one.op] for one in uses)


@pytest.mark.slow
@pytest.mark.parametrize("name", HARMLESS)
def test_what_every_model_does_is_no_finding(models, name):
    assert found(models / name) == ()


@pytest.mark.slow
def test_loading_runs_what_is_said_to_be_reached_by_loading(models):
    assert (models / "loaded").read_text() == "x"


@pytest.mark.slow
def test_nothing_hides_in_a_second_part_of_a_message(models):
    (meta,) = messages.meta_graphs(_field(2, (models / "two_parts.meta").read_bytes()))
    assert [(one.op, one.reached_by) for one in unsafe_ops(meta)] == [("ReadFile", SERVING)]


def _field(number, value):
    size, groups = len(value), []
    while size >= 0x80:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *groups, size]) + value


@pytest.mark.slow
def test_every_registered_op_that_names_a_file_or_an_address_was_judged():
    script = (
        "import json\n"
        "from tensorflow.core.framework import op_def_pb2\n"
        "from tensorflow.python.client import pywrap_tf_session as session\n"
        "ops = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))\n"
        "names = {op.name: [a.name for a in [*op.input_arg, *op.attr]] for op in ops.op}\n"
        "print(json.dumps(names))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    registered = json.loads(done.stdout)
    assert set(UNSAFE_OPS) <= set(registered)
    suspects = {
        op
        for op, names in registered.items()
        if any(TELLING & set(name.split("_")) for name in names)
    }
    assert suspects - set(UNSAFE_OPS) == JUDGED_HARMLESS


@pytest.mark.skipif(not WILD.exists(), reason="needs SavedModels from the wild")
def test_no_published_model_is_refused():
    files = sorted(WILD.rglob("saved_model.pb"))
    assert len(files) >= 20
    for file in files:
        metas = messages.meta_graphs(file.read_bytes())
        assert [refused(unsafe_ops(meta), ()) for meta in metas] == [()] * len(metas), file


def _node(name, op, *inputs, calls=""):
    function = _field(5, _field(1, b"f") + _field(2, _field(10, _field(1, calls.encode()))))
    named = _field(1, name.encode()) + _field(2, op.encode())
    return named + b"".join(_field(3, i.encode()) for i in inputs) + function * bool(calls)


def test_a_graph_made_to_be_slow_is_followed_in_a_moment():
    count = 1500
    table = _field(3, _node("x", "InitializeTableFromTextFileV2", "a", "a"))
    functions = b"".join(
        _field(
            1,
            _field(1, _field(1, b"f%d" % n) + _field(2, _field(1, b"a")))
            + _field(3, _node("c", "PartitionedCall", "a", calls=f"f{n + 1}"))
            + table,
        )
        for n in range(count)
    )
    call = _field(1, _node("call", "PartitionedCall", "p", calls="f0"))
    output = _field(2, _field(1, b"y") + _field(2, _field(1, b"call:0")))
    signatures = b"".join(_field(5, _field(1, b"s%d" % n) + _field(2, output)) for n in range(200))
    (meta,) = messages.meta_graphs(_field(2, _field(2, call + _field(2, functions)) + signatures))
    begun = time.monotonic()
    (one,) = unsafe_ops(meta)
    assert time.monotonic() - begun < 5
    assert (one.count, len(one.reached_by)) == (count, 200)


@given(st.integers(0, 10**6), st.binary(max_size=8))
def test_a_damaged_graph_is_read_or_refused(place, patch):
    data = (DIGITS / "saved_model.pb").read_bytes()
    place %= len(data)
    try:
        metas = messages.meta_graphs(data[:place] + patch + data[place + len(patch) :])
        for meta in metas:
            unsafe_ops(meta)
            pickled.pickled_layers(DIGITS, meta)
    except WireError:
        pass


def test_the_refusal_names_op_effect_reach_and_the_line_that_allows_it():
    uses = (use("ReadFile", "signature serving_default"), use("WriteFile", "loading"))
    with pytest.raises(UnsafeModelError) as caught:
        refuse(uses, ("WriteFile",), "model")
    error = caught.value
    assert error.where == "model"
    assert "ReadFile reads files, reached by signature serving_default" in error.message
    assert "WriteFile" not in error.message
    assert 'allow_unsafe_ops = ["ReadFile", "WriteFile"]' in error.hint
    refuse(uses, ("ReadFile", "WriteFile"), "model")


@pytest.mark.parametrize(
    ("by", "signatures", "is_refused"),
    [
        (("loading",), ("a",), True),
        (("signature a",), ("a",), True),
        (("signature b",), ("a",), False),
        (("signature b",), None, True),
        (("function call",), ("a",), False),
        (("function call",), None, True),
        (("saving",), None, False),
        ((), None, False),
    ],
)
def test_what_runs_on_load_or_in_what_is_built_is_refused(by, signatures, is_refused):
    assert bool(refused((use("ReadFile", *by),), (), signatures)) is is_refused


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"name": "a", "function": {"items": ["4w=="]}, "function_type": "lambda"}, ("a",)),
        ({"name": "b", "function": {"class_name": "__lambda__", "config": {}}}, ("b",)),
        ({"name": "c", "function": "relu", "function_type": "function"}, ()),
        ({"name": "d", "activation": "lambda"}, ()),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_a_lambda_layer_is_named(tmp_path, config, names, beside):
    model = {"class_name": "Model", "config": {"layers": [{"class_name": "X", "config": config}]}}
    text = json.dumps(model).encode()
    if beside:
        (tmp_path / "keras_metadata.pb").write_bytes(_field(1, _field(5, text)))
    objects = b"" if beside else _field(7, _field(1, _field(4, _field(3, text))))
    (meta,) = messages.meta_graphs(_field(2, objects))
    assert pickled.pickled_layers(tmp_path, meta) == names


@pytest.mark.parametrize("text", [b"{lambda", b"\xff\xfe lambda", b"[" * 100_000 + b"lambda"])
def test_metadata_that_is_no_json_names_no_layer(tmp_path, text):
    (tmp_path / "keras_metadata.pb").write_bytes(_field(1, _field(5, text)))
    (meta,) = messages.meta_graphs(_field(2, b""))
    assert pickled.pickled_layers(tmp_path, meta) == ()


def test_the_docs_tell_what_is_found():
    text = (HERE.parent / "docs/safety.md").read_text()
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \| (.+?) \| .+? \|$", text, re.MULTILINE)
    told = {
        name: (does, said) for names, does, said in rows for name in re.findall(r"`(\w+)`", names)
    }
    assert told.keys() == {*FOUND, *HARMLESS}
    for name, ops in FOUND.items():
        uses = [use(op, *by) for op, (_, by) in ops.items()]
        says = "noted"
        if refused(uses, ()) and name != "method":
            says = (
                "refused"
                if refused(uses, (), ["serving_default"])
                else "refused where that one is built"
            )
        assert told[name][1] == says, name
    assert {told[name][1] for name in HARMLESS} == {"nothing"}
