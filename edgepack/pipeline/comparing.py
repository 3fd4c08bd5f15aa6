"""Candidates side by side, on samples that do not judge the build: tune, or else calibrate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.measure.metrics import STANDARD
from edgepack.measure.trials import measure_trial
from edgepack.pipeline import judging, running
from edgepack.records.search import TrialMeasure

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import Outputs, SampleSet, Split, SplitData
    from edgepack.records.settings import Budget
    from edgepack.records.stages import ModelFile

ALL = 0
DEFAULT_HARM = 0.01


@dataclass(frozen=True)
class Ground:
    """Samples as a file takes them, with the source's answers to them."""

    name: Split
    split: SplitData
    source: Outputs


def ground(session: Session, plan: Plan, samples: SampleSet, fed: SampleSet, name: Split) -> Ground:
    """The samples of a split with the source's answers."""
    source = running.source_outputs(session, plan, samples.splits[name])
    return Ground(name=name, split=fed.splits[name], source=source)


def untouched(samples: SampleSet) -> Split:
    """The split that candidates are compared on: never the one that judges them."""
    tune = samples.splits.get("tune")
    return "tune" if tune and tune.samples else "calibrate"


def measure(
    session: Session, plan: Plan, file: ModelFile, ground: Ground, rows: int = ALL
) -> TrialMeasure:
    """A candidate's answers against the source's; the time that it takes is not looked at.

    Raises:
        ModelError: the runtime cannot load or run the file.
    """
    key = {
        "model": file.sha256,
        "signature": plan.signature.name,
        "source": judging.entry(ground.source),
        "samples": f"{ground.split.digest} {rows}",
        "spec": plan.spec.model_dump_json(include={"task", "metrics", "output"}),
        "runtime": plan.versions.runtime,
    }

    def make(_: Path) -> TrialMeasure:
        return run(session, plan, file, ground, rows=rows)

    return session.cache.stage("compared", key, TrialMeasure, make)[0]


def run(  # noqa: PLR0913 - both files, and what they are compared on
    session: Session,
    plan: Plan,
    file: ModelFile,
    ground: Ground,
    *,
    rows: int = ALL,
    reference: ModelFile | None = None,
) -> TrialMeasure:
    """Measure a candidate in a worker; beside a reference, its latency too.

    Raises:
        ModelError: the runtime cannot load or run the file.
    """
    name, stateful = plan.signature.name, plan.facts.stateful
    call = session.general.submit(
        measure_trial,
        running.runnable(plan, file, name, stateful=stateful),
        running.runnable(plan, reference, name, stateful=stateful) if reference else None,
        split=ground.split,
        source=ground.source,
        spec=plan.spec,
        root=plan.root,
        rows=rows,
    )
    return call.result()


def harm(measure: TrialMeasure, budget: Budget) -> float | None:
    """What the budget limits: the drop of the first metric, or the share of other answers.

    Without labels, or with max_accuracy_drop off, one less the agreement with the source (top-1, or
    cosine similarity where there are no classes) of the output that agrees least. None where
    neither is defined.
    """
    if measure.drops and budget.max_accuracy_drop is not None:
        return measure.drops[0].value
    found = [one.top1 if one.top1 is not None else one.cosine for one in measure.agreement]
    shares = [1 - share for share in found if share is not None]
    exact = all(one.max_abs_error == 0 for one in measure.agreement)
    return max(shares, default=0.0 if exact else None)


@dataclass(frozen=True)
class Yardstick:
    """What harm is for a variant: a drop of a metric, or disagreement; and how much is allowed."""

    metric: str
    measure: str
    most: float


def yardstick(plan: Plan, ground: Ground, variant: str) -> Yardstick:
    """By the variant's budget, and whether there are labels."""
    budget = plan.settings.budgets.of(variant)
    names = plan.spec.metrics or STANDARD[plan.spec.task]
    if ground.split.labels is not None and names and budget.max_accuracy_drop is not None:
        return Yardstick(names[0], f"drop of {names[0]}", budget.max_accuracy_drop)
    most = DEFAULT_HARM if budget.max_accuracy_drop is None else budget.max_accuracy_drop
    if budget.min_agreement is not None:
        most = 1 - budget.min_agreement
    return Yardstick("", "share of answers unlike the source's", most)


def error(measure: TrialMeasure) -> float | None:
    """The largest relative L2 error of an output."""
    found = [one.relative_error for one in measure.agreement]
    return max((one for one in found if one is not None), default=None)


def collapsed(measure: TrialMeasure) -> str:
    """What makes a file useless whatever its score; empty where nothing does."""
    for one in measure.health:
        if one.non_finite:
            return f"{one.non_finite} elements of {one.output!r} are NaN or infinite"
    dead = [one.output for one in measure.health if one.constant]
    if dead:
        return f"the same answer to every sample: {', '.join(dead)}"
    return ""
