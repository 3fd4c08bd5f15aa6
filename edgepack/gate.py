"""Budgets held against evidence: pure functions from records to a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack import stats
from edgepack.records.manifest import TargetEntry
from edgepack.records.verdict import Check, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.evidence import (
        Accuracy,
        BaselineEvidence,
        Drop,
        Evidence,
        Interval,
        SourceEvidence,
        VariantEvidence,
    )
    from edgepack.records.settings import Budget, ModelSettings, Settings
    from edgepack.records.target import Target
    from edgepack.records.tensors import Signature
    from edgepack.records.verdict import Outcome

CHANCE_MARGIN = 1.2  # accuracy below 1.2 times chance is not worth shipping, whatever its cause

Signatures = "Mapping[str, tuple[Signature, ...]]"


@dataclass(frozen=True)
class Limit:
    """A value that must not leave one side of its budget, with the interval of what it may be."""

    value: float
    budget: float
    interval: Interval | None = None
    least: bool = False

    def outcome(self) -> Outcome:
        """Over budget fails; an interval that straddles the budget is inconclusive."""
        over = self.value < self.budget if self.least else self.value > self.budget
        if over:
            return "fail"
        if self.interval is None:
            return "pass"
        edge = self.interval.low < self.budget if self.least else self.interval.high > self.budget
        return "inconclusive" if edge else "pass"


def judge(
    evidence: Evidence,
    settings: Settings,
    targets: tuple[Target, ...],
    signatures: Mapping[str, tuple[Signature, ...]],
    *,
    strict: bool = False,
) -> Verdict:
    """Hold everything that was measured against everything that was asked.

    Args:
        evidence: what the build measured.
        settings: budgets, and what training said of the model.
        targets: profiles that at least one variant must satisfy each.
        signatures: signatures of each variant's file.
        strict: an inconclusive check fails the build.
    """
    checks = (
        *source_checks(evidence.source, settings.model),
        *(check for one in evidence.variants for check in _variant(one, evidence, settings)),
        *(_failed(one.variant, "built", f"{one.stage}: {one.reason}") for one in evidence.skipped),
        *(check for old in evidence.baseline for check in _baseline(old, evidence, settings)),
        *(_target(target, evidence, signatures) for target in targets),
    )
    refused = {"fail", "inconclusive"} if strict else {"fail"}
    measured = any(check.subject != "source" for check in checks)
    passed = measured and not any(check.outcome in refused for check in checks)
    if not measured:
        checks = (*checks, _failed("build", "checks", "nothing was checked: set a budget"))
    return Verdict(passed=passed, strict=strict, checks=checks)


def source_checks(source: SourceEvidence, model: ModelSettings) -> Iterator[Check]:
    """Whether this is the model that was trained, fed as it was trained."""
    yield from _health("source", source.accuracy)
    if not source.accuracy.metrics:
        if model.expected_accuracy is not None:
            yield _failed("source", "expected_accuracy", "there are no labels to measure it on")
        return
    value = source.accuracy.metrics[0].value
    if model.expected_accuracy is not None:
        off = stats.figure(abs(value - model.expected_accuracy))
        limit = Limit(off, model.accuracy_tolerance)
        detail = f"{value:.4g} measured, {model.expected_accuracy:.4g} expected"
        yield _check("source", "expected_accuracy", limit, source.diagnosis or detail)
    if source.chance is not None:
        limit = Limit(value, stats.figure(min(1.0, source.chance * CHANCE_MARGIN)), least=True)
        yield _check("source", "above_chance", limit, source.diagnosis)


def selection(
    targets: tuple[Target, ...],
    evidence: Evidence,
    signatures: Mapping[str, tuple[Signature, ...]],
) -> tuple[TargetEntry, ...]:
    """The variants that each target accepts, best first by its own order of precisions."""
    entries = []
    for target in targets:
        fit = [one for one in evidence.variants if not _misfit(target, one, signatures)]
        ranked = sorted(fit, key=lambda one: target.precisions.index(one.precision))
        entries.append(TargetEntry(name=target.name, variants=tuple(o.variant for o in ranked)))
    return tuple(entries)


def _variant(one: VariantEvidence, evidence: Evidence, settings: Settings) -> Iterator[Check]:
    budget = settings.budgets.of(one.variant)
    yield from _health(one.variant, one.accuracy, evidence.source.accuracy)
    yield from _accuracy(one, budget)
    if budget.min_agreement is not None:
        yield _agreement(one, budget.min_agreement)
    if budget.max_latency_ratio is not None:
        yield _latency(one, budget.max_latency_ratio)
    if budget.max_size_bytes is not None:
        yield _check(one.variant, "max_size_bytes", Limit(one.size_bytes, budget.max_size_bytes))


def _health(subject: str, mine: Accuracy, source: Accuracy | None = None) -> Iterator[Check]:
    """Outputs are finite, and not the same for every sample unless the source's are."""
    known = {health.output: health for health in (source or mine).health}
    for health in mine.health:
        detail = f"output {health.output}"
        yield _check(subject, "non_finite_outputs", Limit(health.non_finite, 0), detail)
        expected = source is not None and health.output in known and known[health.output].constant
        if health.constant and mine.samples > 1 and not expected:
            what = f"{detail} is the same for every sample"
            yield _failed(subject, "constant_outputs", what)


def _accuracy(one: VariantEvidence, budget: Budget) -> Iterator[Check]:
    if budget.max_accuracy_drop is not None:
        if one.accuracy.drops:
            yield _drop(one.variant, one.accuracy.drops[0], budget.max_accuracy_drop)
        elif budget.min_agreement is None:
            what = "there are no labels; set min_agreement in its place"
            yield _failed(one.variant, "max_accuracy_drop", what, budget.max_accuracy_drop)
    if budget.min_accuracy is not None:
        if one.accuracy.metrics:
            limit = Limit(one.accuracy.metrics[0].value, budget.min_accuracy, least=True)
            yield _check(one.variant, "min_accuracy", limit, one.accuracy.metrics[0].name)
        else:
            yield _failed(one.variant, "min_accuracy", "there are no labels", budget.min_accuracy)


def _drop(subject: str, drop: Drop, budget: float) -> Check:
    check = _check(
        subject, "max_accuracy_drop", Limit(drop.value, budget, drop.interval), drop.metric
    )
    if check.outcome != "inconclusive":
        return check
    needed = stats.samples_needed(lambda times: _interval_at(drop, times), drop.samples, budget)
    return check.model_copy(update={"samples_needed": needed})


def _interval_at(drop: Drop, times: float) -> Interval:
    """The interval of a drop on so many times the samples, the rates staying as they are."""
    if drop.both is None or drop.lost is None or drop.won is None:
        return stats.shrunk(drop.interval, drop.value, times)
    neither = drop.samples - drop.both - drop.lost - drop.won
    counts = (count * times for count in (drop.both, drop.lost, drop.won, neither))
    return stats.newcombe_paired(*counts)


def _agreement(one: VariantEvidence, budget: float) -> Check:
    """The worst output decides; without classes its cosine similarity stands in."""
    values = [
        (value, f"output {found.output}, {name}")
        for found in one.accuracy.agreement
        for value, name in [(found.top1, "top-1"), (found.cosine, "cosine")]
        if value is not None and (name == "top-1" or found.top1 is None)
    ]
    if not values:
        return _failed(one.variant, "min_agreement", "agreement could not be measured", budget)
    value, detail = min(values)
    return _check(one.variant, "min_agreement", Limit(value, budget, least=True), detail)


def _latency(one: VariantEvidence, budget: float) -> Check:
    if one.latency is None or one.latency.ratio is None:
        what = "latency was not measured"
        return _failed(one.variant, "max_latency_ratio", what, budget, measured_here=True)
    limit = Limit(one.latency.ratio, budget, one.latency.ratio_interval)
    return _check(one.variant, "max_latency_ratio", limit, "p50 over float32's", here=True)


def _baseline(old: BaselineEvidence, evidence: Evidence, settings: Settings) -> Iterator[Check]:
    subject, budget = f"baseline:{old.variant}", settings.budgets.baseline
    if not old.sha256:
        return  # the earlier release had no such variant: nothing to compare
    if old.signature_changes:
        outcome: Outcome = "pass" if budget.allow_signature_change else "fail"
        yield Check(
            subject=subject,
            name="signature",
            value=float(len(old.signature_changes)),
            budget=0.0,
            outcome=outcome,
            detail="; ".join(old.signature_changes),
        )
    if budget.max_accuracy_drop is not None and old.drops:
        yield _drop(subject, old.drops[0], budget.max_accuracy_drop)
    new = next(one for one in evidence.variants if one.variant == old.variant)
    if budget.max_size_ratio is not None:
        ratio = stats.figure(new.size_bytes / old.size_bytes)
        yield _check(subject, "max_size_ratio", Limit(ratio, budget.max_size_ratio))
    if budget.max_latency_ratio is not None and old.latency_ratio is not None:
        limit = Limit(old.latency_ratio, budget.max_latency_ratio, old.latency_ratio_interval)
        yield _check(subject, "max_latency_ratio", limit, here=True)


def _target(
    target: Target, evidence: Evidence, signatures: Mapping[str, tuple[Signature, ...]]
) -> Check:
    misfits = {one.variant: _misfit(target, one, signatures) for one in evidence.variants}
    fit = [variant for variant, reason in misfits.items() if not reason]
    reasons = "; ".join(f"{variant}: {reason}" for variant, reason in misfits.items())
    return Check(
        subject=f"target:{target.name}",
        name="variants",
        value=float(len(fit)),
        budget=1.0,
        outcome="pass" if fit else "fail",
        detail="" if fit else reasons or "no variant was built",
    )


def _misfit(
    target: Target, one: VariantEvidence, signatures: Mapping[str, tuple[Signature, ...]]
) -> str:
    """Why a target cannot take a variant; empty where it can."""
    if one.precision not in target.precisions:
        return f"{one.precision} is not among {', '.join(target.precisions)}"
    found = signatures[one.variant]
    inputs = {tensor.dtype for signature in found for tensor in signature.inputs}
    outputs = {tensor.dtype for signature in found for tensor in signature.outputs}
    for kind, types, accepted in (
        ("inputs", inputs, target.input_dtypes),
        ("outputs", outputs, target.output_dtypes),
    ):
        if accepted and not types <= set(accepted):
            return f"{kind} are {', '.join(sorted(types))}, not {' or '.join(accepted)}"
    if target.max_size_bytes is not None and one.size_bytes > target.max_size_bytes:
        return f"{one.size_bytes} bytes are more than {target.max_size_bytes}"
    return ""


def _check(subject: str, name: str, limit: Limit, detail: str = "", *, here: bool = False) -> Check:
    return Check(
        subject=subject,
        name=name,
        value=limit.value,
        budget=limit.budget,
        outcome=limit.outcome(),
        interval=limit.interval,
        measured_here=here,
        detail=detail,
    )


def _failed(
    subject: str, name: str, why: str, budget: float | None = None, *, measured_here: bool = False
) -> Check:
    return Check(
        subject=subject,
        name=name,
        value=None,
        budget=budget,
        outcome="fail",
        measured_here=measured_here,
        detail=why,
    )
