"""Metrics of one model's outputs against labels, by task or by name. Runs in a worker."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import import_module
from math import isfinite, nan
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import DatasetError
from edgepack.measure import predictions
from edgepack.measure.predictions import finite_rows
from edgepack.stats import figure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import DatasetSpec, Task

KNOWN = ("top-1", "top-5", "mae", "rmse", "r2", "auc", "accuracy", "mean-iou")
LOWER_IS_BETTER = {"mae", "rmse"}
STANDARD: dict[Task, tuple[str, ...]] = {
    "classification": ("top-1",),
    "regression": ("mae", "rmse", "r2"),
    "binary": ("auc", "accuracy"),
    "segmentation": ("mean-iou",),
    "none": (),
}


@dataclass(frozen=True)
class Measure:
    """One metric of one model, to be taken on any choice of its samples.

    Attributes:
        name: as the dataset spec calls it.
        usable: [n], samples that it can be computed on. A proportion counts all: an answer that
            is not finite is a wrong one.
        value: the figure on the samples of these indices; NaN where it is undefined.
        hits: [n], which samples the model gets right; None unless the metric is a proportion.
    """

    name: str
    usable: NDArray[np.bool_]
    value: Callable[[NDArray[np.intp]], float]
    hits: NDArray[np.bool_] | None = None

    @property
    def higher_is_better(self) -> bool:
        """False for errors; true for the rest and for a user's own function."""
        return self.name not in LOWER_IS_BETTER

    def overall(self) -> float | None:
        """The figure on all usable samples, or None where it is undefined."""
        rows = np.flatnonzero(self.usable)
        value = self.value(rows) if len(rows) else nan
        return value if isfinite(value) else None


def measures(
    outputs: Mapping[str, NDArray[Any]], labels: NDArray[Any], spec: DatasetSpec, root: Path
) -> tuple[Measure, ...]:
    """The metrics that the spec asks for, the task's standard ones by default.

    Args:
        outputs: by name, [n, ...].
        labels: [n] class indices, [n] or [n, k] values, or [n, height, width] classes of pixels.
        spec: names the task, the output and the metrics.
        root: folder that a user's `module:function` is imported from.

    Raises:
        DatasetError: a metric or output is unknown, labels do not fit, a user's function fails.
    """
    array = outputs[output_name(outputs, spec)]
    if len(array) != len(labels):
        raise DatasetError(f"{len(labels)} labels for {len(array)} samples")
    return tuple(
        _user_function(name, outputs, labels, root)
        if ":" in name
        else _built_in(name, array, labels, spec)
        for name in spec.metrics or _standard(array, spec)
    )


def output_name(outputs: Mapping[str, object], spec: DatasetSpec) -> str:
    """The output that the labels speak of: the spec's, or the first by name.

    Raises:
        DatasetError: the model has no output of that name.
    """
    if not spec.output:
        return min(outputs)
    if spec.output not in outputs:
        raise DatasetError(
            f"the dataset's output {spec.output!r} is not one of the model's",
            hint=f"Set output to one of: {', '.join(sorted(outputs))}.",
        )
    return spec.output


def chance(labels: NDArray[Any] | None, spec: DatasetSpec) -> float | None:
    """The spec's first metric of always naming the commonest class, or classes for top-5.

    A half for an AUC. None for metrics that have no such thing, and without labels.
    """
    first = (spec.metrics or STANDARD[spec.task])[:1]
    if labels is None or not len(labels):
        return None
    if first == ("auc",):
        return 0.5
    if not {"top-1", "top-5", "accuracy"}.intersection(first):
        return None
    counts = np.unique(predictions.class_labels(labels), return_counts=True)[1]
    named = predictions.TOP if first == ("top-5",) else 1
    return figure(float(np.sort(counts)[-named:].sum() / len(labels)))


def _standard(array: NDArray[Any], spec: DatasetSpec) -> tuple[str, ...]:
    if spec.task == "classification" and predictions.columns(array) > predictions.TOP:
        return ("top-1", "top-5")
    return STANDARD[spec.task]


def _built_in(name: str, array: NDArray[Any], labels: NDArray[Any], spec: DatasetSpec) -> Measure:
    if name == "mean-iou":
        return _mean_iou(array, labels, len(spec.classes))
    if name == "auc":
        return _auc(array, labels)
    if name in {"mae", "rmse", "r2"}:
        return _regression(name, array, labels)
    return _proportion(name, _hits(name, array, labels))


def _hits(name: str, array: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    if name == "top-1":
        return predictions.top_1(array, labels)
    if name == "top-5":
        return predictions.top_5(array, labels)
    if name == "accuracy":
        return predictions.binary_hits(array, labels)
    raise DatasetError(
        f"there is no metric {name!r}",
        hint=f"Known metrics: {', '.join(KNOWN)}, or module:function.",
    )


def _proportion(name: str, hits: NDArray[np.bool_]) -> Measure:
    usable = np.ones(len(hits), bool)
    return Measure(name, usable, lambda rows: float(hits[rows].mean()), hits)


def _regression(name: str, array: NDArray[Any], labels: NDArray[Any]) -> Measure:
    """Errors of values; several values a sample are averaged as scikit-learn does.

    Outputs are as large as the labels here, and both are held in memory.
    """
    from sklearn import metrics

    score = {
        "mae": metrics.mean_absolute_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
    }[name]
    predicted = np.asarray(array, np.float64).reshape(len(array), -1)
    true = np.asarray(labels, np.float64).reshape(len(labels), -1)
    if predicted.shape != true.shape:
        raise DatasetError(
            f"labels of shape {labels.shape} do not fit an output of shape {array.shape}"
        )
    least = 2 if name == "r2" else 1

    def value(rows: NDArray[np.intp]) -> float:
        return float(score(true[rows], predicted[rows])) if len(rows) >= least else nan

    return Measure(name, finite_rows(predicted), value)


def _auc(array: NDArray[Any], labels: NDArray[Any]) -> Measure:
    from sklearn.metrics import roc_auc_score

    scores, _ = predictions.binary_scores(array)
    true = predictions.binary_labels(labels)

    def value(rows: NDArray[np.intp]) -> float:
        both = true[rows].any() and not true[rows].all()
        return float(roc_auc_score(true[rows], scores[rows])) if both else nan

    return Measure("auc", np.isfinite(scores), value)


def _mean_iou(array: NDArray[Any], labels: NDArray[Any], classes: int) -> Measure:
    """Intersection over union, averaged over the classes that occur in labels or answers."""
    both, either, usable = predictions.overlaps(array, labels, classes)

    def value(rows: NDArray[np.intp]) -> float:
        union = either[rows].sum(0)
        seen = union > 0
        return float((both[rows].sum(0)[seen] / union[seen]).mean()) if seen.any() else nan

    return Measure("mean-iou", usable, value)


def _user_function(
    name: str, outputs: Mapping[str, NDArray[Any]], labels: NDArray[Any], root: Path
) -> Measure:
    function = _load(name, root)
    usable = np.logical_and.reduce([finite_rows(array) for array in outputs.values()])

    def value(rows: NDArray[np.intp]) -> float:
        return _call(name, function, labels[rows], {n: a[rows] for n, a in outputs.items()})

    return Measure(name, usable, value)


def _load(name: str, root: Path) -> Callable[..., object]:
    module, _, function = name.partition(":")
    sys.path.insert(0, str(root))
    try:
        found: Callable[..., object] = getattr(import_module(module), function)
    except Exception as error:
        raise DatasetError(
            f"the metric {name!r} cannot be imported: {type(error).__name__}: {error}", where=root
        ) from error
    finally:
        sys.path.remove(str(root))
    return found


def _call(
    name: str,
    function: Callable[..., object],
    labels: NDArray[Any],
    outputs: dict[str, NDArray[Any]],
) -> float:
    try:
        value = function(labels, outputs)
    except Exception as error:
        raise DatasetError(
            f"the metric {name!r} failed: {type(error).__name__}: {error}",
            hint="It is called with (labels, outputs), outputs being arrays by name.",
        ) from error
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if not isinstance(value, Real) or isinstance(value, bool):
        raise DatasetError(f"the metric {name!r} returned {type(value).__name__}, not a number")
    return float(value)
