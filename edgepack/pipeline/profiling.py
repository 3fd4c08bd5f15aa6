"""Where each variant spends its time, added to its evidence. Nothing else may run meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.engines import delegation, profiler
from edgepack.errors import ModelError
from edgepack.measure.machine import machine
from edgepack.pipeline import running
from edgepack.records.profile import CoverageResult, OpProfile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.timing import Subjects
    from edgepack.pipeline.variants import Built
    from edgepack.records.dataset import SplitData
    from edgepack.records.evidence import VariantEvidence
    from edgepack.records.profile import Coverage
    from edgepack.records.stages import TFLiteModel

STAGE = "profile"


def profiled(
    session: Session, plan: Plan, subjects: Subjects, variants: Iterable[VariantEvidence]
) -> tuple[VariantEvidence, ...]:
    """The same evidence with profiles, but for what could not be run.

    Args:
        session: the build's.
        plan: the build's.
        subjects: the files, and samples as they take them.
        variants: evidence of the files, in their order.
    """
    return tuple(
        evidence
        if evidence.not_run
        else evidence.model_copy(update={"profile": _profile(session, plan, built, subjects.fed)})
        for evidence, built in zip(variants, subjects.built, strict=True)
    )


def _profile(session: Session, plan: Plan, built: Built, split: SplitData) -> OpProfile:
    """One file's; that the profiler ends its worker is a reason, and not the build's end."""
    model = built.model
    covered, found = None, OpProfile(runtime=plan.versions.runtime, threads=model.threads)
    try:
        covered = _coverage(session, plan, model, split)
        found = _times(session, plan, built, split)
    except ModelError as error:
        found = found.model_copy(update={"reason": error.message})
    return found.model_copy(update={"coverage": covered or found.coverage})


def _coverage(
    session: Session, plan: Plan, model: TFLiteModel, split: SplitData
) -> Coverage | None:
    def make(_: Path) -> CoverageResult:
        return session.general.submit(delegation.measure_coverage, model, split).result()

    key = _key(plan, model, split)
    return session.cache.stage("coverage", key, CoverageResult, make)[0].coverage


def _times(session: Session, plan: Plan, built: Built, split: SplitData) -> OpProfile:
    model = built.model

    def make(_: Path) -> OpProfile:
        session.tell(STAGE, f"timing the operators of {built.evidence.variant}")
        return session.general.submit(profiler.measure_profile, model, split).result()

    return session.cache.stage(STAGE, _key(plan, model, split), OpProfile, make)[0]


def _key(plan: Plan, model: TFLiteModel, split: SplitData) -> dict[str, str]:
    return {
        **running.run_key(plan, model),
        "samples": split.digest,
        "machine": machine().model_dump_json(),
    }
