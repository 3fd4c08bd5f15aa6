"""Every variant run on the releases that targets name, added to its evidence."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.measure.machine import machine
from edgepack.pipeline import releases
from edgepack.pipeline.releases import File, Manner, Recording
from edgepack.records.runtimes import RuntimeRuns
from edgepack.runtimes import browser, requirement
from edgepack.runtimes.environment import Environments
from edgepack.vectors import index

if TYPE_CHECKING:
    from edgepack.pipeline.measuring import Measured
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.vectors import Vectors
    from edgepack.records.runtimes import RuntimeRun
    from edgepack.runtimes.requirement import Requirement

STAGE = "replay"
SAMPLES = 8  # that are run where no vectors are asked for


def samples(plan: Plan) -> int:
    """How many samples runs on other releases take; 0 where no target names any."""
    return SAMPLES if _wanted(plan) else 0


def prove(session: Session, plan: Plan, measured: Measured, vectors: Vectors | None) -> Measured:
    """Run what was built where targets want it run.

    Args:
        session: the build's; it must not have ended.
        plan: the build's.
        measured: what was built.
        vectors: what was recorded of it; without any, nothing is run and the gate says so.

    Raises:
        UsageError: a target names what is no runtime.
        RuntimeInstallError: a release cannot be installed.
    """
    wanted = _wanted(plan)
    if not wanted or vectors is None:
        return measured
    runs = _runs(session, plan, measured, vectors, wanted)
    variants = tuple(
        one.model_copy(update={"runs": tuple(r for r in runs if r.variant == one.variant)})
        for one in measured.evidence.variants
    )
    return replace(measured, evidence=measured.evidence.model_copy(update={"variants": variants}))


def _wanted(plan: Plan) -> tuple[Requirement, ...]:
    named = (release for target in plan.targets for release in target.runtimes)
    return tuple(dict.fromkeys(map(requirement.parse, named)))


def _runs(
    session: Session,
    plan: Plan,
    measured: Measured,
    vectors: Vectors,
    wanted: tuple[Requirement, ...],
) -> tuple[RuntimeRun, ...]:
    key = {
        "models": ",".join(one.model.sha256 for one in measured.built),
        "vectors": hashlib.sha256(index.text(vectors.index)).hexdigest(),
        "releases": ",".join(map(str, wanted)),
        "browsers": ",".join(browser.stamp(one) for one in wanted if one.kind == "browser"),
        "threads": str(plan.settings.latency.threads),
        "machine": machine().model_dump_json(),
    }

    def make(_: Path) -> RuntimeRuns:
        session.tell(STAGE, f"running {len(measured.built)} files on {', '.join(map(str, wanted))}")
        recording = _recording(session, measured, vectors)
        environments = Environments(session.cache.root / releases.FOLDER)
        manner = Manner(plan.settings.latency.threads)
        return RuntimeRuns(runs=releases.run(recording, wanted, environments, manner))

    return session.cache.stage(STAGE, key, RuntimeRuns, make, _is_answered)[0].runs


def _recording(session: Session, measured: Measured, vectors: Vectors) -> Recording:
    files = {
        one.evidence.variant: File(Path(one.file.path), one.facts.signatures)
        for one in measured.built
    }
    return Recording(
        root=vectors.directory,
        count=vectors.index.count,
        files=files,
        entries=vectors.index.variants,
        scratch=session.work / STAGE,
    )


def _is_answered(found: RuntimeRuns) -> bool:
    """A death or a hang may be this machine's doing, and is not to stay for all builds to come."""
    return all(run.answered for run in found.runs)
