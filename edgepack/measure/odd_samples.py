"""Calibration samples that are not like the others: twins, noise, constants, outliers.

Runs in a worker.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.records.search import CalibrationAdvice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edgepack.records.dataset import SplitData

    Array = NDArray[Any]

DUPLICATES = 0.05  # share of samples, up to which twins are common in honest data
CONSTANTS = 0.05  # the same for samples of one value, such as digital silence
OUTLYING = 5.0  # times the median sample's largest absolute value
UNRELATED = 0.1  # correlation of neighbours, below which values are unrelated to each other
RELATED = 0.5  # what the median sample must reach for that to be odd
LEAST_VALUES = 64  # a sample's; of fewer, noise correlates by chance
LEAST_AXIS = 8  # values along an axis that has neighbours; shorter ones are channels
LEAST_SAMPLES = 4  # to have something to compare with
SHOWN = 5


def duplicates_and_noise(split: SplitData, rows: int) -> tuple[CalibrationAdvice, ...]:
    """What is odd about the first `rows` samples of a split.

    Exact duplicates, by bytes, and samples of one value, where they are more than one in twenty.
    Samples that look like noise: the correlation of neighbouring values, the largest along any
    axis of at least eight, is below 0.1 where the median sample's is above 0.5, as in images and
    signals. Outliers: samples of floats whose largest absolute value is more than five times the
    median sample's, and so decides the ranges alone. Samples that all are noise are not told.

    Args:
        split: the calibration split.
        rows: samples to look at, at most.
    """
    count = min(rows, split.samples)
    arrays = [open_array(ref)[:count] for ref in split.inputs.values()]
    numbers = [array for array in arrays if array.dtype.kind in "iuf" and array[:1].size > 1]
    if count < LEAST_SAMPLES:
        return ()
    found = (_duplicates(arrays, count), *_constants(numbers, count), *_noise(numbers, count))
    return tuple(advice for advice in (*found, *_outliers(numbers)) if advice is not None)


def _duplicates(arrays: Sequence[Array], count: int) -> CalibrationAdvice | None:
    seen, again = set[bytes](), []
    for row in range(count):
        digest = hashlib.sha256()
        for array in arrays:
            digest.update(np.ascontiguousarray(array[row]).tobytes())
        if digest.digest() in seen:
            again.append(row)
        seen.add(digest.digest())
    if len(again) <= DUPLICATES * count:
        return None
    what = f"{_samples(again, count)} equal an earlier one: they add nothing to what is calibrated"
    return CalibrationAdvice(code="duplicates", message=what)


def _constants(numbers: Sequence[Array], count: int) -> Iterator[CalibrationAdvice]:
    spans = [np.array([bool((row == row.flat[0]).all()) for row in array]) for array in numbers]
    rows = np.flatnonzero(np.logical_and.reduce(spans)).tolist() if spans else []
    if len(rows) > CONSTANTS * count:
        what = f"{_samples(rows, count)} hold one value throughout: is that what an app will see?"
        yield CalibrationAdvice(code="noise", message=what)


def _noise(numbers: Sequence[Array], count: int) -> Iterator[CalibrationAdvice]:
    for array in numbers:
        if array[0].size < LEAST_VALUES:
            continue
        related = np.array([_relation(np.asarray(row, np.float64)) for row in array])
        rows = np.flatnonzero(related < UNRELATED).tolist()
        if rows and np.nanmedian(related) > RELATED:
            what = f"{_samples(rows, count)} look like noise: neighbouring values are unrelated"
            yield CalibrationAdvice(code="noise", message=what)


def _relation(sample: Array) -> float:
    """Largest correlation of neighbours along an axis; NaN where it has none, or one value."""
    found = [np.nan]
    for axis in (axis for axis, length in enumerate(sample.shape) if length >= LEAST_AXIS):
        along = np.moveaxis(sample, axis, 0)
        here, after = (part.ravel() - part.mean() for part in (along[:-1], along[1:]))
        power = float(np.sqrt((here @ here) * (after @ after)))
        if power > 0:
            found.append(abs(float(here @ after)) / power)
    return max(found[1:], default=np.nan)


def _outliers(numbers: Sequence[Array]) -> Iterator[CalibrationAdvice]:
    for array in (array for array in numbers if array.dtype.kind == "f"):
        largest = np.array([float(np.abs(row).max()) for row in array])
        median = float(np.median(largest))
        rows = np.flatnonzero(largest > OUTLYING * median).tolist()
        if rows and median > 0:
            what = (
                f"{_samples(rows, len(array))} reach {largest[rows].max():.3g} where the median "
                f"sample reaches {median:.3g}: they alone decide the ranges"
            )
            yield CalibrationAdvice(code="outliers", message=what)


def _samples(rows: Sequence[int], count: int) -> str:
    shown = ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")
    return f"{len(rows)} of {count} calibration samples (from 0: {shown})"
