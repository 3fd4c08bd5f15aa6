"""Intervals, and how many samples would settle a question: pure functions over counts.

Only `bootstrap` needs NumPy, and imports it when called.
"""

from __future__ import annotations

from math import ceil, comb, sqrt
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Any

from edgepack.records.evidence import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

LEVEL = 0.95
FIGURES = 6
RESAMPLES = 1000
MOST_SAMPLES = 10_000_000
CLOSE = 1.001  # a search for a number of samples ends this near


def figure(value: float) -> float:
    """A measured value to six significant digits, so that rounding noise is not stored."""
    return float(f"{value:.{FIGURES}g}")


def wilson(hits: float, samples: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval for one proportion.

    For a mean of values between 0 and 1 that are not only 0 and 1 it is wider than need be, never
    narrower, because no such values vary more than hits and misses of the same mean do.

    Source: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209 to 212.
    """
    low, high = _wilson(hits, samples, _z(level))
    return Interval(low=figure(low), high=figure(high), level=level, method="wilson")


def newcombe_paired(
    both: float, lost: float, won: float, neither: float, level: float = LEVEL
) -> Interval:
    """Newcombe's score interval for the difference of two paired proportions.

    The difference is (lost - won) / samples: how much less often a model is right than its
    reference on the same samples. Exact coverage at 100 to 1000 samples with losses of 0.2 to 5 %
    is 0.951 or more, where Tango's interval falls to 0.932 and the percentile bootstrap to 0.2.

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998), 2635 to 2650, method 10.

    Args:
        both: samples that both get right. Fractions are allowed: see `samples_needed`.
        lost: samples that only the reference gets right.
        won: samples that only the model gets right.
        neither: samples that neither gets right.
        level: confidence.
    """
    samples, z = both + lost + won + neither, _z(level)
    reference, model = (both + lost) / samples, (both + won) / samples
    low_r, high_r = _wilson(both + lost, samples, z)
    low_m, high_m = _wilson(both + won, samples, z)
    phi = _correlation(both, lost, won, neither)
    below = _combined(reference - low_r, high_m - model, phi)
    above = _combined(high_r - reference, model - low_m, phi)
    return Interval(
        low=figure(reference - model - below),
        high=figure(reference - model + above),
        level=level,
        method="newcombe-paired",
    )


def bootstrap(
    statistic: Callable[[NDArray[Any]], float],
    samples: int,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Percentile bootstrap interval of a statistic that is no proportion.

    Source: B. Efron, The Annals of Statistics 7 (1979), 1 to 26.

    Args:
        statistic: maps how often each sample was drawn, [samples] integers, to a value. A paired
            difference computes both sides from the same draws. NaN where it is undefined, as an
            AUC without positives: such draws are left out.
        samples: size of the sample.
        seed: of the generator; the same seed gives the same interval.
        resamples: number of draws.
        level: confidence.

    Raises:
        ValueError: the statistic is undefined in every draw.
    """
    import numpy as np

    draws = np.random.default_rng(seed)
    shares = np.full(samples, 1 / samples)
    values = np.array([statistic(draws.multinomial(samples, shares)) for _ in range(resamples)])
    defined = values[np.isfinite(values)]
    if not defined.size:
        raise ValueError("the statistic is undefined in every resample")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(low=figure(low), high=figure(high), level=level, method="bootstrap-percentile")


def ratio_interval(ratios: Sequence[float], level: float = LEVEL) -> tuple[float, Interval]:
    """The median of ratios, one a round, and its interval between two order statistics.

    It supposes nothing of how the ratios are distributed. Fewer than six rounds cannot reach 95 %:
    the interval is then the whole range, and states the level that this has.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd edition (1999), section 3.2.

    Raises:
        ValueError: there are no ratios.
    """
    ordered = sorted(ratios)
    if not ordered:
        raise ValueError("no ratios")
    rank = _rank(len(ordered), (1 - level) / 2)
    reached = min(level, 1 - 2.0 ** (1 - len(ordered)))
    low, high = figure(ordered[rank]), figure(ordered[-1 - rank])
    interval = Interval(low=low, high=high, level=figure(reached), method="median-order-statistics")
    return figure(median(ordered)), interval


def samples_needed(
    interval_at: Callable[[float], Interval], samples: int, budget: float
) -> int | None:
    """How many samples would make the interval leave the budget out, rates staying as they are.

    Args:
        interval_at: the interval when every count is that many times what was observed.
        samples: observed samples.
        budget: the limit that the interval should exclude.

    Returns:
        A number rounded up to two digits, for it is an estimate; None if ten million would not do.
    """
    low, high = 1.0, 2.0
    while not _excludes(interval_at(high), budget):
        low, high = high, 2 * high
        if samples * low > MOST_SAMPLES:
            return None
    while (high - low) * samples > 1 and high > low * CLOSE:
        middle = (low + high) / 2
        low, high = (low, middle) if _excludes(interval_at(middle), budget) else (middle, high)
    return _two_digits(ceil(samples * high))


def shrunk(interval: Interval, value: float, times: float) -> Interval:
    """What an interval around a value would be with so many times the samples."""
    factor = 1 / sqrt(times)
    ends = {"low": value + (interval.low - value) * factor}
    return interval.model_copy(update=ends | {"high": value + (interval.high - value) * factor})


def _z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _wilson(hits: float, samples: float, z: float) -> tuple[float, float]:
    share, spread = hits / samples, z * z / samples
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / samples + spread / (4 * samples)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def _correlation(both: float, lost: float, won: float, neither: float) -> float:
    """Of the two models' hits, corrected for continuity; 0 where one never varies."""
    product = (both + lost) * (won + neither) * (both + won) * (lost + neither)
    if product <= 0:
        return 0.0
    excess = both * neither - lost * won
    if excess > 0:
        excess = max(excess - (both + lost + won + neither) / 2, 0.0)
    return excess / sqrt(product)


def _combined(one: float, other: float, phi: float) -> float:
    return sqrt(max(0.0, one * one - 2 * phi * one * other + other * other))


def _rank(count: int, tail: float) -> int:
    """How many order statistics may be left out at each end without losing more than the tail."""
    left_out, below = 0, 1
    while below / 2**count <= tail:
        left_out += 1
        below += comb(count, left_out)
    return max(0, left_out - 1)


def _excludes(interval: Interval, budget: float) -> bool:
    return not interval.low <= budget <= interval.high


def _two_digits(count: int) -> int:
    unit = int("1" + "0" * (len(str(count)) - 2))
    return -(-count // unit) * unit
