"""Intervals by known examples, and by how often they cover."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack import stats

COUNTS = st.integers(0, 500)


def test_newcombe_gives_the_limits_of_the_published_example():
    interval = stats.newcombe_paired(36, 12, 2, 0)
    assert interval.low == pytest.approx(0.0569, abs=5e-5)
    assert interval.high == pytest.approx(0.3404, abs=5e-5)


def test_wilson_gives_the_limits_of_the_published_example():
    interval = stats.wilson(81, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_paired_interval_holds_the_difference_and_turns_with_the_sides(both, lost, won, neither):
    samples = both + lost + won + neither
    if not samples:
        return
    interval = stats.newcombe_paired(both, lost, won, neither)
    assert -1 <= interval.low <= (lost - won) / samples + 1e-5
    assert 1 >= interval.high >= (lost - won) / samples - 1e-5
    turned = stats.newcombe_paired(both, won, lost, neither)
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low), abs=1e-5)


def test_no_loss_at_all_still_leaves_doubt():
    interval = stats.newcombe_paired(390, 0, 0, 10)
    assert interval.low < 0
    assert interval.high > 0.005


@pytest.mark.parametrize(
    ("samples", "right", "lost", "won"),
    [
        (100, 0.91, 0.005, 0.0),
        (100, 0.91, 0.05, 0.03),
        (400, 0.91, 0.01, 0.0),
        (400, 0.99, 0.005, 0.005),
        (1000, 0.75, 0.005, 0.0),
        (1000, 0.75, 0.02, 0.02),
    ],
)
def test_paired_interval_covers_what_it_says(samples, right, lost, won):
    shares = [right - lost, lost, won, 1 - right - won]
    tables = np.random.default_rng(1).multinomial(samples, shares, size=1000)
    intervals = [stats.newcombe_paired(*table) for table in tables.tolist()]
    covered = [i.low <= lost - won <= i.high for i in intervals]
    assert np.mean(covered) >= 0.94


@pytest.mark.parametrize("samples", [100, 200])
def test_percentile_bootstrap_would_not_cover_rare_losses(samples):
    generator, loss = np.random.default_rng(1), 0.005
    lost = generator.binomial(samples, loss, size=300)
    drops = generator.binomial(samples, lost[:, None] / samples, size=(300, 400)) / samples
    low, high = np.quantile(drops, [0.025, 0.975], axis=1)
    assert np.mean((low <= loss) & (loss <= high)) < 0.75


def test_bootstrap_covers_a_paired_difference_of_errors():
    generator, covered = np.random.default_rng(3), []
    for _ in range(200):
        reference = np.abs(generator.normal(size=150))
        worse = reference + np.abs(generator.normal(0.1, 0.3, size=150)) - 0.05
        truth = 0.1 * (2 * 0.630559 - 1) + 2 * 0.3 * 0.377383 - 0.05  # the folded normal's mean
        interval = stats.bootstrap(
            lambda draws, d=worse - reference: float(draws @ d / draws.sum()), 150, resamples=300
        )
        covered.append(interval.low <= truth <= interval.high)
    assert np.mean(covered) >= 0.9


def test_bootstrap_is_repeatable_and_leaves_undefined_draws_out():
    def mean_of_drawn(draws):
        return float("nan") if draws[0] == 0 else float(draws @ np.arange(20) / 20)

    one, other = (stats.bootstrap(mean_of_drawn, 20, seed=5) for _ in range(2))
    assert one == other
    assert one != stats.bootstrap(mean_of_drawn, 20, seed=6)
    with pytest.raises(ValueError, match="undefined"):
        stats.bootstrap(lambda _: float("nan"), 20, resamples=3)


@pytest.mark.parametrize("rounds", [6, 9, 30, 57])
def test_ratio_interval_is_the_tightest_that_reaches_its_level(rounds):
    value, interval = stats.ratio_interval([1.0 + r for r in range(rounds)])
    rank = int(interval.low) - 1
    tail = sum(comb(rounds, k) for k in range(rank + 1)) / 2**rounds
    wider = tail + comb(rounds, rank + 1) / 2**rounds
    assert tail <= 0.025 < wider
    assert value - interval.low == interval.high - value
    assert interval.level == 0.95


def test_ratio_interval_of_few_rounds_states_what_it_reaches():
    value, interval = stats.ratio_interval([1.1, 0.9, 1.0])
    assert (value, interval.low, interval.high, interval.level) == (1.0, 0.9, 1.1, 0.75)
    with pytest.raises(ValueError, match="no ratios"):
        stats.ratio_interval([])


def test_ratio_interval_covers_the_median_of_a_skewed_distribution():
    draws = np.random.default_rng(2).exponential(size=(1000, 30))
    intervals = [stats.ratio_interval(row)[1] for row in draws.tolist()]
    assert np.mean([i.low <= np.log(2) <= i.high for i in intervals]) >= 0.94


def test_samples_needed_is_enough_and_not_wasteful():
    def at(times):
        return stats.newcombe_paired(90 * times, 0.5 * times, 0, 9.5 * times)

    needed = stats.samples_needed(at, 100, 0.01)
    assert at(needed / 100).high < 0.01 < at(needed * 0.85 / 100).high


def test_no_number_of_samples_decides_what_lies_on_the_budget():
    assert stats.samples_needed(lambda k: stats.wilson(90 * k, 100 * k), 100, 0.9) is None


def test_shrunk_interval_halves_with_four_times_the_samples():
    interval = stats.Interval(low=-1.0, high=3.0, method="bootstrap-percentile")
    smaller = stats.shrunk(interval, 1.0, 4)
    assert (smaller.low, smaller.high) == (0.0, 2.0)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_figure_keeps_six_digits_and_stays_put(value):
    rounded = stats.figure(value)
    assert rounded == stats.figure(rounded)
    assert rounded == pytest.approx(value, rel=5.1e-6, abs=5e-324)
