"""How close a model's outputs are to a reference's on the same samples. Runs in a worker."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, log10, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.errors import ModelError
from edgepack.measure.predictions import chunks, class_ids, columns, flat
from edgepack.records.evidence import Agreement, OutputHealth
from edgepack.stats import figure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.records.dataset import Outputs, Task

SCORES = 2  # dimensions of [n, classes]
SCORE_MAPS = 4  # dimensions of [n, height, width, classes]
DECIDED: tuple[Task, ...] = ("classification", "binary")  # a single number is a class, or a sigmoid


def agreement(candidate: Outputs, reference: Outputs, task: Task = "none") -> tuple[Agreement, ...]:
    """Compare every output with the reference's of the same name.

    The task says whether numbers are scores of classes: a regression has none, and maps of them
    are those of a segmentation. Of an output of one number a sample, cosine is that of all samples
    together, for two single numbers always point the same way or the opposite one.

    Errors are taken over the elements that are finite in both. A sample that is not finite has
    another argmax and, where the reference's is, a cosine of 0. A figure without anything to take
    it from is None.

    Raises:
        ModelError: an output is missing in one of the two, or differs in shape.
    """
    lone = sorted(candidate.arrays.keys() ^ reference.arrays.keys())
    if lone:
        missing = "model" if lone[0] in reference.arrays else "reference"
        raise ModelError(f"the {missing} has no output {lone[0]!r}, which the other has")
    return tuple(
        _compare(name, open_array(candidate.arrays[name]), open_array(reference.arrays[name]), task)
        for name in sorted(reference.arrays)
    )


def health(outputs: Outputs) -> tuple[OutputHealth, ...]:
    """Count elements that are not finite, and find outputs that never change, by output."""
    return tuple(_health(name, open_array(outputs.arrays[name])) for name in sorted(outputs.arrays))


def _health(name: str, array: NDArray[Any]) -> OutputHealth:
    first = flat(array[:1])
    non_finite, constant = 0, len(array) > 1
    for part in chunks(array):
        rows = flat(array[part])
        non_finite += int(rows.size - np.isfinite(rows).sum())
        constant = constant and bool(((rows == first) | (np.isnan(rows) & np.isnan(first))).all())
    return OutputHealth(output=name, non_finite=non_finite, constant=constant)


@dataclass
class _Sums:
    """What chunks of samples add up to."""

    classes: int  # scores on the last axis that an argmax is taken of; 0 for none
    same: float = 0.0
    cosines: list[float] = field(default_factory=list)
    elements: int = 0
    largest: float = 0.0
    peak: float = 0.0
    absolute: float = 0.0
    error: float = 0.0
    signal: float = 0.0

    def add(self, mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> None:
        """Take in rows [k, elements] of both."""
        known = np.isfinite(mine) & np.isfinite(theirs)
        finite = known.all(1)
        self.same += self._same(mine, theirs, finite)
        self.cosines += _cosines(mine, theirs)
        difference = np.abs(mine[known] - theirs[known])
        self.elements += difference.size
        self.largest = max(self.largest, float(difference.max(initial=0)))
        self.peak = max(self.peak, float(np.abs(theirs[known]).max(initial=0)))
        self.absolute += float(difference.sum())
        self.error += float(np.square(difference).sum())
        self.signal += float(np.square(theirs[known]).sum())

    def _same(
        self, mine: NDArray[np.float64], theirs: NDArray[np.float64], finite: NDArray[np.bool_]
    ) -> float:
        if not self.classes:
            return 0.0
        split = (len(mine), -1, self.classes)
        equal = mine.reshape(split).argmax(2) == theirs.reshape(split).argmax(2)
        return float(equal.mean(1)[finite].sum())


def _cosines(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> list[float]:
    """Cosine similarity of each row whose reference is finite, left out where both are zero.

    Where only one of them has a direction, as the other is zero or not finite, it is 0.
    """
    known = np.isfinite(theirs).all(1)
    mine, theirs = _unit(mine[known]), _unit(theirs[known])
    some = mine.any(1) | theirs.any(1) | ~np.isfinite(mine).all(1)
    cosines = np.nan_to_num((mine[some] * theirs[some]).sum(1), nan=0.0).clip(-1, 1)
    found: list[float] = cosines.tolist()
    return found


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of length one; zero rows stay zero, and rows that are not finite become NaN."""
    largest = np.abs(rows).max(1, keepdims=True, initial=0)
    with np.errstate(invalid="ignore"):
        scaled = rows / np.where(largest > 0, largest, 1)  # so that squares cannot overflow
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        unit: NDArray[np.float64] = scaled / np.where(lengths > 0, lengths, 1)
    return unit


def _compare(name: str, mine: NDArray[Any], theirs: NDArray[Any], task: Task) -> Agreement:
    if mine.shape != theirs.shape:
        raise ModelError(
            f"output {name!r} has shape {mine.shape[1:]}, the reference's {theirs.shape[1:]}"
            if len(mine) == len(theirs)
            else f"output {name!r} has {len(mine)} samples, the reference's {len(theirs)}"
        )
    sums = _Sums(_scores(mine, task))
    with np.errstate(over="ignore"):
        for part in chunks(mine):
            sums.add(flat(mine[part]), flat(theirs[part]))
    found = _figures(name, len(mine), sums)
    return found if columns(mine) > 1 else _of_single_numbers(found, mine, theirs, task)


def _of_single_numbers(
    found: Agreement, mine: NDArray[Any], theirs: NDArray[Any], task: Task
) -> Agreement:
    """Cosine over all samples; as top-1, the share of equal class indices or decisions."""
    cosines = _cosines(flat(mine).reshape(1, -1), flat(theirs).reshape(1, -1))
    top1 = None
    if task in DECIDED:
        answer = class_ids(mine)
        top1 = figure(float(((answer == class_ids(theirs)) & (answer >= 0)).mean()))
    return found.model_copy(
        update={"cosine": _figure(cosines[0]) if cosines else None, "top1": top1}
    )


def _scores(array: NDArray[Any], task: Task) -> int:
    """Classes on the last axis of [n, classes] or [n, height, width, classes]; 0 elsewhere."""
    ranks = {
        "none": {SCORES, SCORE_MAPS},
        "regression": set[int](),
        "segmentation": {SCORE_MAPS},
    }.get(task, {SCORES})
    return array.shape[-1] if array.ndim in ranks and array.shape[-1] > 1 else 0


def _figures(name: str, samples: int, sums: _Sums) -> Agreement:
    known = sums.elements > 0
    both = sums.error > 0 and sums.signal > 0
    return Agreement(
        output=name,
        samples=samples,
        top1=_figure(sums.same / samples) if sums.classes else None,
        cosine=_figure(float(np.mean(sums.cosines))) if sums.cosines else None,
        snr_db=_figure(10 * (log10(sums.signal) - log10(sums.error))) if both else None,
        max_abs_error=_figure(sums.largest) if known else None,
        max_abs_reference=_figure(sums.peak) if known else None,
        mean_abs_error=_figure(sums.absolute / sums.elements) if known else None,
        relative_error=_figure(sqrt(sums.error / sums.signal)) if sums.signal else None,
    )


def _figure(value: float) -> float | None:
    return figure(value) if isfinite(value) else None
