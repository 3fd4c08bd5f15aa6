"""Which variants a target takes, and why it takes no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.compat.fit import fit
from edgepack.records.manifest import PassedOver, TargetEntry
from edgepack.records.target import Candidate
from edgepack.records.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.evidence import Evidence, VariantEvidence
    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.target import Target, TargetFit
    from edgepack.records.verdict import Verdict

Fits = dict[str, "TargetFit"]  # by variant, best first where the target takes it


def selection(
    targets: tuple[Target, ...],
    evidence: Evidence,
    files: Mapping[str, TFLiteFacts],
    verdict: Verdict,
) -> tuple[TargetEntry, ...]:
    """The variants that each target takes, best first, and why each but the first is passed over.

    Best is what is within its budgets, then what the target's list of precisions puts first, then
    what is smaller. What is over its budget is shipped by --allow-failed only.

    Args:
        targets: what must be satisfied.
        evidence: the variants that were built.
        files: what is in each variant's .tflite file.
        verdict: on the variants.
    """
    over = _over(verdict)
    return tuple(_entry(one, _fits(one, evidence, files), over, evidence) for one in targets)


def target_checks(
    targets: tuple[Target, ...], evidence: Evidence, files: Mapping[str, TFLiteFacts]
) -> Iterator[Check]:
    """One check a target: at least one variant is for it."""
    for target in targets:
        fits = _fits(target, evidence, files)
        accepted = [name for name, one in fits.items() if one.fits]
        doubts = fits[accepted[0]].unchecked if accepted else ()
        yield Check(
            subject=f"target:{target.name}",
            name="accepts",
            value=len(accepted),
            budget=1,
            outcome="fail" if not accepted else "inconclusive" if doubts else "pass",
            detail="; ".join((", ".join(accepted), *doubts)) if accepted else _why_none(fits),
        )


def _fits(target: Target, evidence: Evidence, files: Mapping[str, TFLiteFacts]) -> Fits:
    """Every variant held against a target."""
    found = {v.variant: fit(target, _candidate(v, files[v.variant])) for v in evidence.variants}
    order = {precision: place for place, precision in enumerate(target.precisions)}
    last = len(order)
    ranked = sorted(
        evidence.variants, key=lambda v: (order.get(v.precision, last), v.size_bytes, v.variant)
    )
    return {one.variant: found[one.variant] for one in ranked}


def _candidate(one: VariantEvidence, facts: TFLiteFacts) -> Candidate:
    return Candidate(
        variant=one.variant,
        facts=facts,
        least_releases=one.least_releases,
        memory_bytes=one.memory.peak_bytes if one.memory else None,
        micro=one.micro,
        edgetpu=one.edgetpu,
        runs=one.runs,
    )


def _over(verdict: Verdict) -> dict[str, str]:
    """By variant, which checks it failed."""
    refused = {"fail", "inconclusive"} if verdict.strict else {"fail"}
    failed: dict[str, list[str]] = {}
    for check in verdict.checks:
        if check.outcome in refused:
            failed.setdefault(check.subject.removeprefix("baseline:"), []).append(check.name)
    return {name: f"it fails {', '.join(dict.fromkeys(names))}" for name, names in failed.items()}


def _entry(target: Target, fits: Fits, over: Mapping[str, str], evidence: Evidence) -> TargetEntry:
    fit_for_it = [name for name, one in fits.items() if one.fits]
    accepted = sorted(fit_for_it, key=lambda name: name in over)
    best = next(iter(accepted), "")
    runs = next((one.runs for one in evidence.variants if one.variant == best), ())
    return TargetEntry(
        name=target.name,
        variants=tuple(accepted),
        platform=target.platform,
        runtime=target.runtime,
        passed_over=tuple(
            PassedOver(variant=name, reason=_reason(one) or over.get(name) or f"{best} comes first")
            for name, one in fits.items()
            if name != best
        ),
        proven_on=tuple(run.runtime for run in runs if run.runtime in target.runtimes),
        packaging=target.packaging,
    )


def _reason(one: TargetFit) -> str:
    return "; ".join(map(str, one.objections))


def _why_none(fits: Fits) -> str:
    reasons = (f"{name}: {_reason(one)}" for name, one in fits.items())
    return "; ".join(reasons) or "no variant was built"
