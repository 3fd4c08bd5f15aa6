"""What quantization does to each layer: a float32 and a quantized file side by side.

Both run on the same samples with every tensor kept, and tensors are matched by name: both engines
leave an operator's output its name, whatever its type becomes. Runs in a worker.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array, rows_of
from edgepack.engines.ranges import ranges
from edgepack.engines.tracing import open_trace
from edgepack.records.search import LayerSensitivity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edgepack.engines.tracing import Trace
    from edgepack.records.dataset import SplitData
    from edgepack.records.recipe import Group
    from edgepack.records.stages import TFLiteModel

    Array = NDArray[Any]

FLOAT16_MAX = 65504.0
LEAST_SAMPLES = 2  # of one alone, every channel has one value
MOST_DB = 150.0  # what float32's 24 bits can tell apart; stands for no error at all


@dataclass
class Tally:
    """Sums over samples of one tensor of the float32 file and its twin in the quantized one."""

    low: float | None
    high: float | None
    invocations: int = 0
    values: int = 0
    outside: int = 0
    largest: float = 0.0
    signal: float = 0.0
    noise: float = 0.0
    compared: int = 0
    least: Array | None = None  # of each channel
    most: Array | None = None

    def add(self, real: Array, twin: Array | None) -> None:
        """One invocation's values, and what the quantized file has in their place."""
        with np.errstate(invalid="ignore", over="ignore"):
            self._add(real.astype(np.float64), twin)

    def _add(self, values: Array, twin: Array | None) -> None:
        self.invocations += 1
        self.values += values.size
        self.largest = max(self.largest, float(np.fmax.reduce(np.abs(values), None, initial=0)))
        if self.low is not None and self.high is not None:
            self.outside += int(((values < self.low) | (values > self.high)).sum())
        self._add_channels(values)
        if twin is not None and twin.shape == values.shape:
            self.compared += values.size
            self.signal += float(np.square(values).sum())
            self.noise += float(np.square(twin.astype(np.float64) - values).sum())

    def _add_channels(self, values: Array) -> None:
        if not values.ndim or not values.size:
            return
        channels = values.reshape(-1, values.shape[-1])
        least, most = channels.min(0), channels.max(0)
        if self.least is None or self.most is None:
            self.least, self.most = least, most
        elif self.least.shape == least.shape:
            self.least, self.most = np.minimum(self.least, least), np.maximum(self.most, most)

    @property
    def snr_db(self) -> float | None:
        """10 log10 of the sum of squares over that of the errors, within +-150."""
        if not self.compared or not math.isfinite(self.signal + self.noise):
            return None
        if not self.noise:
            return MOST_DB
        ratio = self.signal / self.noise
        return max(-MOST_DB, min(MOST_DB, 10 * math.log10(ratio))) if ratio else -MOST_DB

    @property
    def rms_error(self) -> float | None:
        """Root of the mean squared error."""
        known = self.compared and math.isfinite(self.noise)
        return math.sqrt(self.noise / self.compared) if known else None

    @property
    def dead(self) -> int:
        """Channels that have one value for all samples; of a single sample none can be told."""
        if self.least is None or self.invocations < LEAST_SAMPLES:
            return 0
        return int((self.least == self.most).sum())


def layers(
    models: tuple[TFLiteModel, TFLiteModel],
    groups: tuple[Group, ...],
    statistics: str,
    split: SplitData,
    rows: int,
) -> tuple[LayerSensitivity, ...]:
    """Compare the groups' tensors of both files on the first `rows` samples.

    Args:
        models: the float32 .tflite that the groups are of, and what was made of it.
        groups: in graph order.
        statistics: path of the calibration statistics; empty where there are none.
        split: samples of the float32 file's signature.
        rows: samples to run at most.

    Returns:
        One record a group, of its tensor with the least SNR; without `harm`, `error` and `share`,
        which take files of their own.

    Raises:
        RuntimeRefusalError: the runtime cannot load or run one of them.
        SignatureError: a file's inputs are not the samples'.
    """
    known = ranges(statistics, "min-max") if statistics else {}
    names = [name for group in groups for name in group.tensors]
    tallies = {name: Tally(*known.get(name, (None, None))) for name in names}
    reference, other = (open_trace(model, split) for model in models)
    for _ in _steps(reference, other, split, rows):
        for name, tally in tallies.items():
            values = reference.tensor(name)
            if values is not None:
                tally.add(values, other.tensor(name))
    return tuple(_sensitivity(group, tallies, other) for group in groups)


def _steps(reference: Trace, other: Trace, split: SplitData, rows: int) -> Iterator[int]:
    """Run both files on the same samples, batch after batch; yields where each starts."""
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    for start in range(0, min(rows, split.samples), reference.batch):
        batch = rows_of(arrays, start, reference.batch)
        reference(batch)
        other(batch)
        yield start


def _sensitivity(group: Group, tallies: dict[str, Tally], other: Trace) -> LayerSensitivity:
    seen = [name for name in group.tensors if tallies[name].values]
    if not seen:
        return LayerSensitivity(
            group=group.name, ops=group.ops, tensor=next(iter(group.tensors), "")
        )
    name = _dominant(seen, tallies)
    tally, scale = tallies[name], other.scale(name)
    rms = tally.rms_error
    return LayerSensitivity(
        group=group.name,
        ops=group.ops,
        tensor=name,
        snr_db=tally.snr_db,
        error_over_scale=rms / scale if scale and rms is not None else None,
        low=tally.low,
        high=tally.high,
        saturation=None if tally.low is None else tally.outside / tally.values,
        channels=0 if tally.least is None else len(tally.least),
        dead_channels=tally.dead,
        float16_headroom=_headroom(tally.largest),
    )


def _dominant(names: Sequence[str], tallies: dict[str, Tally]) -> str:
    """The tensor with the least SNR; where none is known, the one nearest to float16's limit."""
    compared = [(snr, n) for n in names if (snr := tallies[n].snr_db) is not None]
    if compared:
        return min(compared, key=lambda pair: pair[0])[1]
    return max(names, key=lambda n: tallies[n].largest)


def _headroom(largest: float) -> float | None:
    return FLOAT16_MAX / largest if largest else None
