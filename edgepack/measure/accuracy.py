"""Accuracy of one model on labelled samples, and against another's. Runs in a worker."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.errors import DatasetError
from edgepack.measure import metrics
from edgepack.measure.agreement import agreement, health
from edgepack.records.evidence import Accuracy, Drop, Interval, Metric
from edgepack.stats import bootstrap, figure, newcombe_paired, wilson

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.measure.metrics import Measure
    from edgepack.records.dataset import ArrayRef, DatasetSpec, Outputs

RESAMPLES = 500


def evaluate(
    candidate: Outputs,
    reference: Outputs | None,
    labels: ArrayRef | None,
    spec: DatasetSpec,
    root: Path,
) -> Accuracy:
    """Everything that the outputs of one model say, with labels and against a reference.

    Args:
        candidate: outputs of the model.
        reference: outputs of the source on the same samples; None where the model is the source.
        labels: what is right, or None: then there are no metrics and no drops.
        spec: names the task, the output that the labels speak of, and the metrics.
        root: folder that a user's `module:function` is imported from.

    Raises:
        DatasetError: labels or metrics do not fit the outputs, or a user's metric fails.
        ModelError: the two models' outputs differ in name or shape.
    """
    own = _measures(candidate, labels, spec, root)
    return Accuracy(
        samples=candidate.samples,
        metrics=tuple(m for m in map(_metric, own) if m),
        drops=_drops(own, _measures(reference, labels, spec, root)) if reference else (),
        agreement=agreement(candidate, reference, spec.task) if reference else (),
        health=health(candidate),
    )


def compare(
    candidate: Outputs, reference: Outputs, labels: ArrayRef | None, spec: DatasetSpec, root: Path
) -> tuple[Drop, ...]:
    """How much worse a model is than a reference, metric by metric; nothing without labels.

    A metric that is undefined for one of them, as nothing it says is finite, has no drop.
    Arguments and errors are those of `evaluate`.
    """
    ours = _measures(candidate, labels, spec, root)
    return _drops(ours, _measures(reference, labels, spec, root))


def _measures(
    outputs: Outputs, labels: ArrayRef | None, spec: DatasetSpec, root: Path
) -> tuple[Measure, ...]:
    if labels is None:
        return ()
    arrays = {name: open_array(ref) for name, ref in outputs.arrays.items()}
    return metrics.measures(arrays, np.asarray(open_array(labels)), spec, root)


def _metric(measure: Measure) -> Metric | None:
    value = measure.overall()
    if value is None:
        return None
    samples = int(measure.usable.sum())
    return Metric(
        name=measure.name,
        value=figure(value),
        samples=samples,
        higher_is_better=measure.higher_is_better,
        interval=None if measure.hits is None else wilson(int(measure.hits.sum()), samples),
    )


def _drops(ours: tuple[Measure, ...], theirs: tuple[Measure, ...]) -> tuple[Drop, ...]:
    pairs = zip(ours, theirs, strict=True)
    return tuple(drop for mine, other in pairs if (drop := _drop(mine, other)))


def _drop(mine: Measure, other: Measure) -> Drop | None:
    if mine.hits is None or other.hits is None:
        return _resampled_drop(mine, other)
    both = int((mine.hits & other.hits).sum())
    lost, won = int(other.hits.sum()) - both, int(mine.hits.sum()) - both
    samples = len(mine.hits)
    return Drop(
        metric=mine.name,
        value=figure((lost - won) / samples),
        interval=newcombe_paired(both, lost, won, samples - both - lost - won),
        samples=samples,
        lost=lost,
        won=won,
    )


def _resampled_drop(mine: Measure, other: Measure) -> Drop | None:
    """The difference on the samples that both answer with finite values; positive is worse.

    None where it is undefined, or where fewer than two samples leave its interval so.
    """
    rows = np.flatnonzero(mine.usable & other.usable)
    sign = 1.0 if mine.higher_is_better else -1.0

    def difference(chosen: NDArray[np.intp]) -> float:
        return sign * (other.value(chosen) - mine.value(chosen))

    value = difference(rows) if len(rows) > 1 else nan
    interval = _interval(rows, difference) if isfinite(value) else None
    if interval is None:
        return None
    return Drop(metric=mine.name, value=figure(value), interval=interval, samples=len(rows))


def _interval(
    rows: NDArray[np.intp], statistic: Callable[[NDArray[np.intp]], float]
) -> Interval | None:
    """By seeded resamples of whole samples, the same ones for both models.

    Resamples that a user's function refuses, as they may lack a class, are left out; None where it
    refuses all.
    """

    def drawn(counts: NDArray[np.int64]) -> float:
        try:
            return statistic(np.repeat(rows, counts))
        except DatasetError:
            return nan

    try:
        return bootstrap(drawn, len(rows), resamples=RESAMPLES)
    except ValueError:
        return None
