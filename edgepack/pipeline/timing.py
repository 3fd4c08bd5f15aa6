"""Latency of everything that was built, added to its evidence. Nothing else may run meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.pipeline import making, running

if TYPE_CHECKING:
    from edgepack.pipeline.baseline import Rerun
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.variants import Built
    from edgepack.records.dataset import SplitData
    from edgepack.records.evidence import BaselineEvidence, Latency, VariantEvidence
    from edgepack.records.stages import Latencies, ModelFile, Ratio, TFLiteModel


@dataclass(frozen=True)
class Timed:
    """Evidence with latencies."""

    source: Latency
    variants: tuple[VariantEvidence, ...]
    baseline: tuple[BaselineEvidence, ...]


@dataclass(frozen=True)
class Subjects:
    """What is timed: every new file and, side by side with it, the old one."""

    reference: ModelFile
    built: tuple[Built, ...]
    reruns: tuple[Rerun, ...]
    fed: SplitData


def measure(session: Session, plan: Plan, subjects: Subjects, split: SplitData) -> Timed:
    """Time source and files; ratios are to float32, or to the baseline's file.

    Args:
        session: the build's.
        plan: the build's.
        subjects: the files, and samples as they take them.
        split: samples as the source takes them.
    """
    source = running.source_latency(session, plan, split)
    if any(one.evidence.not_run for one in subjects.built):  # then float32 is not run either
        as_built = tuple(one.evidence for one in subjects.built)
        return Timed(source, as_built, tuple(one.evidence for one in subjects.reruns))
    models = _models(plan, subjects)
    found = running.latencies(session, plan, models, _pairs(subjects), subjects.fed)
    ratios = {(ratio.name, ratio.reference): ratio for ratio in found.ratios}
    return Timed(
        source=source,
        variants=tuple(_variant(one.evidence, found, ratios) for one in subjects.built),
        baseline=tuple(_baseline(one.evidence, found, ratios) for one in subjects.reruns),
    )


def _models(plan: Plan, subjects: Subjects) -> dict[str, TFLiteModel]:
    models = {one.evidence.variant: one.model for one in subjects.built}
    old = {_old(one.evidence.variant): one.model for one in subjects.reruns if one.model}
    signature = plan.signature.name
    reference = running.runnable(plan, subjects.reference, signature, stateful=plan.facts.stateful)
    return {making.FLOAT32: reference, **models, **old}


def _pairs(subjects: Subjects) -> tuple[tuple[str, str], ...]:
    names = [one.evidence.variant for one in subjects.built]
    old = [one.evidence.variant for one in subjects.reruns if one.model]
    return (*((name, making.FLOAT32) for name in names), *((name, _old(name)) for name in old))


def _old(variant: str) -> str:
    return f"baseline:{variant}"


Ratios = dict[tuple[str, str], "Ratio"]


def _variant(evidence: VariantEvidence, found: Latencies, ratios: Ratios) -> VariantEvidence:
    ratio = ratios[evidence.variant, making.FLOAT32]
    latency = found.latencies[evidence.variant].model_copy(
        update={"ratio": ratio.value, "ratio_interval": ratio.interval}
    )
    return evidence.model_copy(update={"latency": latency})


def _baseline(evidence: BaselineEvidence, found: Latencies, ratios: Ratios) -> BaselineEvidence:
    ratio = ratios.get((evidence.variant, _old(evidence.variant)))
    if ratio is None:
        return evidence
    return evidence.model_copy(
        update={
            "latency": found.latencies[_old(evidence.variant)],
            "latency_ratio": ratio.value,
            "latency_ratio_interval": ratio.interval,
        }
    )
