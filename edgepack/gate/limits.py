"""One value against one budget, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.records.verdict import Check
from edgepack.stats import newcombe_paired, samples_needed, shrunk, wilson

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.records.evidence import Drop, Interval, Metric
    from edgepack.records.verdict import Outcome


@dataclass(frozen=True)
class Limit:
    """A budget by its key.

    Attributes:
        subject: what is checked, as `Check.subject` names it.
        name: the budget's key.
        budget: the limit itself, which is still allowed.
        at_most: the value may not be larger; otherwise it may not be smaller.
    """

    subject: str
    name: str
    budget: float
    at_most: bool = True

    def holds(self, value: float) -> bool:
        """Whether a value is within the budget."""
        return value <= self.budget if self.at_most else value >= self.budget

    def outcome(self, value: float, interval: Interval | None = None) -> Outcome:
        """Fail where the value is over budget, inconclusive where only the interval is."""
        if not self.holds(value):
            return "fail"
        if interval is None:
            return "pass"
        return "pass" if self.holds(self._worst(interval)) else "inconclusive"

    def _worst(self, interval: Interval) -> float:
        return interval.high if self.at_most else interval.low

    def unmeasured(self, detail: str, outcome: Outcome = "fail") -> Check:
        """A check of something that was asked for and not measured: never a silent pass."""
        return Check(
            subject=self.subject,
            name=self.name,
            value=None,
            budget=self.budget,
            outcome=outcome,
            detail=detail,
        )

    def exact(self, value: float, detail: str = "") -> Check:
        """A check of a value that is known exactly, such as a size."""
        return Check(
            subject=self.subject,
            name=self.name,
            value=value,
            budget=self.budget,
            outcome=self.outcome(value),
            detail=detail,
        )

    def estimated(
        self, value: float, interval: Interval, needed: Callable[[], int | None], detail: str = ""
    ) -> Check:
        """A check of an estimate; `needed` says how many samples would decide it."""
        outcome = self.outcome(value, interval)
        count = needed() if outcome == "inconclusive" else None
        return Check(
            subject=self.subject,
            name=self.name,
            value=value,
            budget=self.budget,
            outcome=outcome,
            interval=interval,
            samples_needed=count,
            detail="; ".join(filter(None, (detail, _doubt(outcome, count)))),
        )


def _doubt(outcome: Outcome, needed: int | None) -> str:
    if outcome != "inconclusive":
        return ""
    if needed is None:
        return "the value lies on the budget: no number of samples would decide"
    return f"about {needed} samples would decide, if the rates stay as they are"


def drop_check(limit: Limit, drop: Drop, metric: Metric) -> Check:
    """Hold a drop against a budget; `metric` is the model's own value of the same metric."""
    return limit.estimated(
        drop.value,
        drop.interval,
        lambda: samples_needed(_drop_interval(drop, metric), drop.samples, limit.budget),
    )


def _drop_interval(drop: Drop, metric: Metric) -> Callable[[float], Interval]:
    """The interval of a drop with so many times its samples."""
    if drop.lost is None or drop.won is None:
        return lambda times: shrunk(drop.interval, drop.value, times)
    lost, won, samples = drop.lost, drop.won, drop.samples
    both = max(0, round(metric.value * samples) - won)
    neither = max(0, samples - both - lost - won)
    return lambda k: newcombe_paired(both * k, lost * k, won * k, neither * k)


def share_check(limit: Limit, share: float, samples: int, detail: str = "") -> Check:
    """Hold a share of samples against a budget, by Wilson's interval."""
    hits = share * samples
    return limit.estimated(
        share,
        wilson(hits, samples),
        lambda: samples_needed(lambda k: wilson(hits * k, samples * k), samples, limit.budget),
        detail,
    )


def latency_check(limit: Limit, ratio: float | None, interval: Interval | None) -> Check:
    """Hold a ratio of latencies against a budget; it speaks of this machine only."""
    if ratio is None or interval is None:
        check = limit.unmeasured("latency was not measured")
    else:
        check = limit.exact(ratio).model_copy(
            update={"interval": interval, "outcome": limit.outcome(ratio, interval)}
        )
    if check.outcome == "inconclusive":
        check = check.model_copy(update={"detail": "more rounds (latency.rounds) may decide"})
    return check.model_copy(update={"measured_here": True})
