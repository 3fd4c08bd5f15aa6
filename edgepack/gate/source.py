"""Checks of the source model: a wrong model or wrong preprocessing shows here first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.gate.variants import NO_LABELS, UNDEFINED, fact, finite_check
from edgepack.records.verdict import Check
from edgepack.stats import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.evidence import Metric, SourceEvidence
    from edgepack.records.settings import ModelSettings
    from edgepack.records.verdict import Outcome

SUBJECT = "source"
ENOUGH = 2  # samples without which nothing can vary


def source_checks(source: SourceEvidence, model: ModelSettings) -> Iterator[Check]:
    """Every check of the source model."""
    yield from _health_checks(source)
    expected = _expected_check(source, model)
    if expected:
        yield expected
    if source.chance is not None and source.accuracy.metrics:
        first, declared = source.accuracy.metrics[0], bool(expected and expected.outcome == "pass")
        told = expected is not None and not declared  # the cause is not said twice
        cause = "" if told else source.diagnosis
        yield _chance_check(first, source.chance, cause, declared=declared)


def _health_checks(source: SourceEvidence) -> Iterator[Check]:
    health = source.accuracy.health
    yield finite_check(SUBJECT, health)
    dead = bool(health) and all(h.constant for h in health) and source.accuracy.samples >= ENOUGH
    detail = "the source gives the same answer to every sample" if dead else ""
    yield fact(
        SUBJECT, "varying_outputs", detail, ok=not dead, more=source.diagnosis if dead else ""
    )


def _expected_check(source: SourceEvidence, model: ModelSettings) -> Check | None:
    """The first metric must be what training recorded, within the tolerance."""
    expected, tolerance = model.expected_accuracy, model.accuracy_tolerance
    if expected is None:
        return None
    first = next(iter(source.accuracy.metrics), None)
    if first is None:
        return _expected(None, expected, "fail", f"{NO_LABELS}, or {UNDEFINED}")
    off = round(abs(first.value - expected), 9)
    detail = f"it is off by {off:.4g}, and may be by {tolerance:g}"
    if off <= tolerance:
        return _expected(first, expected, "pass", detail)
    return _expected(first, expected, "fail", _with(detail, source.diagnosis))


def _expected(first: Metric | None, expected: float, outcome: Outcome, detail: str) -> Check:
    return Check(
        subject=SUBJECT,
        name="expected_accuracy",
        value=first.value if first else None,
        budget=expected,
        outcome=outcome,
        interval=first.interval if first else None,
        detail=detail,
    )


def _chance_check(first: Metric, chance: float, diagnosis: str, *, declared: bool) -> Check:
    """The first metric must be clearly above that of always naming the commonest class.

    Where it is as the user declared it to be, and only the samples are too few to tell it from
    chance, the check is inconclusive and not a failure.
    """
    interval = first.interval or wilson(first.value * first.samples, first.samples)
    if interval.low > chance:
        outcome: Outcome = "pass"
    elif first.value > chance and declared:
        outcome = "inconclusive"
    else:
        outcome = "fail"
    said = f"{first.samples} samples do not tell it from always naming the commonest class"
    return Check(
        subject=SUBJECT,
        name="above_chance",
        value=first.value,
        budget=chance,
        outcome=outcome,
        interval=interval,
        detail="" if outcome == "pass" else _with(said, diagnosis),
    )


def _with(detail: str, diagnosis: str) -> str:
    return f"{detail}; {diagnosis}" if diagnosis else detail
