"""The rules of operators' versions: against the schema, the tables, and files of the converter."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import pytest
import remedy_models
import tflite_models
import version_models
from ai_edge_litert import schema_py_generated as generated
from tflite_models import scaled, tensor

from edgepack.compat.registered import table
from edgepack.records.settings import Limits
from edgepack.tflite import reader, schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs
from edgepack.tflite.version_rules import RULES, Node, _condition, rules, version
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
OPTIONS = {  # what the schema calls the options of an operator, where not by the operator's name
    "BATCH_MATMUL": "BatchMatMul",
    "BIDIRECTIONAL_SEQUENCE_LSTM": "BidirectionalSequenceLSTM",
    "BIDIRECTIONAL_SEQUENCE_RNN": "BidirectionalSequenceRNN",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2D",
    "LSTM": "LSTM",
    "RNN": "RNN",
    "SVDF": "SVDF",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "SequenceRNN",
}
FIELDS = [(name, field) for name, fields in schema.OPTIONS.items() for field in fields]
# The converter gives each operator of int16 the version of its int8 kernel.
NARROW = re.compile(r"int16x8$")
# It stores an empty table of scales for what is not quantized, and its rules take that for scales.
UNSCALED = {"ADD": 5, "MUL": 7}
SHAPES = {"grouped", "sparse", "rescaled"}  # words that are no options


def camel(name):
    return "".join(word.capitalize() for word in name.split("_"))


@pytest.mark.parametrize(("operator", "option"), FIELDS)
def test_options_are_where_the_schema_has_them(operator, option):
    number, code, default = schema.OPTIONS[operator][option]
    kind = getattr(generated, f"{OPTIONS.get(operator, camel(operator))}Options")
    source = inspect.getsource(getattr(kind, camel(option)))
    assert int(re.search(r"_tab\.Offset\((\d+)\)", source)[1]) == 4 + 2 * number
    flags = {"?": "Bool", "b": "Int8", "i": "Int32"}
    assert re.search(r"number_types\.(\w+)Flags, o", source)[1] == flags[code]
    made = getattr(generated, f"{kind.__name__}T")()
    field = camel(option)[0].lower() + camel(option)[1:]
    assert getattr(made, field) == default


def test_rules_name_what_exists():
    newest = table("ai-edge-litert").since
    for name, found in rules().items():
        assert name in schema.OPERATORS
        assert [one.version for one in found] == sorted(one.version for one in found)
        for one in found:
            assert one.by_running or newest[name][one.version - 1], (name, one.version)


def test_words_of_rules_are_types_or_options():
    for line in RULES.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, *words = line.split()
        for word in words:
            if found := re.fullmatch(r">?\d:!?([a-z0-9|]+)", word):
                assert set(found[1].split("|")) <= {*schema.TENSOR_TYPES, "none"}, line
            elif re.fullmatch(r"!?[a-z]\w+", word) and word not in SHAPES:
                assert word.lstrip("!") in schema.OPTIONS[name], line


def test_a_word_that_is_no_condition_is_refused():
    with pytest.raises(ValueError, match="'0=int8' is no condition"):
        _condition("0=int8")


def of(name, tensors, inputs, outputs=None, **options):
    """What one node asks for."""
    nodes = [(name, inputs, outputs or [len(tensors) - 1])]
    model = tflite_models.unpack(tflite_models.build(tensors, nodes, [0], [len(tensors) - 1]))
    if options:
        kind = f"{OPTIONS.get(name, camel(name))}Options"
        node = model.subgraphs[0].operators[0]
        node.builtinOptions = getattr(generated, f"{kind}T")()
        node.builtinOptionsType = getattr(generated.BuiltinOptions, kind)
        for field, value in options.items():
            assert hasattr(node.builtinOptions, field)
            setattr(node.builtinOptions, field, value)
    (graph,) = graphs(root(tflite_models.pack(model), schema.IDENTIFIER))
    return version(Node(graph.operators[0], graph), ran=True)


X, FOUR, FIVE = (1, 4), (1, 2, 3, 4), (1, 2, 3, 4, 5)


def int8(shape=X, scales=(0.5,), axis=0):
    return tensor("x", "int8", shape, quantization=scaled(list(scales), [0] * len(scales), axis))


def int16(shape=X, scaled_=True):
    return tensor("x", "int16", shape, quantization=scaled([0.5], [0]) if scaled_ else None)


@pytest.mark.parametrize(
    ("name", "tensors", "options", "asked"),
    [
        ("ABS", [int16(), int16()], {}, 3),
        ("ABS", [int16(scaled_=False), int16()], {}, 4),
        ("ADD", [int16(), int16(), int16()], {"potScaleInt16": True}, 1),
        ("ADD", [int16(), int16(), int16()], {"potScaleInt16": False}, 3),
        ("ADD", [int16(scaled_=False), int16(), int16()], {}, 5),
        ("BROADCAST_TO", [tensor("x"), tensor("y")], {}, 2),
        ("CAST", [tensor("x"), tensor("y", "int4")], {}, 1),
        ("CAST", [tensor("x", "int4"), tensor("y")], {}, 6),
        ("CONV_2D", [tensor("x", shape=FOUR), tensor("w", shape=FOUR), tensor("y")], {}, 1),
        ("CONV_2D", [tensor("x", shape=FOUR), tensor("w", shape=(1, 2, 3, 2)), tensor("y")], {}, 6),
        ("CONV_2D", [tensor("x", shape=FOUR), int8((2, 2, 3, 4)), tensor("y")], {}, 2),
        ("CONV_2D", [tensor("x", shape=FOUR), int8((2, 2, 3, 4), (1, 2)), tensor("y")], {}, 5),
        ("DEPTHWISE_CONV_2D", [tensor("x"), int8(FOUR, (1,) * 4, 3), tensor("y")], {}, 6),
        ("DEPTHWISE_CONV_2D", [tensor("x"), tensor("w"), tensor("y")], {"dilationHFactor": 2}, 2),
        ("DEQUANTIZE", [int8((4, 2), (1,) * 4), tensor("y")], {}, 5),
        ("DEQUANTIZE", [int8((4, 2), (1,)), tensor("y")], {}, 2),
        ("FULLY_CONNECTED", [tensor("x"), tensor("w"), tensor("y")], {}, 6),
        ("FULLY_CONNECTED", [int8(), int8(), tensor("b"), int8()], {}, 4),
        ("FULLY_CONNECTED", [int8(), int8(), tensor("b"), int8()], {"keepNumDims": True}, 5),
        ("FULLY_CONNECTED", [int8(), tensor("w", "int4"), int8()], {}, 10),  # it has no bias, too
        ("FULLY_CONNECTED", [tensor("x"), int8(X, (1,)), tensor("b"), tensor("y")], {}, 12),
        ("LSTM", [tensor("x"), tensor("a"), int8(), tensor("y")], {}, 3),
        ("LSTM", [tensor("x"), tensor("a"), int8(), tensor("y")], {"kernelType": 1}, 2),
        ("MUL", [int8(), int8(), int8(scales=(0.25,))], {}, 3),
        ("MUL", [int8(), int8(), int8(scales=(0.26,))], {}, 2),
        ("MUL", [int16(), int16(), int16()], {}, 4),
        ("MUL", [int16(scaled_=False), int16(scaled_=False), int16()], {}, 7),
        ("PAD", [tensor("x", "bool", FIVE), tensor("p", "int32"), tensor("y")], {}, 5),
        ("PAD", [tensor("x", shape=FIVE), tensor("p", "int32"), tensor("y")], {}, 4),
        ("QUANTIZE", [tensor("x"), int8((4, 2), (1,) * 4)], {}, 3),
        ("SELECT", [tensor("c"), tensor("x", shape=FIVE), tensor("x"), tensor("y")], {}, 3),
        ("SPACE_TO_BATCH_ND", [tensor("x", shape=FOUR), tensor("b"), tensor("y")], {}, 1),
        ("SPACE_TO_BATCH_ND", [tensor("x"), tensor("b"), tensor("y")], {}, 3),
        ("STRIDED_SLICE", [tensor("x"), tensor("b"), tensor("y")], {"offset": True}, 8),
        ("SUB", [tensor("x", shape=FIVE), tensor("x"), tensor("y")], {}, 3),
        ("SUB", [tensor("x", shape=FIVE), tensor("x", shape=FIVE), tensor("y")], {}, 1),
        ("TRANSPOSE", [tensor("x", shape=(1,) * 6), tensor("p"), tensor("y")], {}, 6),
        ("WHERE", [tensor("x", "bool"), tensor("y")], {}, 1),
        ("WHERE", [tensor("x"), tensor("y")], {}, 2),
    ],
)
def test_a_node_asks_for_the_version_that_knows_it(name, tensors, options, asked):
    assert of(name, tensors, list(range(len(tensors) - 1)), **options) == asked


def test_an_absent_bias_is_none():
    conv = [tensor("s", "int32"), tensor("w"), tensor("x"), tensor("y")]
    assert of("TRANSPOSE_CONV", conv, [0, 1, 2, -1]) == 1
    assert of("TRANSPOSE_CONV", conv, [0, 1, 2, 2]) == 3


def test_sparse_weights_ask_for_their_kernel():
    model = tflite_models.unpack(tflite_models.PLAIN)
    weights = model.subgraphs[0].tensors[1]
    weights.sparsity = generated.SparsityParametersT()
    weights.sparsity.traversalOrder = [0, 1]
    (use,) = reader.parse(tflite_models.pack(model), "a.tflite").asked
    assert use.version == 8


def stated(directory):
    """By file, each operator's stated version and the one that its nodes ask for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), directory / "log") as pool:
            pool.submit(version_models.convert_all, str(directory)).result()
    return {path.stem: versions(path) for path in sorted(directory.glob("*.tflite"))}


def versions(path):
    """The converter states one version an operator: the highest that a node of it asks for."""
    found = {}
    for graph in graphs(root(path.read_bytes(), schema.IDENTIFIER)):
        for node in graph.operators:
            if not node.custom:
                own, other = found.get(node.name, (0, 0))
                computed = version(Node(node, graph), ran=True)
                found[node.name] = (max(own, node.version), max(other, computed))
    return found


@pytest.mark.slow
def test_rules_say_what_the_converter_states(tmp_path):
    files = stated(tmp_path)
    pairs = [
        (operator, *pair)
        for name, operators in files.items()
        if not NARROW.search(name)
        for operator, pair in operators.items()
    ]
    equal = [one for one in pairs if one[1] == one[2]]
    share = f"{len(equal)} of {len(pairs)} versions in {len(files)} files are as the converter's"
    print(share)  # noqa: T201 - the figure of docs/runtimes.md
    apart = {(operator, asked) for operator, said, asked in pairs if said != asked}
    assert apart <= set(UNSCALED.items())
    assert len(equal) > 0.95 * len(pairs)
    assert len({operator for operator, *_ in pairs}) >= 30
    assert len(files) >= 2 * len(remedy_models.DECIDED) + len(version_models.MODES)
    narrow = [one for name, one in files.items() if NARROW.search(name)]
    assert {(one["SOFTMAX"], one["QUANTIZE"]) for one in narrow} == {((2, 3), (1, 2))}
