"""One candidate of a search: its answers, and its latency beside float32's. Runs in a worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgepack.engines import interpreter
from edgepack.engines.arrays import open_array
from edgepack.measure import accuracy
from edgepack.measure.agreement import health
from edgepack.measure.latency import measure_latency
from edgepack.records.search import TrialMeasure

if TYPE_CHECKING:
    from edgepack.records.dataset import ArrayRef, DatasetSpec, Outputs, SplitData
    from edgepack.records.stages import TFLiteModel

ROUNDS = 15  # interleaved: the median of their ratios repeats within some two per cent
FILE, REFERENCE = "file", "reference"


def measure_trial(  # noqa: PLR0913 - both files, and what they are compared on
    model: TFLiteModel,
    reference: TFLiteModel | None,
    *,
    split: SplitData,
    source: Outputs,
    spec: DatasetSpec,
    root: Path,
    rows: int,
) -> TrialMeasure:
    """Run a file on the first `rows` samples (0: all), compare it with the source, time it.

    Args:
        model: the candidate.
        reference: the float32 file to time it beside; None leaves the times out.
        split: samples as the file takes them.
        source: the source's answers to all of them.
        spec: task, metrics and the output that labels speak of.
        root: folder that a user's metrics are imported from.
        rows: how many samples to take.

    Raises:
        ModelError: the runtime cannot load or run the file.
        DatasetError: labels or metrics do not fit the outputs.
    """
    with tempfile.TemporaryDirectory(prefix="edgepack-") as scratch:
        part = _first(split, rows)
        answers = Path(scratch, "answers")
        answers.mkdir()
        outputs = interpreter.smoke(model, part, answers)
        interpreter.predict(model, part, outputs, 0, part.samples)
        theirs = _head(source, part.samples, Path(scratch))
        labels = split.labels and _cut(split.labels, part.samples, Path(scratch, "labels.npy"))
        found = accuracy.evaluate(outputs, theirs, labels, spec, root)
        constant = {one.output for one in health(theirs) if one.constant}
    ratio, milliseconds = _timed(model, reference, split) if reference else (None, None)
    return TrialMeasure(
        samples=part.samples,
        drops=found.drops,
        metrics=found.metrics,
        agreement=found.agreement,
        health=tuple(
            one.model_copy(update={"constant": one.constant and one.output not in constant})
            for one in found.health
        ),
        latency_ms=milliseconds,
        latency_ratio=ratio,
    )


def _first(split: SplitData, rows: int) -> SplitData:
    return split.model_copy(update={"samples": min(rows or split.samples, split.samples)})


def _head(outputs: Outputs, rows: int, directory: Path) -> Outputs:
    """The first rows of a model's answers."""
    arrays = {
        name: _cut(ref, rows, directory / f"{number}.npy")
        for number, (name, ref) in enumerate(outputs.arrays.items())
    }
    return outputs.model_copy(update={"arrays": arrays, "samples": rows})


def _cut(ref: ArrayRef, rows: int, target: Path) -> ArrayRef:
    if rows == ref.shape[0]:
        return ref
    np.save(target, open_array(ref)[:rows])
    return ref.model_copy(update={"path": str(target), "shape": (rows, *ref.shape[1:])})


def _timed(model: TFLiteModel, reference: TFLiteModel, split: SplitData) -> tuple[float, float]:
    """Latency over the reference's by interleaved rounds, and in milliseconds."""
    models = {FILE: model, REFERENCE: reference}
    found = measure_latency(models, split, ((FILE, REFERENCE),), ROUNDS)
    return found.ratios[0].value, found.latencies[FILE].p50_ms
