"""Files that ask something of a kernel that no version says, with what they should answer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tflite_models
from plain_kernels import CASES, Plain
from tflite_models import scaled, schema, tensor

from edgepack.records.runtimes import ReplayedTensor, ReplayJob
from edgepack.runtimes import running

SIZE, SIDE, STEP = 4, 3, 1 / 16
SPREAD = np.array([1, 1 / 2, 1 / 8, 1 / 32])  # far enough apart to tell one from another
BIAS = np.array([3, -5, 7, 2])  # in steps
LARGEST = {"int8": 127, "int4": 7}
STEPS = {"int8": 100, "int16": 20000}  # of the answer's range
WIDE = {"int8": "int32", "int16": "int64"}  # bias, by what is fed
CLOSE = {"int8": 1, "int16": 4}  # in steps
FLOAT_CLOSE = {"int8": 0.03, "int4": 0.03, "float16": 0.002}  # of the largest answer
SHAPES = {  # of what is fed, the weights, the answer; the dimension of the weights' channels
    "FULLY_CONNECTED": ((1, SIZE), (SIZE, SIZE), (1, SIZE), 0),
    "CONV_2D": ((1, SIDE, SIDE, SIZE), (SIZE, SIDE, SIDE, SIZE), (1, 1, 1, SIZE), 0),
    "DEPTHWISE_CONV_2D": ((1, SIDE, SIDE, SIZE), (1, SIDE, SIDE, SIZE), (1, 1, 1, SIZE), 3),
    "TRANSPOSE_CONV": ((1, 1, 1, SIZE), (SIZE, SIDE, SIDE, SIZE), (1, SIDE, SIDE, SIZE), 0),
}
OPTIONS = {
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "TRANSPOSE_CONV": schema.TransposeConvOptionsT,
}


@dataclass(frozen=True)
class Kind:
    """A layer of one operator, whose version is stated as 1.

    Args:
        operator: its name.
        fed: the type of what it is given, and of the answer.
        weights: their type.
        spread: they have a scale for each channel.
        expanded: a DEQUANTIZE makes float32 of them.
        narrow: the bias of int16 layers has 32 bits.
        halved: the bias is float16, too, and made float32 likewise.
    """

    operator: str
    fed: str
    weights: str
    spread: bool = False
    expanded: bool = False
    narrow: bool = False
    halved: bool = False

    @property
    def shapes(self):
        return SHAPES[self.operator]

    @cached_property
    def real(self):
        """The weights."""
        if self.weights == "float16":
            return np.random.default_rng(1).normal(size=self.shapes[1]).astype(np.float16)
        return self.stored * self.along(self.scales)

    @cached_property
    def stored(self):
        largest = LARGEST[self.weights]
        return np.random.default_rng(1).integers(-largest, largest + 1, self.shapes[1])

    @property
    def scales(self):
        return STEP * (SPREAD if self.spread else np.ones(1))

    def along(self, values):
        shape = [1] * len(self.shapes[1])
        shape[self.shapes[3]] = len(values)
        return np.reshape(values, shape)

    @cached_property
    def steps(self):
        """What is fed, in steps."""
        return np.random.default_rng(2).integers(-60, 60, self.shapes[0])

    @property
    def given(self):
        return self.steps.astype(self.fed) if self.fed != "float32" else self.floats

    @property
    def floats(self):
        return (self.steps * STEP).astype(np.float32)

    @cached_property
    def bias(self):
        return BIAS * STEP * (np.broadcast_to(self.scales, SIZE) if self.exact else 1.0)

    @property
    def exact(self):
        """Whether all is computed in integers."""
        return self.fed != "float32"

    @cached_property
    def answer(self):
        """Before it is rounded."""
        x, w = self.floats.astype(float), self.real.astype(float)
        if self.operator == "FULLY_CONNECTED":
            found = x @ w.T
        elif self.operator == "DEPTHWISE_CONV_2D":
            found = (x * w).sum((1, 2), keepdims=True)
        elif self.operator == "CONV_2D":
            found = np.einsum("bhwi,ohwi->bo", x, w)[:, None, None]
        else:
            found = np.einsum("bhwi,oyxi->byxo", x, w)
        return found + self.bias

    @property
    def step(self):
        """Of the answer."""
        return float(np.float32(np.abs(self.answer).max() / STEPS[self.fed]))

    @property
    def expected(self):
        return np.round(self.answer / self.step) if self.exact else self.answer

    @property
    def tolerance(self):
        if self.exact:
            return CLOSE[self.fed]
        close = 0.0005 if self.expanded and self.weights != "float16" else FLOAT_CLOSE[self.weights]
        return close * np.abs(self.answer).max()


def file_of(kind):
    """The layer alone, its weights and bias in the file."""
    if isinstance(kind, Plain):
        return kind.file()
    fed, weights, made, axis = kind.shapes
    fine = scaled([STEP], [0]) if kind.exact else None
    coarse = scaled([kind.step], [0]) if kind.exact else None
    scales = kind.scales.tolist()
    spread = None if kind.weights == "float16" else scaled(scales, [0] * len(scales), axis)
    bias_scales = scaled((kind.scales * STEP).tolist(), [0] * len(scales)) if kind.exact else None
    bias = "int32" if kind.narrow else WIDE.get(kind.fed, "float32")
    bias = "float16" if kind.halved else bias
    tensors = [
        tensor("x", kind.fed, fed, quantization=fine),
        tensor("w", kind.weights, weights, quantization=spread),
        tensor("b", bias, (SIZE,), quantization=bias_scales),
        tensor("y", kind.fed, made, quantization=coarse),
        tensor("shape", "int32", (len(made),)),
        tensor("expanded", "float32", weights),
        tensor("expanded_bias", "float32", (SIZE,)),
    ]
    w, b = 5 if kind.expanded else 1, 6 if kind.halved else 2
    inputs = [4, w, 0, b] if kind.operator == "TRANSPOSE_CONV" else [0, w, b]
    nodes = [("DEQUANTIZE", [1], [5])] * kind.expanded + [("DEQUANTIZE", [2], [6])] * kind.halved
    nodes.append((kind.operator, inputs, [3]))
    model = tflite_models.unpack(tflite_models.build(tensors, nodes, [0], [3]))
    in_steps = BIAS if kind.exact else kind.bias
    for place, data in ((1, _bytes(kind)), (2, in_steps.astype(bias)), (4, np.int32(made))):
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data if place == 1 else data.tobytes(), np.uint8)
        model.subgraphs[0].tensors[place].buffer = len(model.buffers)
        model.buffers.append(buffer)
    for code in model.operatorCodes:
        code.version = 1
    _set_options(kind, model.subgraphs[0].operators[-1])
    return tflite_models.pack(model)


def _bytes(kind):
    if kind.weights == "float16":
        return kind.real.tobytes()
    if kind.weights == "int8":
        return kind.stored.astype(np.int8).tobytes()
    low, high = kind.stored.reshape(-1, 2).T & 15  # two in a byte, the first one low
    return (low | high << 4).astype(np.uint8).tobytes()


def _set_options(kind, node):
    options = OPTIONS[kind.operator]()
    for name, value in {"strideW": 1, "strideH": 1, "padding": schema.Padding.VALID}.items():
        if hasattr(options, name):
            setattr(options, name, value)
    if kind.operator == "DEPTHWISE_CONV_2D":
        options.depthMultiplier = 1
    elif kind.fed == "int16":  # as the converter does
        wide = schema.TensorType.INT32 if kind.narrow else schema.TensorType.INT64
        options.quantizedBiasType = wide
    node.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__[:-1])
    node.builtinOptions = options


def _layers(*operators, **fields):
    return {operator: Kind(operator, **fields) for operator in operators}


def _named(what, layers):
    return {f"{operator} {what}": kind for operator, kind in layers.items()}


ALL = tuple(SHAPES)
KINDS = (
    _named("int8 per-channel", _layers(*ALL, fed="int8", weights="int8", spread=True))
    | _named("int8 per-tensor", _layers(*ALL, fed="int8", weights="int8"))
    | _named("dynamic per-channel", _layers(*ALL, fed="float32", weights="int8", spread=True))
    | _named("dynamic per-tensor", _layers(*ALL, fed="float32", weights="int8"))
    | _named("int16x8 per-channel", _layers(*ALL, fed="int16", weights="int8", spread=True))
    | _named("int16x8 per-tensor", _layers(*ALL, fed="int16", weights="int8"))
    | _named("float16", _layers(*ALL, fed="float32", weights="float16", expanded=True))
    | _named(
        "float16 float16-bias",
        _layers(*ALL, fed="float32", weights="float16", expanded=True, halved=True),
    )
    | _named(
        "weight-only per-channel",
        _layers(*ALL, fed="float32", weights="int8", spread=True, expanded=True),
    )
    | _named("weight-only per-tensor", _layers(*ALL, fed="float32", weights="int8", expanded=True))
    | _named("int8x4 per-channel", _layers(*ALL, fed="int8", weights="int4", spread=True))
    | _named("dynamic4 per-channel", _layers(*ALL, fed="float32", weights="int4", spread=True))
    | _named(
        "int16x8 int32-bias",
        _layers(*ALL, fed="int16", weights="int8", spread=True, narrow=True),
    )
    | CASES
)


def right(python, names, directory):
    """Those of some kinds whose file a runtime loads, and answers what it should."""
    jobs = [job_of(number, KINDS[name], directory) for number, name in enumerate(names)]
    answers = running.run_all(python, jobs, directory, {})
    told = zip(names, jobs, answers, strict=True)
    return {name for name, job, answer in told if not answer.reason and _close(KINDS[name], job)}


def job_of(number, kind, directory):
    """One file of a kind, what it is fed, and where the answer goes."""
    model, fed = directory / f"{number}.tflite", directory / f"{number}.bin"
    model.write_bytes(file_of(kind))
    fed.write_bytes(kind.given.tobytes())
    taken = ReplayedTensor(place=0, dtype=kind.fed, shape=kind.shapes[0], path=str(fed))
    given = taken.model_copy(update={"path": str(directory / f"{number}.npy")})
    return ReplayJob(
        model=str(model), count=1, threads=1, rounds=1, inputs=(taken,), outputs=(given,)
    )


def _close(kind, job):
    found = np.load(job.outputs[0].path)[0].astype(float)
    return found.shape == kind.expected.shape and bool(
        np.abs(found - kind.expected).max() <= kind.tolerance
    )
