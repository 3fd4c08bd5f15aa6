"""Stages that judge outputs: accuracy, comparison, chance, diagnosis."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.measure import accuracy
from edgepack.measure.chance import measure_chance
from edgepack.measure.diagnosis import permuted_classes, try_alternatives
from edgepack.records.evidence import Accuracy
from edgepack.records.stages import (
    Chance,
    Drops,
)

if TYPE_CHECKING:
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import Outputs, SampleSet, SplitData
    from edgepack.records.evidence import Drop


def _judge_key(plan: Plan, split: SplitData, *runs: Outputs | None) -> dict[str, str]:
    """What decides a comparison: both runs (their cache entries), the labels, the metrics."""
    return {
        "runs": ",".join(entry(run) for run in runs if run),
        "samples": split.digest,
        "spec": plan.spec.model_dump_json(include={"task", "metrics", "output"}),
        "classes": ",".join(plan.spec.classes),
        "scikit-learn": plan.versions.scikit_learn,
        "numpy": plan.versions.numpy,
    }


def entry(run: Outputs) -> str:
    """The cache entry of a model's answers, which stands for what made them."""
    return Path(next(iter(run.arrays.values())).path).parent.name


def _uncached(plan: Plan) -> bool:
    """A user's own metric may change without any file that is known here."""
    return any(":" in metric for metric in plan.spec.metrics)


def evaluate(
    session: Session, plan: Plan, split: SplitData, candidate: Outputs, reference: Outputs | None
) -> Accuracy:
    """Accuracy of one model, and its agreement with the source unless it is the source."""

    def make(_: Path) -> Accuracy:
        call = session.general.submit(
            accuracy.evaluate, candidate, reference, split.labels, plan.spec, plan.root
        )
        return call.result()

    if _uncached(plan):
        return make(session.work)
    key = _judge_key(plan, split, candidate, reference)
    return session.cache.stage("evaluate", key, Accuracy, make)[0]


def compare(
    session: Session, plan: Plan, split: SplitData, candidate: Outputs, reference: Outputs
) -> tuple[Drop, ...]:
    """How much worse one model is than another on the labels."""

    def make(_: Path) -> Drops:
        call = session.general.submit(
            accuracy.compare, candidate, reference, split.labels, plan.spec, plan.root
        )
        return Drops(drops=call.result())

    if _uncached(plan):
        return make(session.work).drops
    key = _judge_key(plan, split, candidate, reference)
    return session.cache.stage("compare", key, Drops, make)[0].drops


def chance(session: Session, plan: Plan, split: SplitData) -> float | None:
    """What a model that knows nothing would reach."""

    def make(_: Path) -> Chance:
        return session.general.submit(measure_chance, split.labels, plan.spec).result()

    return session.cache.stage("chance", _judge_key(plan, split), Chance, make)[0].value


def diagnosis(session: Session, plan: Plan, samples: SampleSet, outputs: Outputs) -> str:
    """What is likely wrong where the source's accuracy is off; empty where nothing is found."""
    split = samples.splits["evaluate"]
    if split.labels is None:
        return ""
    session.tell("diagnose", "the source's accuracy is off: looking for the reason")
    if plan.spec.task == "classification":
        call = session.general.submit(
            permuted_classes, outputs, split.labels, plan.spec, samples.classes
        )
        if found := call.result():
            return found
    tried = session.tensorflow.submit(try_alternatives, plan.source, split, plan.spec, plan.root)
    return tried.result()
