from __future__ import annotations

import contextlib
import inspect
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tflite_models as made
from ai_edge_litert import schema_py_generated as generated
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_models import PLAIN, build, scaled, tensor

from edgepack.engines import tensorflow
from edgepack.errors import EdgepackError, ModelError, UsageError
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.tflite import reader, schema
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent / "calibration/digits/saved_model"
SHARED = HERE.parents[1] / "shared/data"


def _numbers(kind):
    return {name: n for name, n in vars(kind).items() if name.isupper()}


def test_operators_are_named_as_in_the_schema():
    numbers = _numbers(generated.BuiltinOperator)
    assert dict(enumerate(schema.OPERATORS)) == {n: name for name, n in numbers.items()}
    assert numbers["CUSTOM"] == schema.CUSTOM


def test_tensor_types_are_named_as_in_the_schema():
    names = {n: name.lower() for name, n in _numbers(generated.TensorType).items()}
    assert dict(enumerate(schema.TENSOR_TYPES)) == names


FIELDS = {
    ("Model", "OPERATOR_CODES"): "OperatorCodes",
    ("Model", "SUBGRAPHS"): "Subgraphs",
    ("Model", "DESCRIPTION"): "Description",
    ("Model", "BUFFERS"): "Buffers",
    ("Model", "METADATA"): "Metadata",
    ("Model", "SIGNATURES"): "SignatureDefs",
    ("OperatorCode", "SMALL_CODE"): "DeprecatedBuiltinCode",
    ("OperatorCode", "CUSTOM"): "CustomCode",
    ("OperatorCode", "VERSION"): "Version",
    ("OperatorCode", "CODE"): "BuiltinCode",
    ("SubGraph", "TENSORS"): "Tensors",
    ("SubGraph", "INPUTS"): "Inputs",
    ("SubGraph", "OUTPUTS"): "Outputs",
    ("SubGraph", "OPERATORS"): "Operators",
    ("Tensor", "SHAPE"): "Shape",
    ("Tensor", "TYPE"): "Type",
    ("Tensor", "BUFFER"): "Buffer",
    ("Tensor", "NAME"): "Name",
    ("Tensor", "QUANTIZATION"): "Quantization",
    ("Tensor", "IS_VARIABLE"): "IsVariable",
    ("Tensor", "SPARSITY"): "Sparsity",
    ("Tensor", "SHAPE_SIGNATURE"): "ShapeSignature",
    ("Tensor", "HAS_RANK"): "HasRank",
    ("Quantization", "SCALE"): "Scale",
    ("Quantization", "ZERO_POINT"): "ZeroPoint",
    ("Quantization", "DIMENSION"): "QuantizedDimension",
    ("Operator", "CODE"): "OpcodeIndex",
    ("Operator", "INPUTS"): "Inputs",
    ("Operator", "OUTPUTS"): "Outputs",
    ("Operator", "OPTIONS_TYPE"): "BuiltinOptionsType",
    ("Operator", "OPTIONS"): "BuiltinOptions",
    ("Operator", "CUSTOM_OPTIONS"): "CustomOptions",
    ("Operator", "OPTIONS_2_TYPE"): "BuiltinOptions2Type",
    ("Operator", "OPTIONS_2"): "BuiltinOptions2",
    ("Buffer", "DATA"): "Data",
    ("Buffer", "OFFSET"): "Offset",
    ("Buffer", "SIZE"): "Size",
    ("Metadata", "NAME"): "Name",
    ("Metadata", "BUFFER"): "Buffer",
    ("Signature", "INPUTS"): "Inputs",
    ("Signature", "OUTPUTS"): "Outputs",
    ("Signature", "KEY"): "SignatureKey",
    ("Signature", "SUBGRAPH"): "SubgraphIndex",
    ("TensorMap", "NAME"): "Name",
    ("TensorMap", "TENSOR"): "TensorIndex",
}
TABLES = {"Quantization": "QuantizationParameters", "Signature": "SignatureDef"}


def _fields_used():
    for table, kind in inspect.getmembers(schema, inspect.isclass):
        yield from ((table, field, number) for field, number in _numbers(kind).items())


@pytest.mark.parametrize(("table", "field", "number"), list(_fields_used()))
def test_fields_are_numbered_as_in_the_schema(table, field, number):
    accessor = getattr(getattr(generated, TABLES.get(table, table)), FIELDS[table, field])
    offset = int(re.search(r"_tab\.Offset\((\d+)\)", inspect.getsource(accessor))[1])
    assert offset == 4 + 2 * number  # a vtable starts with two sizes of two bytes


def test_facts_of_a_small_model():
    facts = reader.parse(PLAIN, "plain")
    (signature,) = facts.signatures
    (x,), (y,) = signature.inputs, signature.outputs
    assert signature.name == "serving_default"
    assert (x.name, x.tensor, x.dtype, x.shape) == ("input", "x", "float32", (1, 4))
    assert (y.name, y.tensor, y.subgraph_index, y.signature_index) == ("output", "y", 0, 0)
    (op,) = facts.ops
    assert (op.name, op.version, op.count, op.custom) == ("FULLY_CONNECTED", 2, 1, False)
    assert facts.tensor_types == {"float32": 3}
    assert facts.description == "made by a test"
    assert facts.size_bytes == len(PLAIN)
    assert not facts.stateful


def test_a_file_without_signatures_goes_by_its_tensors():
    data = build([tensor("b"), tensor("a"), tensor("y")], [("ADD", [0, 1], [2])], [0, 1], [2])
    (signature,) = reader.parse(data, "bare").signatures
    assert signature.name == ""
    assert [(t.name, t.subgraph_index, t.signature_index) for t in signature.inputs] == [
        ("b", 0, None),
        ("a", 1, None),
    ]
    assert [t.name for t in signature.outputs] == ["y"]


def test_order_of_signature_and_subgraph_are_both_recorded():
    signatures = [("serve", [("zebra", 0), ("apple", 1)], [("y", 2)])]
    tensors = [tensor("a"), tensor("z"), tensor("y")]
    data = build(tensors, [("ADD", [0, 1], [2])], [1, 0], [2], signatures)
    (signature,) = reader.parse(data, "two").signatures
    assert [(t.name, t.subgraph_index, t.signature_index) for t in signature.inputs] == [
        ("apple", 0, 1),
        ("zebra", 1, 0),
    ]


def test_shapes_custom_ops_state_and_scales_are_told():
    tensors = [
        tensor("x", "int8", shapeSignature=[-1, 4], quantization=scaled([0.5], [-3])),
        tensor("w", "int8", (4, 4), data=True, quantization=scaled([0.1, 0.2], [0, 0], 1)),
        tensor("state", isVariable=True),
        tensor("y", "int8", ()),
        tensor("scalar", "int8", (), hasRank=True),
    ]
    operators = [("FULLY_CONNECTED", [0, 1, 2], [3]), ("MyOp", [3], [4])]
    facts = reader.parse(build(tensors, operators, [0, 1], [3, 4]), "odd")
    (signature,) = facts.signatures
    x, w = signature.inputs
    assert x.dims == (-1, 4)
    assert x.quantization.scales == (0.5,)
    assert (x.quantization.zero_points, x.quantization.axis) == ((-3,), None)
    assert w.quantization.scales == pytest.approx((0.1, 0.2))
    assert w.quantization.axis == 1
    assert [tensor.shape for tensor in signature.outputs] == [None, ()]
    assert facts.stateful
    assert [(op.name, op.custom) for op in facts.ops] == [
        ("FULLY_CONNECTED", False),
        ("MyOp", True),
    ]


def _weights(dtype, activations="float32"):
    """One fully connected operator whose weights are stored as `dtype`."""
    return (
        [
            tensor("x", activations),
            tensor("w", dtype, (4, 4), data=True),
            tensor("bias", "int32" if "int" in activations else "float32", data=True),
            tensor("y", activations),
        ],
        [("FULLY_CONNECTED", [0, 1, 2], [3])],
    )


def _expanded(dtype):
    """The same behind a DEQUANTIZE."""
    return (
        [tensor("x"), tensor("w", dtype, (4, 4), data=True), tensor("wide"), tensor("y")],
        [("DEQUANTIZE", [1], [2]), ("FULLY_CONNECTED", [0, 2, -1], [3])],
    )


def _sparse(dtype):
    """Sparse weights, made dense and then float."""
    tensors = [tensor("x"), tensor("w", dtype, (4, 4), data=True), tensor("dense", dtype)]
    operators = [("DENSIFY", [1], [2]), ("DEQUANTIZE", [2], [3]), ("FULLY_CONNECTED", [0, 3], [4])]
    return [*tensors, tensor("wide"), tensor("y")], operators


def _lookup(dtype, given, *, restored=False):
    """An embedding: a table stored as `dtype` that gives `given`, and their sum."""
    tensors = [tensor("ids", "int32"), tensor("table", dtype, (4, 4), data=True)]
    tensors += [tensor("rows", "float32" if restored else dtype), tensor("sum", given)]
    tensors += [tensor("axis", "int32", (1,), data=True), tensor("y", given)]
    if restored:
        start = [("DEQUANTIZE", [1], [2]), ("GATHER", [2, 0], [3])]
    elif given != dtype:
        start = [("GATHER", [1, 0], [2]), ("DEQUANTIZE", [2], [3])]
    else:
        start = [("GATHER", [1, 0], [3])]
    return tensors, [("ADD", [0, 0], [0]), *start, ("MEAN", [3, 4], [5])]


def _recurrent(dtype):
    """A recurrent operator whose kernel keeps an int16 state."""
    tensors = [tensor("x", dtype), tensor("w", "int8", (4, 4), data=True)]
    tensors += [tensor("cell", "int16", isVariable=True), tensor("y", dtype)]
    return tensors, [("UNIDIRECTIONAL_SEQUENCE_LSTM", [0, 1, 2], [3])]


def _joined(one, other):
    """Two such graphs in one."""
    (left, first), (right, second) = one, other
    shift = len(left)
    moved = [
        (name, [i + shift if i >= 0 else i for i in inputs], [o + shift for o in outputs])
        for name, inputs, outputs in second
    ]
    return [*left, *right], [*first, *moved]


def _unweighted(dtype):
    return [tensor("x", dtype), tensor("z", dtype), tensor("y", dtype)], [("ADD", [0, 1], [2])]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (_weights("float32"), "float32"),
        (_weights("float16"), "float16"),
        (_expanded("float16"), "float16"),
        (_weights("int8"), "dynamic"),
        (_weights("int4"), "dynamic"),
        (_expanded("int8"), "weight-only"),
        (_weights("int8", "int8"), "int8"),
        (_weights("uint8", "uint8"), "int8"),
        (_weights("int8", "int16"), "int16x8"),
        (_joined(_weights("float32"), _weights("int8")), "dynamic"),
        (_joined(_weights("float32"), _expanded("float16")), "float16"),
        (_joined(_weights("float32"), _weights("int8", "int8")), "mixed"),
        (_sparse("float16"), "float16"),
        (_sparse("int8"), "weight-only"),
        (_lookup("float32", "float32"), "float32"),
        (_lookup("float16", "float32", restored=True), "float16"),
        (_lookup("int8", "float32"), "dynamic"),
        (_lookup("int8", "float32", restored=True), "weight-only"),
        (_lookup("int8", "int8"), "int8"),
        (_lookup("int16", "int16"), "int16x8"),
        (_joined(_lookup("float32", "float32"), _weights("int8")), "dynamic"),
        (_joined(_lookup("float32", "float32"), _weights("int8", "int8")), "int8"),
        (_recurrent("int8"), "int8"),
        (_recurrent("int16"), "int16x8"),
        (_unweighted("float32"), "float32"),
        (_unweighted("int8"), "int8"),
        (_unweighted("int32"), "other"),
    ],
)
def test_precision_is_what_the_weights_and_activations_are(graph, expected):
    tensors, operators = graph
    data = build(tensors, operators, [0], [len(tensors) - 1])
    assert reader.parse(data, "model").precision == expected


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (None, UsageError, "cannot be read: No such file"),
        (b"", ModelError, "not a whole .tflite file: it is empty"),
        (b"short", ModelError, "no TFL3 flatbuffer"),
        (b"PK\3\4 a zip file, by its head", ModelError, "no TFL3 flatbuffer"),
        (PLAIN[: len(PLAIN) // 2], ModelError, r"not a whole .tflite.*\n.*cut short\?"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, content, kind, message):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind, match=message) as caught:
        reader.read(path)
    assert str(path) in str(caught.value)


def test_a_directory_is_no_model(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        reader.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: setattr(m.subgraphs[0].tensors[0], "buffer", 9), "buffer 9 of 2"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 7), "operator code 7 of 1"),
        (lambda m: setattr(m.subgraphs[0].operators[0], "inputs", [0, 50]), "tensor 50 of 3"),
        (lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 3), "subgraph 3 of 1"),
        (lambda m: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 8), "tensor 8 of 3"),
        (lambda m: setattr(m, "subgraphs", []), "it has no subgraph"),
        (lambda m: _put_behind(m.buffers[1], 10**6, 64), "64 bytes of weights at 1000000 are"),
        (lambda m: _put_behind(m.buffers[1], 8, 2**60), "bytes of weights at 8 are behind its end"),
    ],
)
def test_references_to_nothing_are_refused(change, message):
    model = made.unpack(PLAIN)
    change(model)
    with pytest.raises(ModelError, match=message):
        reader.parse(made.pack(model), "broken")


def _put_behind(buffer, offset, size):
    buffer.data, buffer.offset, buffer.size = None, offset, size


def test_weights_behind_the_flatbuffer_are_weights():
    model = made.unpack(PLAIN)
    _put_behind(model.buffers[1], 64, 16)
    graph = model.subgraphs[0]
    graph.tensors[1].type = generated.TensorType.INT8
    assert reader.parse(made.pack(model), "large").precision == "dynamic"


@pytest.mark.parametrize(
    ("content", "version"),
    [(b"2.3.0" + bytes(11), "2.3.0"), (b"1.14.0", "1.14.0"), (bytes(16), ""), (b"x" * 5000, "")],
)
def test_the_runtime_version_is_read_from_metadata(content, version):
    model = made.unpack(PLAIN)
    metadata, buffer = generated.MetadataT(), generated.BufferT()
    metadata.name, metadata.buffer = b"min_runtime_version", len(model.buffers)
    buffer.data = list(content)
    model.metadata, model.buffers = [metadata], [*model.buffers, buffer]
    assert reader.parse(made.pack(model), "versioned").min_runtime_version == version


def _read_or_refuse(data):
    start = time.monotonic()
    with contextlib.suppress(EdgepackError):  # anything else fails the test
        assert reader.parse(data, "fuzzed").size_bytes == len(data)
    assert time.monotonic() - start < 5


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_random_bytes_never_crash_the_reader(data):
    _read_or_refuse(data)
    _read_or_refuse(data[:4] + b"TFL3" + data[8:])


@settings(max_examples=500)
@given(
    st.lists(
        st.tuples(st.integers(0, len(PLAIN) - 1), st.integers(0, 255)), min_size=1, max_size=10
    )
)
def test_mutations_never_crash_the_reader(changes):
    data = bytearray(PLAIN)
    for at, value in changes:
        data[at] = value
    _read_or_refuse(bytes(data))


@given(st.integers(0, len(PLAIN) - 1), st.binary(max_size=20))
def test_a_cut_file_never_crashes_the_reader(size, tail):
    _read_or_refuse(PLAIN[:size] + tail)


@pytest.mark.parametrize(
    ("signatures", "maps"), [(1, 20_000), (20_000, 1)], ids=["one-wide", "many"]
)
def test_many_inputs_cost_no_more_than_their_number(signatures, maps):
    model = made.unpack(PLAIN)
    model.subgraphs[0].inputs = [0] * 20_000 + [1]
    (signature,) = model.signatureDefs
    signature.inputs[0].tensorIndex = 1
    signature.inputs = signature.inputs * maps
    model.signatureDefs = [signature] * signatures
    data, start = made.pack(model), time.process_time()
    assert len(reader.parse(data, "wide").signatures) == signatures
    assert time.process_time() - start < 5


def test_a_large_file_is_not_taken_into_memory(tmp_path):
    path = tmp_path / "large.tflite"
    path.write_bytes(PLAIN)
    os.truncate(path, 1 << 29)
    code = (
        "import resource, sys; from pathlib import Path; from edgepack.tflite import reader\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (1 << 28, 1 << 28))\n"
        "print(reader.read(Path(sys.argv[1])).size_bytes)"
    )
    command = [sys.executable, "-c", code, path]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(1 << 29), done.stderr


@pytest.mark.parametrize("repeated", ["subgraphs", "tensors"])
def test_tables_that_are_referred_to_over_and_over_are_refused(repeated):
    with pytest.raises(ModelError, match="refer to each other over and over"):
        reader.parse(made.repeating(4000, repeated), "bomb")


@pytest.mark.skipif(not SHARED.exists(), reason="needs published models")
@pytest.mark.parametrize(("name", "shape"), [("kws", (1, 490)), ("ic", (1, 32, 32, 3))])
def test_published_models_are_int8(name, shape):
    facts = reader.read(SHARED / name / "reference_int8.tflite")
    assert facts.precision == "int8"
    (signature,) = facts.signatures
    (image,) = signature.inputs
    assert image.dtype == "int8"
    assert image.quantization is not None
    assert image.shape[0] == 1
    assert {op.custom for op in facts.ops} == {False}


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    """Files of every mode of both tools, and what the interpreter says of each."""
    directory = tmp_path_factory.mktemp("tools")
    float32 = directory / "edgepack.tflite"
    source = SourceModel(path=str(DIGITS), tags=("serve",), signature="serving_default")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), directory / "tensorflow.log") as pool:
            pool.submit(made.convert_all, str(DIGITS), directory).result()
            pool.submit(tensorflow.convert, source, float32).result()
        with WorkerPool("quantizer", 1, Limits(), directory / "quantizer.log") as pool:
            pool.submit(made.quantize_all, float32, directory).result()
            files = sorted(directory.glob("*.tflite"))
            yield {path.stem: (path, pool.submit(made.describe, path).result()) for path in files}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision"), [*made.CONVERTED.items(), *made.QUANTIZED.items()])
def test_files_of_both_tools_are_read_as_the_interpreter_reads_them(tools, name, precision):
    path, expected = tools[name]
    facts = reader.read(path)
    assert facts.precision == precision
    found = {
        s.name: {"inputs": [t.name for t in s.inputs], "outputs": [t.name for t in s.outputs]}
        for s in facts.signatures
    }
    assert found == expected["signatures"]
    (signature,) = [s for s in facts.signatures if s.name == "serving_default"]
    assert [_detail(t) for t in signature.inputs] == expected["inputs"]
    assert [_detail(t) for t in signature.outputs] == expected["outputs"]
    assert [op.name for op in facts.ops] == expected["ops"]
    assert facts.min_runtime_version == "" or facts.min_runtime_version[0].isdecimal()


@pytest.mark.slow
@pytest.mark.parametrize("name", made.CONVERTED)
def test_types_ask_for_no_more_than_the_stock_converter_states(tools, name):
    facts = reader.read(tools[name][0])
    raised = {use.name for use in set(facts.asked) - set(facts.ops)}
    # Where it makes int16, it gives each operator the version of its int8 kernel.
    narrow = {"DEQUANTIZE", "MAX_POOL_2D", "QUANTIZE", "SOFTMAX"}
    assert raised == (narrow if name == "int16x8" else set())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("dynamic_wi8_afp32", {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 3}),
        ("static_wi8_ai8", {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4}),
    ],
)
def test_types_ask_for_more_than_the_quantizer_states(tools, name, asked):
    facts = reader.read(tools[name][0])
    assert all(use.version == 1 for use in facts.ops if use.name in asked)
    found = {use.name: use.version for use in facts.asked}
    assert {operator: found[operator] for operator in asked} == asked


def _detail(tensor):
    scales = tensor.quantization
    return {
        "name": tensor.tensor,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        "shape_signature": list(tensor.dims),
        "scales": list(scales.scales) if scales else [],
        "zero_points": list(scales.zero_points) if scales else [],
    }


def test_a_full_integer_file_is_told_from_one_with_float_operators():
    tensors = [tensor("in", "int8"), tensor("w", "int8", data=True), tensor("mid", "int8")]
    tensors += [tensor("real"), tensor("out")]
    integer = [("FULLY_CONNECTED", [0, 1], [2])]
    hybrid = [*integer, ("DEQUANTIZE", [2], [3]), ("EXP", [3], [4])]
    whole = reader.parse(build(tensors[:3], integer, [0], [2]), "whole")
    part = reader.parse(build(tensors, hybrid, [0], [4]), "part")
    assert (whole.precision, whole.float_ops) == ("int8", ())
    assert (part.precision, part.float_ops) == ("int8", ("EXP",))
