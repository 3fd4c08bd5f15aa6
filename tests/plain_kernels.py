"""Files of one operator without a bias, with what they should answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tflite_models
from tflite_models import scaled, schema, tensor

STEP = 1 / 16
ZERO = {"int8": (3, -7, -5)}  # of what is fed, of the constant, of the answer; others have 0
LARGEST = {"int8": 100, "int16": 20000}  # steps of an answer
CLOSE = {"int8": 2, "int16": 40}
FLOAT_CLOSE = 0.03  # of the largest answer
ROWS, BATCH, COLUMNS = 4, 2, 3
SPREAD = np.array([1, 1 / 4, 1 / 16])
WIDE, APART = (2, 1, 2, 1, 3), (1, 2, 1, 2, 1)  # five dimensions


@dataclass(frozen=True)
class Plain:
    """One operator, whose version is stated as 1, fed with one tensor.

    Args:
        operator: its name.
        fed: the type of what it is given, and of the answer.
        shape: of what it is given.
        answer: of the operator, from what is fed and from the constant.
        constant: whole numbers, in the operator's own sense or in steps; None where it has none.
        kind: the constant's type.
        spread: it has a scale for each column; 0 is its zero point then.
        first: the constant comes first.
        options: the class and its fields.
        last: a constant behind the others, as int32.
        finer: what is fed has so many steps for each of STEP.
        kept: the answer has the scale of what is fed.
        beyond: the largest answers are out of the type's range, and stop at its end.
    """

    operator: str
    fed: str
    shape: tuple[int, ...]
    answer: object
    constant: np.ndarray | None = None
    kind: str = "int32"
    spread: bool = False
    first: bool = False
    options: tuple[str, dict[str, object]] = ("", {})
    last: tuple[int, ...] = ()
    finer: int = 1
    kept: bool = False
    beyond: bool = False

    @property
    def shapes(self):
        return (self.shape,)

    @property
    def exact(self):
        return self.fed != "float32"

    @property
    def zeros(self):
        fed = ZERO.get(self.fed, (0, 0, 0))
        return (fed[0], 0 if self.spread else fed[1], fed[2])

    @cached_property
    def steps(self):
        return np.random.default_rng(2).integers(-60, 60, self.shape)

    @property
    def given(self):
        if self.exact:
            return (self.steps * self.finer + self.zeros[0]).astype(self.fed)
        return (self.steps * STEP).astype(np.float32)

    @property
    def scales(self):
        return STEP * (SPREAD if self.spread else np.ones(1))

    @property
    def real(self):
        """The constant, as the operator takes it."""
        if self.constant is None or self.kind == "int32":
            return self.constant
        return self.constant * self.scales

    @cached_property
    def result(self):
        return np.asarray(self.answer(self.steps * STEP, self.real))

    @property
    def step(self):
        if self.kept:
            return STEP / self.finer
        most = LARGEST[self.fed] * (1 + self.beyond)
        return float(np.float32(np.abs(self.result).max() / most))

    @property
    def expected(self):
        if not self.exact:
            return self.result
        ends = np.iinfo(self.fed)
        return np.clip(np.round(self.result / self.step) + self.zeros[2], ends.min, ends.max)

    @property
    def tolerance(self):
        return CLOSE[self.fed] if self.exact else FLOAT_CLOSE * np.abs(self.result).max()

    def file(self):
        """The operator alone."""
        constants = [self._constant()] if self.constant is not None else []
        if self.last:
            constants.append((np.array(self.last, np.int32), "int32", None))
        tensors = [
            tensor("x", self.fed, self.shape, quantization=self._scale(STEP / self.finer, 0)),
            tensor("y", self.fed, self.result.shape, quantization=self._scale(None, 2)),
            *(
                tensor(f"c{n}", kind, data.shape, quantization=scale)
                for n, (data, kind, scale) in enumerate(constants)
            ),
        ]
        places = list(range(2, len(tensors)))
        inputs = [2, 0, *places[1:]] if self.first else [0, *places]
        made = tflite_models.build(tensors, [(self.operator, inputs, [1])], [0], [1])
        model = tflite_models.unpack(made)
        for place, (data, _, _) in zip(places, constants, strict=True):
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.subgraphs[0].tensors[place].buffer = len(model.buffers)
            model.buffers.append(buffer)
        for code in model.operatorCodes:
            code.version = 1
        self._set_options(model.subgraphs[0].operators[0])
        return tflite_models.pack(model)

    def _constant(self):
        if self.kind in ("int32", "float32"):
            return self.real.astype(self.kind), self.kind, None
        scales, axis = self.scales.tolist(), self.constant.ndim - 1
        zero = self.zeros[1]
        quantization = scaled(scales, [zero] * len(scales), axis if self.spread else 0)
        return (self.constant + zero).astype(self.kind), self.kind, quantization

    def _scale(self, step, place):
        if not self.exact:
            return None
        return scaled([self.step if step is None else step], [self.zeros[place]])

    def _set_options(self, node):
        name, fields = self.options
        if not name:
            return
        options = getattr(schema, f"{name}T")()
        for key, value in fields.items():
            assert hasattr(options, key)
            setattr(options, key, value)
        node.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        node.builtinOptions = options


def _numbers(shape, low=-60, high=60):
    return np.random.default_rng(1).integers(low, high, shape)


def _sum(x, axes):
    return x.sum(tuple(axes))


def _gelu(x, _):
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def _scattered(updates, places):
    found = np.zeros((6, updates.shape[1]))
    found[places[:, 0]] = updates
    return found


def _divisor(fed):
    return Plain(
        "DIV",
        fed,
        (1, ROWS),
        np.divide,
        _numbers((1, ROWS), 20, 60),
        fed,
        options=("DivOptions", {}),
    )


def _total(fed):
    options = ("ReducerOptions", {"keepDims": False})
    return Plain("SUM", fed, (1, 3, 3, ROWS), _sum, np.array([1, 2]), options=options, beyond=True)


def _product(fed, spread):
    weights = _numbers((BATCH, ROWS, COLUMNS))
    options = ("BatchMatMulOptions", {})
    shape = (BATCH, 2, ROWS)
    return Plain("BATCH_MATMUL", fed, shape, np.matmul, weights, "int8", spread, options=options)


def _broadcast(operator, function, fed):
    options = (f"{operator.title()}Options", {})
    return Plain(operator, fed, WIDE, function, _numbers(APART), fed, options=options)


BROADCAST = {"ADD": np.add, "MUL": np.multiply, "SUB": np.subtract}
CASES = (
    {f"DIV {fed}": _divisor(fed) for fed in ("int8", "int16")}
    | {f"SUM {fed}": _total(fed) for fed in ("int8", "int16")}
    | {
        f"BATCH_MATMUL {kind} per-{'channel' if spread else 'tensor'}": _product(fed, spread)
        for kind, fed in (("int8", "int8"), ("int16x8", "int16"), ("dynamic", "float32"))
        for spread in (True, False)
    }
    | {
        f"{operator} {fed} 5-D broadcast": _broadcast(operator, function, fed)
        for operator, function in BROADCAST.items()
        for fed in ("float32", "int8", "int16")
    }
    | {
        "GELU int16": Plain(
            "GELU", "int16", (1, ROWS), _gelu, options=("GeluOptions", {}), finer=256
        ),
        "TILE int16": Plain("TILE", "int16", (1, ROWS), np.tile, np.array([2, 3]), kept=True),
        "SQUARED_DIFFERENCE int16": Plain(
            "SQUARED_DIFFERENCE",
            "int16",
            (1, ROWS),
            lambda x, y: (x - y) ** 2,
            _numbers((1, ROWS)),
            "int16",
            options=("SquaredDifferenceOptions", {}),
        ),
        "SCATTER_ND int16": Plain(
            "SCATTER_ND",
            "int16",
            (2, ROWS),
            _scattered,
            np.array([[1], [4]]),
            first=True,
            options=("ScatterNdOptions", {}),
            last=(6, ROWS),
            kept=True,
        ),
    }
)
