"""Checks of one variant: its budgets, and whether its outputs say anything at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.gate.limits import Limit, drop_check, latency_check, share_check
from edgepack.records.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.evidence import (
        Accuracy,
        Agreement,
        Evidence,
        Latency,
        Metric,
        OutputHealth,
        VariantEvidence,
    )
    from edgepack.records.settings import Budget, Settings
    from edgepack.records.verdict import Outcome

NO_LABELS = "the dataset has no labels, so accuracy cannot be measured"
UNDEFINED = "the metric is undefined for these outputs"
GRAVITY: dict[Outcome, int] = {"fail": 0, "inconclusive": 1, "pass": 2}


def built_checks(evidence: Evidence, settings: Settings) -> Iterator[Check]:
    """One failure for each variant that was asked for and is not there, with its reason."""
    built = {one.variant for one in evidence.variants}
    reasons = {one.variant: f"{one.stage}: {one.reason}" for one in evidence.skipped}
    for variant in settings.variants:
        if variant not in built:
            reason = reasons.get(variant, "nothing was measured of it")
            yield fact(variant, "built", "was asked for and is left out", ok=False, more=reason)


def variant_checks(one: VariantEvidence, evidence: Evidence, budget: Budget) -> Iterator[Check]:
    """Every check of a variant that was built."""
    if one.not_run:
        yield from _unrun_checks(one, budget)
        return
    yield from health_checks(one.variant, one.accuracy, evidence.source.accuracy.health)
    yield from _accuracy_checks(one, evidence.source.accuracy, budget)
    if budget.min_agreement is not None:
        limit = Limit(one.variant, "min_agreement", budget.min_agreement, at_most=False)
        yield _agreement_check(limit, one.accuracy)
    if budget.max_latency_ratio is not None:
        limit = Limit(one.variant, "max_latency_ratio", budget.max_latency_ratio)
        yield _latency_check(limit, one.latency)
    if budget.max_size_bytes is not None:
        yield Limit(one.variant, "max_size_bytes", budget.max_size_bytes).exact(one.size_bytes)


def _unrun_checks(one: VariantEvidence, budget: Budget) -> Iterator[Check]:
    """Doubt about everything that was asked for, but the size."""
    asked = budget.model_dump(exclude_none=True, exclude={"max_size_bytes"})
    for name, limit in asked.items():
        yield Limit(one.variant, name, limit).unmeasured(one.not_run, "inconclusive")
    if budget.max_size_bytes is not None:
        yield Limit(one.variant, "max_size_bytes", budget.max_size_bytes).exact(one.size_bytes)


def _latency_check(limit: Limit, latency: Latency | None) -> Check:
    if latency is None:
        return latency_check(limit, None, None)
    return latency_check(limit, latency.ratio, latency.ratio_interval)


def health_checks(
    subject: str, accuracy: Accuracy, source: tuple[OutputHealth, ...]
) -> Iterator[Check]:
    """Outputs must be finite, and vary with the sample where the source's do."""
    yield finite_check(subject, accuracy.health)
    vary = {h.output for h in source if not h.constant}
    dead = [h.output for h in accuracy.health if h.constant and h.output in vary]
    detail = "the same answer to every sample, where the source's answers vary" if dead else ""
    yield fact(subject, "varying_outputs", detail, ok=not dead, more=", ".join(dead))


def finite_check(subject: str, health: tuple[OutputHealth, ...]) -> Check:
    """No output may hold NaN or infinity, whatever else is said of it."""
    bad = [f"{h.output}: {h.non_finite} elements" for h in health if h.non_finite]
    detail = "outputs hold NaN or infinity" if bad else ""
    return fact(subject, "finite_outputs", detail, ok=not bad, more=", ".join(bad))


def fact(subject: str, name: str, detail: str, *, ok: bool, more: str = "") -> Check:
    """A check that has no number."""
    return Check(
        subject=subject,
        name=name,
        value=None,
        budget=None,
        outcome="pass" if ok else "fail",
        detail=": ".join(filter(None, (detail, more))),
    )


def _accuracy_checks(one: VariantEvidence, source: Accuracy, budget: Budget) -> Iterator[Check]:
    labelled = bool(source.metrics)
    if budget.max_accuracy_drop is not None:
        limit = Limit(one.variant, "max_accuracy_drop", budget.max_accuracy_drop)
        if labelled:
            yield first_drop_check(limit, one.accuracy, source.metrics[0])
        else:
            yield _unlabelled_drop_check(limit, one.accuracy, budget)
    if budget.min_accuracy is not None:
        yield min_accuracy_check(one.variant, "min_accuracy", budget.min_accuracy, one.accuracy)


def first_drop_check(limit: Limit, accuracy: Accuracy, first: Metric) -> Check:
    """The drop of the source's first metric."""
    drop = next((d for d in accuracy.drops if d.metric == first.name), None)
    metric = next((m for m in accuracy.metrics if m.name == first.name), None)
    if drop is None or metric is None:
        return limit.unmeasured(f"{first.name}: {UNDEFINED}")
    return drop_check(limit, drop, metric)


def _unlabelled_drop_check(limit: Limit, accuracy: Accuracy, budget: Budget) -> Check:
    """Without labels, disagreement bounds the drop: a sample can only be lost where they differ."""
    shares = [(1 - one.top1, one) for one in accuracy.agreement if one.top1 is not None]
    if shares:
        share, worst = max(shares, key=lambda pair: pair[0])
        why = f"{NO_LABELS}; it cannot drop by more than {worst.output!r} disagrees with the source"
        return share_check(limit, round(share, 6), worst.samples, why)
    if budget.min_agreement is not None:
        return limit.unmeasured(f"{NO_LABELS}; min_agreement stands in for it", "inconclusive")
    hint = "add labels, or set min_agreement in place of max_accuracy_drop"
    return limit.unmeasured(f"{NO_LABELS}: {hint}")


def min_accuracy_check(subject: str, name: str, budget: float, accuracy: Accuracy) -> Check:
    """The least value of the first metric; the largest of one that is better when lower."""
    if not accuracy.metrics:
        return Limit(subject, name, budget).unmeasured(f"{NO_LABELS}, or is undefined")
    first = accuracy.metrics[0]
    limit = Limit(subject, name, budget, at_most=not first.higher_is_better)
    if first.interval is None:
        return limit.exact(first.value)
    return share_check(limit, first.value, first.samples)


def _agreement_check(limit: Limit, accuracy: Accuracy) -> Check:
    """The gravest outcome decides, and of those the output that agrees least with the source's."""
    checks = [_output_check(limit, one) for one in accuracy.agreement]
    if not checks:
        return limit.unmeasured("agreement with the source was not measured")
    return min(checks, key=lambda c: (GRAVITY[c.outcome], -1 if c.value is None else c.value))


def _output_check(limit: Limit, one: Agreement) -> Check:
    if one.top1 is not None:
        return share_check(limit, one.top1, one.samples, f"top-1 of {one.output!r}")
    if one.cosine is not None:
        return limit.exact(one.cosine, f"cosine similarity of {one.output!r}")
    if one.max_abs_error == 0:
        return limit.exact(1.0, f"{one.output!r} is identical")
    return limit.unmeasured(f"{one.output!r} has neither classes nor a defined cosine similarity")
