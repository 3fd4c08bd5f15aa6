"""Ranges of activations from calibration statistics: by extremes, percentile or squared error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgepack.engines import statistics
from edgepack.engines.statistics import NEGATIVE, SHIFT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.engines.statistics import Summary, TensorStatistics
    from edgepack.records.recipe import Clipping

PERCENTILE = 99.99  # of values on each side; the rest is clipped
TRIED = 64  # shrunken ranges that are compared for the least squared error
BULK = 99.9  # percentile that outliers and halves are held against
DISAGREE = 0.2  # relative: halves of the samples whose ranges differ by more
LARGEST = float(np.finfo(np.float32).max)
OUTLYING = 4.0  # times the bulk's range

Range = tuple[float, float]


@dataclass(frozen=True)
class Scheme:
    """How values become integers.

    Args:
        bits: of the integers.
        symmetric: the range reaches as far below 0 as above, used or not.
    """

    bits: int
    symmetric: bool

    @property
    def steps(self) -> int:
        """Between the ends of a range."""
        return (1 << self.bits) - (2 if self.symmetric else 1)

    def ends(self, limits: Range) -> Range:
        """The range that kernels make of one."""
        reach = max(-limits[0], limits[1])
        return (-reach, reach) if self.symmetric else limits

    def step(self, limits: Range) -> float:
        """The scale of a range."""
        low, high = self.ends(limits)
        return (high - low) / self.steps


INT8 = Scheme(bits=8, symmetric=False)
SYMMETRIC_INT8 = Scheme(bits=8, symmetric=True)
INT16 = Scheme(bits=16, symmetric=True)


def ranges(path: str, clipping: Clipping, scheme: Scheme = INT8) -> dict[str, Range]:
    """The range of each tensor, which always holds 0: a tensor of no finite value has none."""
    found = ((one.name, one.whole) for one in statistics.load(Path(path)))
    chosen = {name: _chosen(whole, clipping, scheme) for name, whole in found if whole.values}
    return {name: _with_zero(one) for name, one in chosen.items()}


def _chosen(whole: Summary, clipping: Clipping, scheme: Scheme) -> Range:
    if clipping == "mse":
        return _least_error(whole, scheme)
    return _percentiles(whole) if clipping == "percentile" else _extremes(whole)


def _with_zero(found: Range) -> Range:
    return min(found[0], 0.0), max(found[1], 0.0)


def _extremes(whole: Summary) -> Range:
    return whole.low, whole.high


def _percentiles(whole: Summary) -> Range:
    """The extremes where all but the rarest values are zero: they are what the tensor says."""
    found = quantile(whole, 100 - PERCENTILE), quantile(whole, PERCENTILE)
    return found if any(found) else _extremes(whole)


def quantile(whole: Summary, percentile: float) -> float:
    """A percentile within the resolution of a bin, and never outside the extremes."""
    order, counts = _ordered(whole)
    reached = np.searchsorted(np.cumsum(counts), percentile / 100 * counts.sum(), side="left")
    edge = _edges(order[min(int(reached), len(order) - 1)], upper=percentile > 50)  # noqa: PLR2004
    return float(np.clip(edge, whole.low, whole.high))


def _ordered(whole: Summary) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The bins that hold anything, from the least value to the largest, with their counts."""
    filled = np.flatnonzero(whole.counts)
    negative = filled >= NEGATIVE
    order = np.concatenate([filled[negative][::-1], filled[~negative]])
    return order, whole.counts[order]


def _edges(bins: NDArray[np.int64] | np.int64, *, upper: bool) -> NDArray[np.float64]:
    """The end of bins that is farther from (upper) or nearer to minus infinity; zero's are zero."""
    places = np.asarray(bins)
    patterns = places.astype(np.uint32) << np.uint32(SHIFT)
    away = patterns | np.uint32((1 << SHIFT) - 1)
    farther = ((places < NEGATIVE) == upper) & (places != 0)
    chosen = np.where(farther, away, patterns)
    found = chosen.astype(np.uint32).view(np.float32).astype(np.float64)
    return np.clip(found, -LARGEST, LARGEST)


def _least_error(whole: Summary, scheme: Scheme) -> Range:
    """The range whose quantization by a scheme has the least squared error.

    Of ranges shrunken towards 0 in equal steps, by the histogram: a value outside is off by its
    distance to the range, one inside by a step's squared width over 12, as rounding is uniform,
    and zero, which every affine scheme stores exactly, by nothing.
    """
    order, counts = _ordered(whole)
    middle = (_edges(order, upper=True) + _edges(order, upper=False)) / 2
    low, high = _with_zero((whole.low, whole.high))
    best, least = (low, high), np.inf
    for shrink in np.linspace(1, 1 / TRIED, TRIED):
        shrunken = low * shrink, high * shrink
        off = middle - np.clip(middle, *scheme.ends(shrunken))
        step = scheme.step(shrunken)
        error = float(counts @ np.where(off == 0, step**2 / 12 * (order != 0), off**2))
        if error < least:
            best, least = shrunken, error
    return best


@dataclass(frozen=True)
class Finding:
    """A tensor that stands out: by how much, and for outliers the share of its values."""

    name: str
    ratio: float
    share: float = 0.0


def halves_disagree(path: str) -> tuple[Finding, ...]:
    """Tensors of which the even and the odd samples give other ranges, the worst first.

    Both the extremes and the bulk (99.9th percentile) differ by more than a fifth.
    """
    found = [_disagreement(one) for one in statistics.load(Path(path))]
    return tuple(sorted((f for f in found if f), key=lambda f: (-f.ratio, f.name)))


def _disagreement(one: TensorStatistics) -> Finding | None:
    first, second = one.halves
    if not (first.values and second.values):
        return None
    extremes = _apart(_extremes(first), _extremes(second))
    bulk = _apart(_bulk(first), _bulk(second))
    ratio = min(extremes, bulk)
    return Finding(one.name, ratio) if ratio > DISAGREE else None


def _bulk(summary: Summary) -> Range:
    return quantile(summary, 100 - BULK), quantile(summary, BULK)


def _apart(first: Range, second: Range) -> float:
    """The share of what two ranges span together that only one of them does."""
    lows, highs = zip(_with_zero(first), _with_zero(second), strict=True)
    both = max(highs) - min(lows)
    return (both - (min(highs) - max(lows))) / both if both else 0.0


def outliers(path: str) -> tuple[Finding, ...]:
    """Tensors whose range is some few values': the extremes are four times the bulk's, or more.

    Not those whose bulk is zero: what they hold beside it, clipping would not spare.
    """
    found = [_outlying(one) for one in statistics.load(Path(path))]
    return tuple(sorted((f for f in found if f), key=lambda f: (-f.ratio, f.name)))


def _outlying(one: TensorStatistics) -> Finding | None:
    whole = one.whole
    if not whole.values:
        return None
    low, high = _with_zero(_bulk(whole))
    width = high - low
    ratio = (max(whole.high, 0.0) - min(whole.low, 0.0)) / width if width else 0.0
    if ratio < OUTLYING:
        return None
    order, counts = _ordered(whole)
    outside = (_edges(order, upper=False) > high) | (_edges(order, upper=True) < low)
    return Finding(one.name, ratio, float(counts[outside].sum() / counts.sum()))
