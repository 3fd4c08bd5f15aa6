"""One search's trials: what decides what they find, how each is made and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import ModelError, QuantizationError, WorkerError
from edgepack.files import sha256_file
from edgepack.measure.machine import machine
from edgepack.pipeline import comparing, judging, making, recipes
from edgepack.quantize import front
from edgepack.quantize.space import Space
from edgepack.records.events import Event
from edgepack.records.search import Goal, Trial
from edgepack.records.stages import ModelFile
from edgepack.tflite import groups as layer_groups
from edgepack.tflite import reader

if TYPE_CHECKING:
    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.making import Quantizable
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.quantize.book import Attempt
    from edgepack.records.recipe import Engine, Recipe
    from edgepack.records.search import Candidate

AUTO = "auto"
# The best of many candidates looks better on the samples it was chosen by than it is: the search
# aims at a half of what the gate allows.
MARGIN = 0.5


@dataclass(frozen=True)
class Hunt:
    """One search: everything that decides what a trial finds."""

    session: Session
    plan: Plan
    source: Quantizable
    ground: Ground
    space: Space
    goal: Goal

    def recipe(self, candidate: Candidate) -> Recipe:
        """How a candidate's file is made."""
        settings = self.plan.settings.quantize
        return recipes.of_candidate(candidate, self.space.groups, settings)

    @property
    def key(self) -> dict[str, str]:
        """What identifies a measurement, but for the candidate."""
        plan, quantize = self.plan, self.plan.settings.quantize
        statistics = self.source.statistics
        return {
            "model": self.source.float_model.sha256,
            "statistics": sha256_file(statistics) if statistics else "",
            "samples": self.ground.split.digest,
            "source": judging.entry(self.ground.source),
            "spec": plan.spec.model_dump_json(include={"task", "metrics", "output"}),
            "quantize": f"{quantize.granularity} {quantize.symmetric}",
            "engines": f"{plan.versions.quantizer} {plan.versions.tensorflow}",
            "runtime": plan.versions.runtime,
            "threads": str(plan.settings.latency.threads),
            "harm": self.goal.measure,
            "machine": machine().model_dump_json(),
        }


def prepare(session: Session, plan: Plan, source: Quantizable, ground: Ground) -> Hunt:
    """What a search would do."""
    path, wanted = Path(source.float_model.path), plan.settings.quantize
    space = Space(
        groups=layer_groups.groups(path, plan.signature.name),
        engines=_engines(plan),
        clippings=wanted.clippings,
        rests=plan.settings.search.rests,
    )
    harm = comparing.yardstick(plan, ground, AUTO)
    goal = Goal(
        objective=plan.settings.search.objective,
        max_harm=MARGIN * harm.most,
        measure=harm.measure,
        metric=harm.metric,
    )
    return Hunt(session, plan, source, ground, space, goal)


def _engines(plan: Plan) -> tuple[Engine, ...]:
    try:
        return recipes.engines("int8", plan.settings.quantize)
    except QuantizationError:
        return ()


def attempts(hunt: Hunt, *, searching: bool = True) -> Attempt:
    """Trials by measurement, each kept in the cache as soon as it is there.

    Args:
        hunt: the search.
        searching: whether there is a best so far to tell of.
    """
    best: list[Trial] = []

    def attempt(number: int, candidate: Candidate, stage: str, samples: int) -> Trial:
        _say(hunt, number, stage, front.best(best, hunt.goal) if searching else None)
        key = {**hunt.key, "candidate": candidate.model_dump_json(), "rows": str(samples)}
        try:
            trial, _ = hunt.session.cache.stage(
                "trial", key, Trial, lambda work: _trial(hunt, candidate, samples, work)
            )
        except WorkerError as error:  # may be the machine's fault: not kept
            trial = Trial(number=0, candidate=candidate, stage=stage, failure=error.message)
        trial = trial.model_copy(update={"number": number, "stage": stage})
        if front.counts(trial, hunt.ground.split.samples):
            best.append(trial)
        return trial

    return attempt


def _say(hunt: Hunt, number: int, stage: str, best: Trial | None) -> None:
    """The stage with the best so far: a new line in a log only where that changes."""
    what = stage
    if best is not None and hunt.goal.objective == "latency":
        what += f"; best so far {best.latency_ratio:.2f} of float32's latency, harm {best.harm:.4f}"
    elif best is not None:
        what += f"; best so far {best.size_bytes} bytes, harm {best.harm:.4f}"
    total = hunt.plan.settings.search.trials
    hunt.session.emit(Event(stage="trials", message=what, done=number - 1, total=total))


def _trial(hunt: Hunt, candidate: Candidate, samples: int, work: Path) -> Trial:
    """Make a candidate's file, run it, and leave nothing of it but figures."""
    path = work / "candidate.tflite"
    trial = Trial(number=0, candidate=candidate, stage="", samples=samples)
    try:
        file = _file(hunt, candidate, path)
        facts = reader.read(Path(file.path))
        measured = comparing.run(
            hunt.session,
            hunt.plan,
            file,
            hunt.ground,
            rows=samples,
            reference=hunt.source.float_model,
        )
    except WorkerError:
        raise
    except ModelError as error:
        return trial.model_copy(update={"failure": error.message})
    finally:
        path.unlink(missing_ok=True)
    return Trial(
        number=0,
        candidate=candidate,
        stage="",
        failure=comparing.collapsed(measured),
        sha256=facts.sha256,
        precision=facts.precision,
        size_bytes=facts.size_bytes,
        samples=measured.samples,
        harm=comparing.harm(measured, hunt.plan.settings.budgets.of(AUTO)),
        error=comparing.error(measured),
        latency_ms=measured.latency_ms,
        latency_ratio=measured.latency_ratio,
    )


def _file(hunt: Hunt, candidate: Candidate, path: Path) -> ModelFile:
    if candidate.mode == making.FLOAT32:
        return hunt.source.float_model
    recipe = hunt.recipe(candidate)
    making.write_quantized(hunt.session, hunt.plan, recipe, hunt.source, path)
    return ModelFile(variant=AUTO, path=str(path), sha256=sha256_file(path))
