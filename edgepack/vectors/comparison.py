"""How far answers are from each other. Runs in a worker."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.records.vectors import Differences

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def difference(mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    """The largest absolute difference of two arrays of one shape and type.

    What is not finite must be the same, NaN for NaN; else the difference is infinite.
    """
    if mine.dtype != theirs.dtype or mine.shape != theirs.shape:
        return np.inf
    mine, theirs = np.atleast_1d(mine), np.atleast_1d(theirs)
    if mine.dtype.kind not in "fc":
        return _steps(mine, theirs)
    known = np.isfinite(mine) & np.isfinite(theirs)
    if not np.array_equal(mine[~known], theirs[~known], equal_nan=True):
        return np.inf
    wide = np.result_type(mine.dtype, np.float64)
    apart = np.abs(mine[known].astype(wide) - theirs[known].astype(wide))
    return float(apart.max(initial=0.0))


def _steps(mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Of integers: in their own width, as 64 bits have no float and no signed difference."""
    if mine.dtype == np.bool_:
        mine, theirs = mine.view(np.uint8), theirs.view(np.uint8)
    unsigned = np.dtype(f"u{mine.dtype.itemsize}")
    with np.errstate(over="ignore"):
        apart = (np.maximum(mine, theirs) - np.minimum(mine, theirs)).view(unsigned)
    return float(apart.max(initial=0))


def largest(
    mine: Sequence[NDArray[Any]], theirs: Sequence[NDArray[Any]]
) -> list[tuple[float, int]]:
    """By output the largest difference over invocations, and at which one it is.

    Args:
        mine: one array an output, [count, ...].
        theirs: the same outputs.
    """
    found = [
        [difference(ours, other) for ours, other in zip(*pair, strict=True)]
        for pair in zip(mine, theirs, strict=True)
    ]
    return [(max(row), int(np.argmax(row))) for row in found]


def differences(mine: Sequence[NDArray[Any]], recorded: Sequence[NDArray[Any]]) -> Differences:
    """How far answers are from the recorded ones, and whether each is nearest to its own.

    Args:
        mine: one array an output, [k, ...].
        recorded: the same outputs, [count, ...]; the first k of them are what `mine` should be.
    """
    found = largest(mine, [array[: len(mine[0])] for array in recorded])
    return Differences(
        largest=tuple(value for value, _ in found),
        invocations=tuple(at for _, at in found),
        recognised=all(value < np.inf for value, _ in found) and _recognised(mine, recorded),
    )


def _recognised(mine: Sequence[NDArray[Any]], recorded: Sequence[NDArray[Any]]) -> bool:
    scales = [_scale(array) for array in recorded]

    def apart(row: int, other: int) -> float:
        pairs = zip(mine, recorded, scales, strict=True)
        return max(difference(a[row], b[other]) / scale for a, b, scale in pairs)

    others = range(len(recorded[0]))
    return all(
        apart(row, row) <= min(apart(row, other) for other in others) for row in range(len(mine[0]))
    )


def _scale(array: NDArray[Any]) -> float:
    """By what an output's differences become comparable with another's: its largest value."""
    return peak(array) or 1.0


def peak(array: NDArray[Any]) -> float:
    """The largest finite absolute value; 0 where there is none."""
    wide = np.abs(array.astype(np.result_type(array.dtype, np.float64)))
    return float(wide[np.isfinite(wide)].max(initial=0.0))


def pairs(arrays: Sequence[NDArray[Any]]) -> tuple[tuple[int, int, tuple[float, ...]], ...]:
    """Every two invocations, with the difference of each output between them."""
    rows = range(len(arrays[0]))
    return tuple(
        (one, other, tuple(difference(array[one], array[other]) for array in arrays))
        for one, other in combinations(rows, 2)
    )
