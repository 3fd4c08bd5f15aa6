"""A file's graph and its weights, told apart."""

from __future__ import annotations

import contextlib
import inspect
import re

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st
from tflite_models import PLAIN, build, pack, scaled, tensor, unpack

from edgepack.errors import ModelError
from edgepack.tflite import options
from edgepack.tflite.contents import contents

CONV = {"strideW": 2, "strideH": 2, "fusedActivationFunction": 1}


def model(**changes):
    """A convolution and a reshape whose target is a constant."""
    scales = changes.get("scales", [0.5])
    tensors = [
        tensor(changes.get("name", "x"), "int8", (1, 8, 8, 1), quantization=scaled(scales, [3])),
        tensor("w", "int8", (1, 3, 3, 1), data=True, quantization=scaled([0.1], [0])),
        tensor("b", "int32", (1,), data=True, quantization=scaled([0.05], [0])),
        tensor("y", "int8", (1, 4, 4, 1), quantization=scaled([0.5], [0])),
        tensor("shape", "int32", (2,)),
        tensor("z", "int8", (1, 16), quantization=scaled([0.5], [0])),
    ]
    operators = [("CONV_2D", [0, 1, 2], [3]), ("RESHAPE", [3, 4], [5])]
    made = unpack(build(tensors, operators, [0], [5]))
    graph = made.subgraphs[0]
    made.buffers += [schema.BufferT(), schema.BufferT()]
    made.buffers[1].data = np.frombuffer(bytes(changes.get("weights", range(9))), np.uint8)
    made.buffers[2].data = np.array(changes.get("shape", [1, 16]), np.int32).view(np.uint8)
    made.buffers[3].data = np.array(changes.get("bias", [7]), np.int32).view(np.uint8)
    graph.tensors[4].buffer, graph.tensors[2].buffer = 2, 3
    conv, reshape = graph.operators
    conv.builtinOptionsType, conv.builtinOptions = 1, schema.Conv2DOptionsT()
    for key, value in {**CONV, **changes.get("conv", {})}.items():
        setattr(conv.builtinOptions, key, value)
    reshape.builtinOptionsType, reshape.builtinOptions = 17, schema.ReshapeOptionsT()
    reshape.builtinOptions.newShape = changes.get("new_shape", [1, 16])
    conv.inputs = changes.get("inputs", [0, 1, 2])
    made.description = changes.get("description", "one")
    return pack(made)


SAME = contents(model(), "same")


@pytest.mark.parametrize(
    "change",
    [
        {"conv": {"strideW": 1}},
        {"conv": {"padding": 1}},
        {"conv": {"fusedActivationFunction": 3}},
        {"new_shape": [16, 1]},
        {"new_shape": []},
        {"shape": [16, 1]},
        {"inputs": [0, 1, -1]},
        {"scales": [0.5, 0.25]},
    ],
    ids=str,
)
def test_another_graph_is_told(change):
    assert contents(model(**change), "other").graph != SAME.graph


@pytest.mark.parametrize(
    "change", [{"weights": range(1, 10)}, {"bias": [8]}, {"scales": [0.25]}], ids=str
)
def test_other_weights_in_the_same_graph_are_told_one_by_one(change):
    found = contents(model(**change), "other")
    assert found.graph == SAME.graph
    assert sum(a != b for a, b in zip(found.weights, SAME.weights, strict=True)) == 1


@pytest.mark.parametrize("change", [{"name": "picture"}, {"description": "a longer one"}], ids=str)
def test_names_and_descriptions_are_neither_graph_nor_weights(change):
    data = model(**change)
    assert data != model()
    assert contents(data, "other") == SAME


def test_a_default_that_is_not_stored_is_the_default():
    assert contents(model(conv={"dilationWFactor": 1}), "other") == SAME


def test_weights_behind_the_flatbuffer_count():
    made = unpack(PLAIN)
    made.buffers[1].data, made.buffers[1].offset, made.buffers[1].size = None, 1, 64
    size = len(pack(made))
    made.buffers[1].offset = size
    files = [pack(made) + bytes([number]) * 64 for number in (1, 2)]
    one, other = (contents(data, "behind") for data in files)
    assert one.graph == other.graph
    assert one.weights != other.weights


def test_buffers_that_are_one_and_the_same_weights_cannot_cost_more_than_the_file():
    made = unpack(PLAIN)
    made.buffers[1].offset, made.buffers[1].size = 8, 1 << 16
    made.buffers = [made.buffers[0], *[made.buffers[1]] * 500]
    with pytest.raises(ModelError, match="over and over"):
        contents(pack(made) + bytes(1 << 16), "repeated")


@given(st.data())
def test_mutations_never_crash(data):
    mutated = bytearray(model())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, len(mutated) - 1))
        mutated[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ModelError):
        contents(bytes(mutated), "mutated")


def _references(union):
    """What the generated schema says: bytes of an element by field, of fields that refer."""
    names = {number: name for name, number in vars(union).items() if isinstance(number, int)}
    for number, name in names.items():
        kind = getattr(schema, name, None)
        found = dict(_referring(kind)) if kind else {}
        if found:
            yield number, found


def _referring(kind):
    for name, accessor in inspect.getmembers(kind, inspect.isfunction):
        if name.endswith(("AsNumpy", "Length", "IsNone")):
            continue
        source = inspect.getsource(accessor)
        at = re.search(r"_tab\.Offset\((\d+)\)", source)
        if at and re.search(r"Vector\(|String\(|Indirect\(", source):
            yield (int(at[1]) - 4) // 2, _element(source)


def _element(source):
    if "String(" in source:
        return 1
    width = re.search(r"number_types\.(?:Bool|[A-Za-z]+?(\d+))Flags, a", source)
    return int(width[1] or 8) // 8 if width else 0


@pytest.mark.parametrize(
    ("union", "table"),
    [
        (schema.BuiltinOptions, options.REFERENCES),
        (schema.BuiltinOptions2, options.REFERENCES_2),
    ],
    ids=["1", "2"],
)
def test_options_that_refer_to_something_are_those_of_the_schema(union, table):
    assert table == dict(_references(union))
