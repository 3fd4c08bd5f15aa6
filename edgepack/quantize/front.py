"""Which trials count, which no other beats, and which is best."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.records.search import Goal, Trial

NOISE = 0.02  # ratios of interleaved latencies this close are the same


def counts(trial: Trial, samples: int) -> bool:
    """Whether a trial was run to the end on the whole tune split."""
    return not trial.failure and trial.harm is not None and trial.samples == samples


def meets(trial: Trial, goal: Goal) -> bool:
    """Whether a trial is within the goal."""
    return trial.harm is not None and trial.harm <= goal.max_harm


def cost(trial: Trial, goal: Goal) -> float:
    """What the objective makes small: latency over float32's, or bytes."""
    if goal.objective == "size":
        return float(trial.size_bytes)
    return trial.latency_ratio if trial.latency_ratio is not None else float("inf")


def best(trials: Sequence[Trial], goal: Goal) -> Trial | None:
    """The cheapest trial within the goal; the least harmful one where none is.

    Of those that cost the same but for noise, the least harmful, then the smallest one.
    """
    fit = [trial for trial in trials if meets(trial, goal)]
    if not fit:
        return min(trials, key=_quality, default=None)
    least = min(cost(trial, goal) for trial in fit)
    alike = [trial for trial in fit if cost(trial, goal) <= least * (1 + NOISE)]
    return min(alike, key=_quality)


def _quality(trial: Trial) -> tuple[float, int, float, int]:
    harm = trial.harm if trial.harm is not None else float("inf")
    error = trial.error if trial.error is not None else float("inf")
    return max(harm, 0.0), trial.size_bytes, error, trial.number


def front(trials: Iterable[Trial]) -> tuple[int, ...]:
    """Numbers of the trials that no other equals or beats on harm, latency and size at once."""
    points = {trial.number: _point(trial) for trial in trials}
    return tuple(
        number
        for number, mine in points.items()
        if not any(_beats(other, mine) for key, other in points.items() if key != number)
    )


def _point(trial: Trial) -> tuple[float, float, int]:
    assert trial.harm is not None
    assert trial.latency_ratio is not None
    return max(trial.harm, 0.0), trial.latency_ratio, trial.size_bytes


def _beats(other: tuple[float, float, int], mine: tuple[float, float, int]) -> bool:
    return all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine
