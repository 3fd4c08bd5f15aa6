"""Files that ask something of a kernel that no version says, with what they should answer."""

from __future__ import annotations

import numpy as np
import tflite_models
from tflite_models import scaled, schema, tensor

from edgepack.records.runtimes import ReplayedTensor, ReplayJob
from edgepack.runtimes import running

SIZE, STEP = 4, 1 / 16
SCALES = [STEP, STEP / 2, STEP / 8, STEP / 32]  # far enough apart to tell one from another
WEIGHTS = np.array([[9, -8, 7, 6], [40, 30, -20, 10], [100, 90, 80, -70], [-127, 120, 110, 100]])
KINDS = {
    "FULLY_CONNECTED int8 per-channel": "int8",
    "FULLY_CONNECTED dynamic per-channel": "dynamic",
}
TOLERANCES = {"int8": 1, "dynamic": 0.02}
FED = np.array([[16, -32, 8, 24]])  # in steps


def fully_connected(kind):
    """x to weights @ x, with a scale for each row of the weights."""
    dtype = "int8" if kind == "int8" else "float32"
    fine = scaled([STEP], [0]) if kind == "int8" else None
    tensors = [
        tensor("x", dtype, quantization=fine),
        tensor("w", "int8", (SIZE, SIZE), data=True, quantization=scaled(SCALES, [0] * SIZE)),
        tensor("y", dtype, quantization=scaled([1 / 4], [0]) if kind == "int8" else None),
    ]
    nodes = [("FULLY_CONNECTED", [0, 1, -1], [2])]
    model = tflite_models.unpack(tflite_models.build(tensors, nodes, [0], [2]))
    model.operatorCodes[0].version = 1
    model.buffers[1].data = np.frombuffer(WEIGHTS.astype(np.int8).tobytes(), np.uint8)
    options = schema.FullyConnectedOptionsT()
    node = model.subgraphs[0].operators[0]
    node.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    node.builtinOptions = options
    return tflite_models.pack(model)


def fed(kind):
    """What it is given."""
    return FED.astype(np.int8) if kind == "int8" else (FED * STEP).astype(np.float32)


def expected(kind):
    """What it should answer."""
    real = (FED * STEP) @ (WEIGHTS * np.array(SCALES)[:, None]).T
    return np.clip(np.round(real * 4), -128, 127) if kind == "int8" else real


def right(python, kind, directory):
    """Whether a runtime loads the file of a kind, and answers what it should."""
    (directory / "model.tflite").write_bytes(fully_connected(kind))
    (directory / "fed.bin").write_bytes(fed(kind).tobytes())
    dtype = fed(kind).dtype.name
    taken = ReplayedTensor(place=0, dtype=dtype, shape=(1, SIZE), path=str(directory / "fed.bin"))
    given = taken.model_copy(update={"path": str(directory / "given.npy")})
    job = ReplayJob(
        model=str(directory / "model.tflite"),
        count=1,
        threads=1,
        rounds=1,
        inputs=(taken,),
        outputs=(given,),
    )
    if running.run(python, job, directory, {}).reason:
        return False
    apart = np.abs(np.load(given.path)[0].astype(float) - expected(kind)).max()
    return bool(apart <= TOLERANCES[kind])
