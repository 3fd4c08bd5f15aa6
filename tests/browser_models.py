"""Small files for the browser's runtime, each with one difficulty, and jobs that feed them."""

from __future__ import annotations

import numpy as np
import tflite_models
from tflite_models import schema, tensor

from edgepack.records.runtimes import ReplayedTensor, ReplayJob

TOP = np.array([[[10, 20, 30, 40]], [[1, 2, 3, 4]]], np.float32)  # two invocations
BOTTOM = np.array([[[1, 2, 3, 4]], [[5, 6, 7, 8]]], np.float32)


def same(dtype, shape=(1, 4)):
    """A file that gives what it takes."""
    tensors = [tensor("x", dtype, shape), tensor("y", dtype, shape)]
    signature = ("serving_default", [("in", 0)], [("out", 1)])
    made = tflite_models.build(tensors, [("RESHAPE", [0], [1])], [0], [1], [signature])
    model = tflite_models.unpack(made)
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    return _plain(model, [("ReshapeOptions", options)])


def subtracting(*, named):
    """A file that takes `top` and `bottom`: the signature's order of both sides is not the graph's.

    Without a signature tensors go by their own names.
    """
    tensors = [tensor(name) for name in ("t", "b", "minus", "plus")]
    nodes = [("SUB", [0, 1], [2]), ("ADD", [0, 1], [3])]
    signature = ("serving_default", [("bottom", 1), ("top", 0)], [("a", 3), ("z", 2)])
    signatures = [signature] if named else []
    model = tflite_models.unpack(tflite_models.build(tensors, nodes, [0, 1], [2, 3], signatures))
    return _plain(
        model, [("SubOptions", schema.SubOptionsT()), ("AddOptions", schema.AddOptionsT())]
    )


def _plain(model, options):
    """The file with versions 1 and these options by operator."""
    for code in model.operatorCodes:
        code.version = 1
    for operator, (name, table) in zip(model.subgraphs[0].operators, options, strict=True):
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        operator.builtinOptions = table
    return tflite_models.pack(model)


def save_counter(path):
    """A file that answers x + 1, and x + 2 where it remembers. Runs in a worker."""
    from edgepack.engines.importing import import_tensorflow

    tf = import_tensorflow()

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([1, 2], tf.float32, "x")])
        def call(self, x):
            return {"y": x + self.calls.assign_add(1.0)}

    model = Model()
    function = model.call.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    path.write_bytes(converter.convert())


def job(directory, model, inputs, outputs, **fields):
    """A job in a directory.

    `inputs` are (name, tensor, place, [count, ...]) and `outputs` (name, tensor, place).
    """
    (directory / "model.tflite").write_bytes(model)
    fed = []
    for number, (name, own, place, values) in enumerate(inputs):
        path = directory / f"{number}.in"
        path.write_bytes(b"" if values.dtype == object else values.tobytes())
        dtype = "string" if values.dtype == object else values.dtype.name
        known = {"name": name, "tensor": own, "place": place, "dtype": dtype}
        fed.append(ReplayedTensor(shape=values.shape[1:], path=str(path), **known))
    wanted = [
        ReplayedTensor(name=name, tensor=own, place=place, dtype="", shape=(), path=str(path))
        for name, own, place in outputs
        for path in [directory / f"{name}.npy"]
    ]
    plain = {"model": str(directory / "model.tflite"), "count": 2, "threads": 1, "rounds": 1}
    return ReplayJob(**plain | fields, inputs=tuple(fed), outputs=tuple(wanted))


def echo(directory, dtype, model_shape=(1, 4), shape=(1, 4), **fields):
    """A job for a file that gives what it takes."""
    kind = object if dtype == "string" else dtype
    values = np.arange(2 * np.prod(shape)).reshape(2, *shape).astype(kind)
    inputs, outputs = [("in", "x", 0, values)], [("out", "y", 0)]
    return job(directory, same(dtype, model_shape), inputs, outputs, **fields)
