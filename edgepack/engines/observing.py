"""Calibration: the float32 file runs on samples, and what its tensors hold is summarized."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.engines import statistics
from edgepack.engines.arrays import open_array, rows_of
from edgepack.engines.statistics import TensorStatistics, nothing, summarize
from edgepack.engines.tracing import open_trace
from edgepack.errors import QuantizationError
from edgepack.records.stages import Statistics, TFLiteModel
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.engines.statistics import Summary
    from edgepack.engines.tracing import Trace
    from edgepack.records.dataset import SplitData
    from edgepack.records.tensors import Signature

Halves = dict[str, list["Summary"]]


def observe(  # noqa: PLR0913, PLR0917 - one call of a worker
    float_model: str, signature: str, split: SplitData, target: Path, start: int, stop: int
) -> Statistics:
    """Run samples start to stop; summarize every float tensor, the even and the odd samples apart.

    Tensors inside of loops and branches are left out: only their last values could be seen.

    Args:
        float_model: the float32 .tflite.
        signature: the one that the samples are for; others that take the same inputs share them.
        split: the calibration split.
        target: where the statistics go.
        start: first sample.
        stop: the sample after the last.

    Raises:
        QuantizationError: another signature takes other inputs, or nothing was observed.
        RuntimeRefusalError: the file cannot be run.
    """
    found: Halves = {}
    stateful = reader.read(Path(float_model)).stateful
    runs = 0
    for name in _sharing(float_model, signature):
        model = TFLiteModel(path=float_model, sha256="", signature=name, stateful=stateful)
        runs += _observe(open_trace(model, split), split, range(start, stop), found)
    if runs and not found:
        raise QuantizationError("calibration observed no tensor", where=float_model)
    tensors = (TensorStatistics(name, (even, odd)) for name, (even, odd) in sorted(found.items()))
    statistics.save(tensors, target)
    return Statistics(samples=stop - start)


def _observe(trace: Trace, split: SplitData, rows: range, found: Halves) -> int:
    """Run every batch that begins among the rows; return how many did.

    Batches begin at multiples of their size, so that they are the same whatever the shards are.
    """
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    names = tuple(trace.activations())
    batches = range(-(-rows.start // trace.batch) * trace.batch, rows.stop, trace.batch)
    for row in batches:
        trace(rows_of(arrays, row, trace.batch))
        for name in names:
            values = trace.tensor(name)
            if values is not None:
                halves = found.setdefault(name, [nothing(), nothing()])
                halves[row // trace.batch % 2] += summarize(values)
    return len(batches)


def _sharing(model: str, signature: str) -> Iterator[str]:
    """Signatures that the samples are for.

    Raises:
        QuantizationError: one of the file's takes other inputs.
    """
    signatures = reader.read(Path(model)).signatures
    main = next((one for one in signatures if one.name == signature), signatures[0])
    for one in signatures:
        if _ports(one) != _ports(main):
            raise QuantizationError(
                f"the samples are for {main.name}, and {one.name} takes other inputs: "
                "no range of its tensors is known",
                where=model,
                hint="Leave that signature out of model.signatures, or build without int8.",
            )
        yield one.name


def _ports(signature: Signature) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {tensor.name: (tensor.dtype, tensor.dims) for tensor in signature.inputs}
