"""Why a source model's accuracy is at chance or off: class order, value range, colours.

The questions are put to the source model itself, before anything is converted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.engines.loading import answer_all, load
from edgepack.measure import metrics, predictions
from edgepack.records.base import Record
from edgepack.stats import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import ArrayRef, DatasetSpec, Outputs, Preprocess, SplitData
    from edgepack.records.stages import SourceModel

LEAST = 20  # samples, below which an order may fit both halves by luck
LIFT = 0.2  # accuracy that another class order must add, on samples it was not chosen by
RIGHT = 0.5  # accuracy that it must exceed there, beyond doubt: a guess of two classes reaches it
CLEAR = 0.1  # accuracy that another preparation must add
SHOWN = 10
PROPORTIONS = {"top-1", "top-5", "accuracy", "auc", "mean-iou"}
RANGES = {"0 to 255": (0.0, 255.0), "0 to 1": (0.0, 1.0), "-1 to 1": (-1.0, 1.0)}
AUDIO_RANGES = {"-32768 to 32767": (-32768.0, 32768.0), "-1 to 1": (-1.0, 1.0)}
HEADROOM = 1.2  # how far resampling filters may overshoot a range


class Alternative(Record):
    """Another way to prepare one input: value * scale + offset, channels in reverse or not."""

    name: str
    scale: float = 1.0
    offset: float = 0.0
    reverse_channels: bool = False
    axis: int = -1
    hint: str


def permuted_classes(
    outputs: Outputs, labels: ArrayRef, spec: DatasetSpec, classes: tuple[str, ...]
) -> str:
    """Say so where another order of the classes makes the model right.

    The order is the one that maximises the trace of the confusion matrix. With few samples a class
    some order always looks better, so it must prove itself first: chosen by one half of each
    class's samples, and judged by the other.

    Args:
        outputs: the source model's answers.
        labels: class indices into `classes`.
        spec: names the output that the labels speak of.
        classes: names in the order that the dataset has now; may be empty.

    Returns:
        A sentence with the likely order, or "" where the present one is as good.
    """
    array = open_array(outputs.arrays[metrics.output_name(outputs.arrays, spec)])
    true = predictions.class_labels(np.asarray(open_array(labels)))
    answers = predictions.class_ids(array)
    known = (answers >= 0) & (true >= 0)
    true, answers = true[known], answers[known]
    if len(true) < LEAST:
        return ""
    size = int(max(len(classes), true.max() + 1, answers.max() + 1))
    base, proven = float((true == answers).mean()), _held_out(true, answers, size)
    if wilson(proven * len(true), len(true)).low <= RIGHT or proven <= base + LIFT:
        return ""
    place = _assign(true, answers, size)
    return _order_sentence(place, classes, base, float((place[true] == answers).mean()))


def _assign(true: NDArray[np.int64], answers: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """The output index of each class that fits most samples; its own where none speaks."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import confusion_matrix

    table = confusion_matrix(true, answers, labels=range(size)) + 0.5 * np.eye(size) / size
    place: NDArray[np.int64] = linear_sum_assignment(table, maximize=True)[1]
    return place


def _held_out(true: NDArray[np.int64], answers: NDArray[np.int64], size: int) -> float:
    """Accuracy of orders chosen by every other sample of a class, on the rest, both ways."""
    order = np.argsort(true, kind="stable")
    half = np.zeros(len(true), bool)
    half[order] = (np.arange(len(true)) - np.searchsorted(true[order], true[order])) % 2 == 0
    right = 0
    for chosen in (half, ~half):
        place = _assign(true[chosen], answers[chosen], size) if chosen.any() else np.arange(size)
        right += int((place[true[~chosen]] == answers[~chosen]).sum())
    return right / len(true)


def _order_sentence(
    place: NDArray[np.int64], classes: tuple[str, ...], base: float, lifted: float
) -> str:
    start = (
        "the order of classes in the dataset spec is likely wrong: with another one, accuracy is "
        f"{lifted:.3f} instead of {base:.3f}"
    )
    if len(place) == len(classes):
        names = [classes[label] for label in np.argsort(place)]
        return f"{start}. Try classes = {json.dumps(names, ensure_ascii=False)}"
    moved = [f"{label} is output {to}" for label, to in enumerate(place.tolist()) if label != to]
    more = ", ..." if len(moved) > SHOWN else ""
    return f"{start}. Likely label {', '.join(moved[:SHOWN])}{more}"


def alternatives(
    spec: DatasetSpec, ranges: Mapping[str, tuple[float, float]]
) -> tuple[Alternative, ...]:
    """Preparations that are commonly mistaken for the one the spec declares.

    Values of 0 to 255, 0 to 1 and -1 to 1 for one another (for WAV files, 16-bit values and
    -1 to 1), and BGR for RGB where samples are images of three channels.

    Args:
        spec: the dataset spec.
        ranges: smallest and largest prepared value, by input name.
    """
    return tuple(
        alternative
        for name in sorted(ranges)
        for alternative in _of_input(name, spec, ranges[name])
    )


def _of_input(name: str, spec: DatasetSpec, found: tuple[float, float]) -> tuple[Alternative, ...]:
    step = spec.preprocess(name)
    mapped = [
        Alternative(
            name=name,
            scale=scale,
            offset=offset,
            hint=_range_hint(name, step, found, scale, offset),
        )
        for scale, offset in _rescalings(spec, found)
    ]
    if not spec.kind.startswith("image") or step.color not in {"rgb", "bgr"}:
        return tuple(mapped)
    color = "bgr" if step.color == "rgb" else "rgb"
    axis = -3 if step.layout == "nchw" else -1
    hint = f'channels in the order {color.upper()} (inputs.{name}.color = "{color}")'
    swap = {"reverse_channels": True, "axis": axis}
    swapped = [a.model_copy(update={**swap, "hint": f"{a.hint} and {hint}"}) for a in mapped]
    return (*mapped, Alternative(name=name, reverse_channels=True, axis=axis, hint=hint), *swapped)


def _rescalings(spec: DatasetSpec, found: tuple[float, float]) -> list[tuple[float, float]]:
    """Scale and offset that lead from the present range to each other one."""
    if spec.kind == "table":
        return []
    ranges = AUDIO_RANGES if spec.kind == "audio" else RANGES
    present = _present(ranges, found)
    low, high = ranges[present]
    steps = []
    for key, (to_low, to_high) in ranges.items():
        scale = (to_high - to_low) / (high - low)
        if key != present:
            steps.append((scale, to_low - low * scale))
    return steps


def _present(ranges: Mapping[str, tuple[float, float]], found: tuple[float, float]) -> str:
    """The narrowest range that holds all values, else the widest."""
    widths = sorted(ranges, key=lambda key: ranges[key][1] - ranges[key][0])
    for key in widths:
        low, high = ranges[key]
        slack = (HEADROOM - 1) * (high - low) / 2
        if low - slack <= found[0] and found[1] <= high + slack:
            return key
    return widths[-1]


def _range_hint(
    name: str, step: Preprocess, found: tuple[float, float], scale: float, offset: float
) -> str:
    low, high = (end * scale + offset for end in found)
    values = f"values of {low:.3g} to {high:.3g}"
    if step.mean or step.std:
        return f"{values} (inputs.{name}.scale and offset in place of mean and std)"
    to_scale, to_offset = step.scale * scale, step.offset * scale + offset
    return (
        f"{values} (inputs.{name}.scale = {to_scale:.6g}, inputs.{name}.offset = {to_offset:.6g})"
    )


def transform(array: NDArray[Any], alternative: Alternative) -> NDArray[Any]:
    """Prepared samples [n, ...] as the alternative would have prepared them, of the same type."""
    mapped = np.asarray(array)
    if alternative.reverse_channels:
        mapped = np.flip(mapped, alternative.axis)
    if (alternative.scale, alternative.offset) == (1.0, 0.0):
        return mapped
    values = mapped * np.float64(alternative.scale) + alternative.offset
    if array.dtype.kind in "iu":
        limits = np.iinfo(array.dtype)
        values = np.round(values).clip(limits.min, limits.max)
    return values.astype(array.dtype)


def explain(results: tuple[tuple[Alternative, float], ...], base: float) -> str:
    """Name the preparation that makes the model clearly more accurate, or "" if none does.

    Args:
        results: alternatives with the accuracy that each gives.
        base: accuracy with the present preparation, on the same samples.
    """
    if not results:
        return ""
    best, accuracy = max(results, key=lambda result: result[1])
    if accuracy < base + CLEAR:
        return ""
    return (
        f"input {best.name!r} likely expects {best.hint}: accuracy is then {accuracy:.3f} instead "
        f"of {base:.3f}"
    )


def try_alternatives(
    source: SourceModel, split: SplitData, spec: DatasetSpec, root: Path, limit: int = 256
) -> str:
    """Run the source model on differently prepared samples, and say which preparation fits.

    Args:
        source: the model.
        split: samples as the spec prepares them, with labels; the first `limit` are used.
        spec: the dataset spec; its first metric is what counts.
        root: folder that a user's metric is imported from; such metrics are not tried.
        limit: most samples to run.

    Returns:
        A sentence, or "" where no alternative is clearly better or accuracy is no proportion.
    """
    arrays = {name: np.asarray(open_array(ref)[:limit]) for name, ref in split.inputs.items()}
    if split.labels is None or not split.samples:
        return ""
    labels = np.asarray(open_array(split.labels)[:limit])
    model = load(source)

    def accuracy(inputs: Mapping[str, NDArray[Any]]) -> float | None:
        first = metrics.measures(answer_all(model, inputs), labels, spec, root)[:1]
        return first[0].overall() if first and first[0].name in PROPORTIONS else None

    base = accuracy(arrays)
    if base is None:
        return ""
    results = []
    for other in alternatives(spec, _ranges(arrays)):
        value = accuracy({**arrays, other.name: transform(arrays[other.name], other)})
        results.append((other, 0.0 if value is None else value))
    return explain(tuple(results), base)


def _ranges(arrays: Mapping[str, NDArray[Any]]) -> dict[str, tuple[float, float]]:
    return {
        name: (float(array.min()), float(array.max()))
        for name, array in arrays.items()
        if array.dtype.kind in "iuf" and np.isfinite(array).all()
    }
