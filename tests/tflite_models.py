"""Small .tflite files, made by the generated schema or by the tools. The latter in a worker."""

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = schema.TensorType


def tensor(name, dtype="float32", shape=(1, 4), **fields):
    """A tensor; `data=True` puts its content into the file."""
    made = schema.TensorT()
    made.name, made.shape = name.encode(), list(shape)
    made.type = getattr(TYPES, dtype.upper())
    made.buffer = 1 if fields.pop("data", False) else 0
    for key, value in fields.items():
        setattr(made, key, value)
    return made


def scaled(scales, zero_points, axis=0):
    made = schema.QuantizationParametersT()
    made.scale, made.zeroPoint, made.quantizedDimension = scales, zero_points, axis
    return made


def build(tensors, operators, inputs, outputs, signatures=()):
    """A model of one subgraph. `operators` are (name, inputs, outputs) by tensor index."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    codes = list(dict.fromkeys(name for name, _, _ in operators))
    graph.tensors = list(tensors)
    graph.inputs, graph.outputs = list(inputs), list(outputs)
    graph.operators = [_operator(codes.index(name), i, o) for name, i, o in operators]
    model.version, model.description = 3, b"made by a test"
    model.operatorCodes = [_code(name) for name in codes]
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = list(range(64))
    model.subgraphs = [graph]
    model.signatureDefs = [_signature(*one) for one in signatures]
    return pack(model)


def pack(model):
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def unpack(data):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(data)))


def repeating(times, what):
    """A small file that would take forever: one subgraph, or one tensor and its shape, many times.

    Offsets within a flatbuffer may point at one table from anywhere.
    """
    model = unpack(PLAIN)
    graph = model.subgraphs[0]
    item = graph if what == "subgraphs" else graph.tensors[0]
    if what == "subgraphs":
        graph.tensors = graph.tensors * (times // 3)
    else:
        item.shape = [1] * times
    _packed_once(item)
    setattr(model if what == "subgraphs" else graph, what, [item] * times)
    return pack(model)


def _packed_once(item):
    """Pack it where it is first needed, and refer to that place from then on."""
    real, places = item.Pack, []

    def once(builder):
        if not places:
            places.append(real(builder))
        return places[0]

    item.Pack = once


def _operator(code, inputs, outputs):
    made = schema.OperatorT()
    made.opcodeIndex, made.inputs, made.outputs = code, list(inputs), list(outputs)
    return made


def _code(name):
    made = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, name, None)
    if number is None:
        number, made.customCode = schema.BuiltinOperator.CUSTOM, name.encode()
    made.builtinCode, made.deprecatedBuiltinCode = number, min(number, 127)
    made.version = 2
    return made


def _signature(key, inputs, outputs):
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = key.encode(), 0
    made.inputs, made.outputs = ([_map(*pair) for pair in side] for side in (inputs, outputs))
    return made


def _map(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), index
    return made


PLAIN = build(
    [tensor("x"), tensor("w", shape=(4, 4), data=True), tensor("y")],
    [("FULLY_CONNECTED", [0, 1, -1], [2])],
    [0],
    [2],
    [("serving_default", [("input", 0)], [("output", 2)])],
)

CONVERTED = {
    "float32": "float32",
    "float16": "float16",
    "dynamic": "dynamic",
    "int8": "int8",
    "int8-float-io": "int8",
    "int16x8": "int16x8",
}


def convert_all(source, directory):
    """One file a mode of TFLiteConverter's own quantization."""
    import warnings

    from edgepack.engines.importing import import_tensorflow

    tf = import_tensorflow()
    warnings.simplefilter("ignore")
    for mode in CONVERTED:
        converter = tf.lite.TFLiteConverter.from_saved_model(source)
        _set_mode(tf, converter, mode)
        (Path(directory) / f"{mode}.tflite").write_bytes(converter.convert())


def _set_mode(tf, converter, mode):
    if mode == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if not mode.startswith("int"):
        return
    converter.representative_dataset = _samples
    sets = tf.lite.OpsSet
    wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [wide if mode == "int16x8" else sets.TFLITE_BUILTINS_INT8]
    if mode == "int8":
        converter.inference_input_type = converter.inference_output_type = tf.int8


def _samples():
    for image in np.random.default_rng(0).random((20, 1, 8, 8, 1), dtype=np.float32):
        yield [image]


QUANTIZED = {
    "dynamic_wi8_afp32": "dynamic",
    "weight_only_wi8_afp32": "weight-only",
    "static_wi8_ai8": "int8",
    "static_wi8_ai16": "int16x8",
}


def quantize_all(float_model, directory):
    """One file a recipe of litert-quantizer."""
    from litert_quantizer import quantizer, recipe

    for name in QUANTIZED:
        engine = quantizer.Quantizer(str(float_model), getattr(recipe, name)())
        statistics = None
        if engine.need_calibration:
            samples = [{"image": image} for (image,) in _samples()]
            statistics = engine.calibrate({"serving_default": samples})
        content = engine.quantize(statistics).quantized_model
        (Path(directory) / f"{name}.tflite").write_bytes(bytes(content))


def describe(path):
    """What the interpreter says of a file, as plain values."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    signatures = interpreter.get_signature_list()
    return {
        "signatures": {
            name: {side: sorted(names) for side, names in sides.items()}
            for name, sides in signatures.items()
        },
        "inputs": [_detail(one) for one in interpreter.get_input_details()],
        "outputs": [_detail(one) for one in interpreter.get_output_details()],
        "ops": sorted({op["op_name"] for op in interpreter._get_ops_details()} - {"DELEGATE"}),
    }


def _detail(one):
    scales = one["quantization_parameters"]
    return {
        "name": one["name"],
        "dtype": np.dtype(one["dtype"]).name,
        "shape": one["shape"].tolist(),
        "shape_signature": one["shape_signature"].tolist(),
        "scales": scales["scales"].tolist(),
        "zero_points": scales["zero_points"].tolist(),
    }
