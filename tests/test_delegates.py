"""Which nodes a delegate takes: the lists, the terms, the pieces held against an interpreter."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import delegate_models as models
import pytest
import tflite_models as made
from delegate_models import LEFT, TAKEN, chain, file
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.delegates import lists
from edgepack.delegates.fit import BEHIND, ELSEWHERE, HALVES, fit
from edgepack.delegates.partitions import gathered, runs
from edgepack.errors import ConfigError, ModelError, UsageError
from edgepack.records.settings import Limits
from edgepack.report import delegates as report
from edgepack.targets.faults import DTYPES
from edgepack.tflite import schema, subgraphs
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
DIGITS = HERE.parent / "calibration" / "digits" / "saved_model"

OUTSIDE = "above 1 outside of the 3 innermost dimensions"


def graphs(data):
    return subgraphs.parse(data, "a test")


def fitted(data, name):
    return fit(graphs(data), lists.load(name))


def left(found):
    return {one.operator: one.why for one in found.fallback}


# the lists


@pytest.mark.parametrize("name", lists.names())
def test_a_list_names_operators_types_and_its_source(name):
    found = lists.load(name)
    assert found.name == name
    assert set(found.operators) <= set(schema.OPERATORS) - {"CUSTOM", "DELEGATE"}
    assert found.source.what
    assert found.source.at
    assert found.source.read_on >= "2026-11-28"
    for terms in found.operators.values():
        types = {*terms.types, *terms.outputs, *found.types}
        assert types.union(*terms.inputs.values()) <= DTYPES
        assert all(place.isdecimal() for place in terms.inputs)


def test_what_is_needed_is_there():
    wanted = {"gpu", "coreml", "nnapi", "qualcomm", "mediatek", "google-tensor", "edgetpu"}
    assert set(lists.names()) == wanted


def test_an_unknown_delegate_is_told_the_near_miss():
    with pytest.raises(ConfigError, match='did you mean "edgetpu"') as caught:
        lists.load("edge-tpu")
    assert "gpu" in caught.value.hint


# the pieces


@st.composite
def drawn(draw):
    """Nodes in an order that runs, and which of them XNNPACK takes."""
    operators, tensors = [], 1
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from((*TAKEN, LEFT, LEFT)))
        reads = [draw(st.integers(0, tensors - 1)) for _ in range(2 if name == "ADD" else 1)]
        operators.append((name, reads, [tensors]))
        tensors += 1
    return operators


def edges(graph, piece):
    """What a piece reads from outside, and what is read of it outside or is the graph's output."""
    nodes = [graph.operators[place] for place in piece]
    given_inside = {index for node in nodes for index in node.outputs}
    outside = [node for place, node in enumerate(graph.operators) if place not in piece]
    wanted = {index for node in outside for index in node.inputs} | set(graph.outputs)
    reads = {index for node in nodes for index in node.inputs} - given_inside
    return sorted(reads), sorted(given_inside & wanted)


@settings(max_examples=80)
@given(drawn())
def test_pieces_are_those_that_an_interpreter_makes(operators):
    data = file(operators)
    (graph,) = graphs(data)
    taken = {place for place, (name, _, _) in enumerate(operators) if name != LEFT}
    assert [edges(graph, piece) for piece in gathered(graph, taken)] == models.delegated(data)


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """The embedded model in every mode of the converter."""
    directory = tmp_path_factory.mktemp("converted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), directory / "tensorflow.log") as pool:
            pool.submit(made.convert_all, str(DIGITS), directory).result()
    return {path.stem: path for path in directory.glob("*.tflite")}


@pytest.mark.slow
@pytest.mark.parametrize("mode", made.CONVERTED)
def test_pieces_of_a_real_file_are_those_that_an_interpreter_makes(converted, mode):
    data = converted[mode].read_bytes()
    graph, *_ = graphs(data)
    expected = [models.members(graph, piece) for piece in models.delegated(data)]
    assert bool(expected) == (mode != "int16x8")  # of which XNNPACK takes nothing
    found = gathered(graph, set().union(*expected))
    assert [set(piece) for piece in found] == expected


@pytest.mark.slow
def test_the_embedded_model_as_docs_say(converted):
    on_gpu = fitted(converted["float32"].read_bytes(), "gpu")
    on_nnapi = fitted(converted["int8-float-io"].read_bytes(), "nnapi")
    assert (on_gpu.delegated, on_gpu.nodes, on_gpu.partitions) == (5, 11, 1)
    assert (on_nnapi.delegated, on_nnapi.nodes, on_nnapi.partitions) == (10, 13, 3)


def test_branches_share_a_piece_though_another_node_stands_between():
    data = file([("ABS", [0], [1]), (LEFT, [0], [2]), ("NEG", [1], [3]), ("ADD", [2, 3], [4])])
    (graph,) = graphs(data)
    assert gathered(graph, {0, 2, 3}) == ((0, 2), (3,))
    assert runs(graph, {0, 2, 3}) == ((0,), (2, 3))
    assert len(models.delegated(data)) == 2


@given(drawn(), st.data())
def test_each_node_is_in_one_piece(operators, data):
    (graph,) = graphs(file(operators))
    taken = set(data.draw(st.sets(st.integers(0, len(operators) - 1))))
    for rule in (gathered, runs):
        pieces = rule(graph, taken)
        assert Counter(place for piece in pieces for place in piece) == Counter(taken)
        assert bool(pieces) == bool(taken)
        assert all(pieces)
        assert len(pieces) <= len(operators) - len(taken) + 1
    assert len(gathered(graph, taken)) <= len(runs(graph, taken))


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_a_chain_has_a_piece_for_each_run(ours):
    (graph,) = graphs(chain(*["ABS"] * len(ours)))
    taken = {place for place, mine in enumerate(ours) if mine}
    starts = sum(mine and not (n and ours[n - 1]) for n, mine in enumerate(ours))
    assert len(gathered(graph, taken)) == len(runs(graph, taken)) == starts


def test_what_touches_a_resource_keeps_its_order():
    tensors = [made.tensor("r", "resource"), *(made.tensor(f"t{n}") for n in range(4))]
    operators = [
        ("READ_VARIABLE", [0], [1]),
        (LEFT, [1], [2]),
        ("ASSIGN_VARIABLE", [0, 2], []),
        ("READ_VARIABLE", [0], [3]),
        ("ABS", [3], [4]),
    ]
    (graph,) = graphs(file(operators, tensors))
    assert gathered(graph, {0, 3, 4}) == ((0,), (3, 4))


def test_nodes_that_wait_for_each_other_are_an_error():
    data = file([("ADD", [0, 2], [1]), ("ABS", [1], [2])], outputs=[2])
    with pytest.raises(ModelError, match="wait for each other"):
        fitted(data, "gpu")


def test_a_long_chain_is_no_work():
    (graph,) = graphs(chain("ABS"))
    node = graph.operators[0]
    count = 40_000
    long = tuple(replace(node, inputs=(n,), outputs=(n + 1,)) for n in range(count))
    graph = replace(graph, tensors=graph.tensors[:1] * (count + 1), operators=long)
    assert len(gathered(graph, set(range(0, count, 2)))) == count // 2


# what a delegate takes


def test_a_whole_file():
    found = fitted(chain("ABS", "NEG", "TANH"), "gpu")
    assert (found.nodes, found.delegated, found.partitions, found.fallback) == (3, 3, 1, ())
    assert found.whole
    assert found.proven == "read"


def test_what_is_not_listed_falls_back_and_by_default_all_but_the_largest_piece():
    found = fitted(chain("ABS", "NEG", "LOG_SOFTMAX", "TANH"), "gpu")
    assert (found.nodes, found.delegated, found.partitions) == (4, 2, 1)
    why = left(found)
    assert why["LOG_SOFTMAX"] == "not on its list"
    assert why["TANH"] == "beyond the largest partition"


def test_nnapi_takes_its_three_largest_pieces():
    names = ["ABS", "ABS", "SIGN"] * 3 + ["ABS"]
    found = fitted(chain(*names), "nnapi")
    assert (found.delegated, found.partitions) == (6, 3)
    assert Counter(one.operator for one in found.fallback) == {"ABS": 1, "SIGN": 1}


def test_coreml_leaves_a_single_node_alone():
    found = fitted(chain("TANH", "ABS", "RELU", "TANH"), "coreml")
    assert (found.delegated, found.partitions) == (2, 1)
    assert left(found)["TANH"] == "in a partition of fewer than 2 nodes"


@pytest.mark.parametrize(
    ("data", "name", "why"),
    [
        (models.versions(chain("TANH"), TANH=3), "gpu", "version 3; it takes 2 at most"),
        (chain("TANH", dtype="int16"), "gpu", "int16 input"),
        (chain("TANH", shape=(1, 1, 1, 1, 4)), "gpu", "rank 5; it takes 4 at most"),
        (chain("TANH", dtype="int8"), "coreml", "int8 input"),
        (chain("SLICE"), "gpu", "rank 2; it takes 3 or 4"),
        (chain("LOGICAL_NOT"), "nnapi", "float32 input"),
        (chain("Mystery"), "qualcomm", "a custom operator"),
        (chain("SHAPE"), "google-tensor", "on its list of refusals"),
        (chain("FLOOR_MOD"), "qualcomm", "float32 input"),
        (chain("TANH"), "edgetpu", "float32 input"),
        (chain("TANH", dtype="int8", shape=(2, 1, 1, 4)), "edgetpu", OUTSIDE),
        (chain("TANH", dtype="complex64"), "mediatek", "complex64 input"),
    ],
)
def test_why_a_node_falls_back(data, name, why):
    found = fitted(data, name)
    assert (found.delegated, found.partitions) == (0, 0)
    assert [one.why for one in found.fallback] == [why]


@pytest.mark.parametrize(
    ("weights", "why"),
    [({"data": True}, None), ({}, "input 1 is no constant")],
)
def test_weights_must_be_in_the_file(weights, why):
    tensors = [made.tensor("x"), made.tensor("w", shape=(4, 4), **weights), made.tensor("y")]
    nodes = [("FULLY_CONNECTED", [0, 1, -1], [2]), ("TANH", [2], [3])]
    inputs = [0] if weights else [0, 1]
    found = fitted(file(nodes, [*tensors, made.tensor("z")], inputs), "coreml")
    assert left(found).get("FULLY_CONNECTED") == why


def test_custom_operators_that_a_delegate_knows():
    assert fitted(chain("MaxUnpooling2D"), "gpu").whole


def test_a_list_of_refusals_takes_the_rest():
    found = fitted(chain("TANH", "SHAPE", "STABLEHLO_SCATTER", "BITCAST"), "google-tensor")
    assert (found.delegated, found.partitions) == (2, 2)


def test_terms_that_no_file_shows_are_said():
    found = fitted(chain("SOFTMAX", "LOG_SOFTMAX"), "gpu")
    assert found.unchecked == ("SOFTMAX: beta is 1",)


# float16 weights


def halved(*, end):
    tensors = [
        made.tensor("x"),
        made.tensor("w", "float16", (4, 4), data=True),
        made.tensor("wide", shape=(4, 4)),
        made.tensor("y"),
        made.tensor("z"),
    ]
    nodes = [("DEQUANTIZE", [1], [2]), ("FULLY_CONNECTED", [0, 2, -1], [3]), (end, [3], [4])]
    return file(nodes, tensors)


def test_float16_weights_go_along_where_all_is_taken():
    found = fitted(halved(end="TANH"), "gpu")
    assert (found.delegated, found.partitions) == (3, 1)


def test_float16_weights_are_read_past_what_stays():
    found = fitted(halved(end="LOG_SOFTMAX"), "gpu")
    assert (found.delegated, found.partitions) == (1, 1)
    assert left(found) == {"DEQUANTIZE": HALVES, "LOG_SOFTMAX": "not on its list"}


# subgraphs


def branched():
    """A file whose main graph calls another one."""
    model = made.unpack(chain("TANH", "CALL_ONCE"))
    model.subgraphs += made.unpack(chain("TANH")).subgraphs
    return made.pack(model)


def test_branches_are_gone_through_on_their_own():
    found = fitted(branched(), "gpu")
    assert (found.nodes, found.delegated, found.partitions) == (3, 2, 2)
    assert set(left(found)) == {"CALL_ONCE"}


def test_coral_takes_from_the_main_subgraph():
    model = made.unpack(branched())
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            tensor.type = made.TYPES.INT8
    found = fitted(made.pack(model), "edgetpu")
    assert (found.delegated, found.partitions) == (1, 1)
    assert Counter(one.why for one in found.fallback) == {"not on its list": 1, ELSEWHERE: 1}


def test_coral_takes_one_piece_from_the_beginning():
    found = fitted(chain("TANH", "LOGISTIC", "GATHER", "TANH", "RELU", dtype="int8"), "edgetpu")
    assert (found.delegated, found.partitions) == (2, 1)
    why = {"GATHER": "not on its list", "TANH": BEHIND, "RELU": BEHIND}
    assert left(found) == why


# reading


def test_a_missing_file(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        subgraphs.read(tmp_path / "none.tflite")


def test_a_file_is_read_as_its_bytes(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(chain("ABS"))
    assert subgraphs.read(path) == graphs(path.read_bytes())


def test_a_node_that_names_no_tensor_is_refused():
    model = made.unpack(chain("ABS"))
    model.subgraphs[0].operators[0].inputs = [7]
    with pytest.raises(ModelError, match="tensor 7 of 2"):
        graphs(made.pack(model))


# the report


def test_lines_of_the_report():
    one = fitted(chain("ABS", "NEG", "LOG_SOFTMAX", "TANH"), "gpu")
    whole = fitted(chain("TANH"), "gpu")
    text = report.section({"float32": (one,), "int8": (whole,)})
    assert "| 2 of 4 | 1 |" in text
    assert "LOG\\_SOFTMAX (not on its list)" in text
    assert "| int8 | gpu | nothing | 1 of 1 | 1 |" in text
    assert "read on 2026-11-28" in text
    assert report.section({}) == ""
