"""Small .tflite files whose time by operator and whose parts are known."""

from __future__ import annotations

import numpy as np
import tflite_models
from tflite_models import schema, tensor

from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.stages import TFLiteModel

SIZE = 1024  # of a layer: a quarter of a million multiplications take tens of microseconds
APART = "ZEROS_LIKE"  # an operator that XNNPACK does not take


def chain(*operators, size=SIZE, **fields):
    """Operators one after the other from `x`; those that are fully connected share weights."""
    names = ["x", *(f"y{number}" for number in range(len(operators)))]
    tensors = [tensor(name, shape=(1, size), **fields) for name in names]
    tensors.append(tensor("w", shape=(size, size), data=True))
    weights = len(names)
    nodes = [
        (name, [n, weights, -1] if name == "FULLY_CONNECTED" else [n], [n + 1])
        for n, name in enumerate(operators)
    ]
    ends = [("input", 0)], [("output", len(operators))]
    signatures = [("serving_default", *ends)]
    model = tflite_models.unpack(
        tflite_models.build(tensors, nodes, [0], [len(operators)], signatures)
    )
    values = np.random.default_rng(0).normal(0, size**-0.5, (size, size)).astype(np.float32)
    model.buffers[1].data = np.frombuffer(values.tobytes(), np.uint8)
    for code in model.operatorCodes:
        code.version = 1
    return tflite_models.pack(model)


def measuring_text():
    """The shape of four texts."""
    tensors = [tensor("x", "string"), tensor("y", "int32", (2,))]
    signatures = [("serving_default", [("input", 0)], [("output", 1)])]
    nodes = [("SHAPE", [0], [1])]
    model = tflite_models.unpack(tflite_models.build(tensors, nodes, [0], [1], signatures))
    model.operatorCodes[0].version = 1
    (node,) = model.subgraphs[0].operators
    node.builtinOptionsType = schema.BuiltinOptions.ShapeOptions
    node.builtinOptions = schema.ShapeOptionsT()
    node.builtinOptions.outType = schema.TensorType.INT32
    return tflite_models.pack(model)


def with_second(content, other):
    """The first file with the subgraph of another as its signature `second`."""
    model, added = tflite_models.unpack(content), tflite_models.unpack(other)
    codes, buffers = len(model.operatorCodes), len(model.buffers)
    for node in added.subgraphs[0].operators:
        node.opcodeIndex += codes
    for one in added.subgraphs[0].tensors:
        one.buffer += buffers
    model.operatorCodes += added.operatorCodes
    model.buffers += added.buffers
    signature = added.signatureDefs[0]
    signature.signatureKey, signature.subgraphIndex = b"second", len(model.subgraphs)
    model.signatureDefs.append(signature)
    model.subgraphs += added.subgraphs
    return tflite_models.pack(model)


def variable(content):
    """The same, with one more tensor that keeps its value from one inference to the next."""
    model = tflite_models.unpack(content)
    model.subgraphs[0].tensors.append(tensor("state", isVariable=True))
    return tflite_models.pack(model)


def write(directory, content, **fields):
    """A file to run."""
    path = directory / "model.tflite"
    path.write_bytes(content)
    given = {"sha256": "", "signature": "serving_default"} | fields
    return TFLiteModel(path=str(path), **given)


def split(directory, name="input", values=None):
    """Three samples of its input."""
    if values is None:
        values = np.random.default_rng(1).normal(size=(3, SIZE)).astype(np.float32)
    path = directory / "samples.npy"
    np.save(path, values)
    ref = ArrayRef(path=str(path), dtype=values.dtype.name, shape=values.shape)
    return SplitData(inputs={name: ref}, labels=None, samples=len(values), digest="")
