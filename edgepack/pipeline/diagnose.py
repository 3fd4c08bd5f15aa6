"""The source model's own accuracy, and the likely reason where it is not what it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.gate.source import source_checks
from edgepack.pipeline import judging
from edgepack.records.evidence import SourceEvidence

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import Outputs, SampleSet


def source_evidence(
    session: Session, plan: Plan, samples: SampleSet, source: Future[Outputs]
) -> SourceEvidence:
    """Judge the source on the evaluation samples, and say what is likely wrong if it fails."""
    split, outputs = samples.splits["evaluate"], source.result()
    evidence = SourceEvidence(
        accuracy=judging.evaluate(session, plan, split, outputs, None),
        chance=judging.chance(session, plan, split),
    )
    checks = source_checks(evidence, plan.settings.model)
    if all(check.outcome != "fail" for check in checks):
        return evidence
    found = judging.diagnosis(session, plan, samples, outputs)
    if found:
        session.warn("diagnose", found)
    return evidence.model_copy(update={"diagnosis": found})
