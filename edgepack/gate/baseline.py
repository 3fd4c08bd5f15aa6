"""Checks of one variant against the same variant of an earlier release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.gate.limits import Limit, drop_check, latency_check
from edgepack.gate.variants import NO_LABELS, UNDEFINED, fact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.evidence import BaselineEvidence, VariantEvidence
    from edgepack.records.settings import BaselineBudget
    from edgepack.records.verdict import Check

NOT_RUN = "its signature changed, so it was not run beside the new one"


def baseline_checks(
    old: BaselineEvidence, new: VariantEvidence, budget: BaselineBudget
) -> Iterator[Check]:
    """Signature, accuracy, size and latency against that release."""
    subject = f"baseline:{old.variant}"
    if not old.sha256:
        yield fact(subject, "present", f"{old.name} {old.version} has no {old.variant}", ok=True)
        return
    allowed = budget.allow_signature_change or not old.signature_changes
    yield fact(subject, "signature", "; ".join(old.signature_changes), ok=allowed)
    if budget.max_size_ratio is not None:
        limit = Limit(subject, "max_size_ratio", budget.max_size_ratio)
        yield limit.exact(float(f"{new.size_bytes / old.size_bytes:.6g}"))
    if budget.max_accuracy_drop is not None:
        limit = Limit(subject, "max_accuracy_drop", budget.max_accuracy_drop)
        yield _drop(limit, old, new)
    if budget.max_latency_ratio is not None:
        limit = Limit(subject, "max_latency_ratio", budget.max_latency_ratio)
        yield _latency(limit, old)


def _drop(limit: Limit, old: BaselineEvidence, new: VariantEvidence) -> Check:
    """The drop of the first metric; doubt, where old and new could not be compared."""
    if old.signature_changes:
        return limit.unmeasured(NOT_RUN, "inconclusive")
    if not new.accuracy.metrics and not old.drops:
        return limit.unmeasured(f"{NO_LABELS}, or {UNDEFINED}", "inconclusive")
    first = next(iter(new.accuracy.metrics), None)
    drop = next((d for d in old.drops if first and d.metric == first.name), None)
    if first is None or drop is None:
        return limit.unmeasured(UNDEFINED)
    return drop_check(limit, drop, first)


def _latency(limit: Limit, old: BaselineEvidence) -> Check:
    if old.signature_changes:
        check = limit.unmeasured(NOT_RUN, "inconclusive")
        return check.model_copy(update={"measured_here": True})
    return latency_check(limit, old.latency_ratio, old.latency_ratio_interval)
