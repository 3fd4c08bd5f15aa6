"""The search for the variant auto: what is measured, what is remembered, when it ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.errors import ConfigError, ModelError, QuantizationError, WorkerError
from edgepack.files import sha256_file
from edgepack.measure.machine import machine
from edgepack.pipeline import comparing, judging, making, recipes
from edgepack.pipeline.choosing import Made
from edgepack.pipeline.interrupting import one_interrupt
from edgepack.quantize import front
from edgepack.quantize.search import search as walk
from edgepack.quantize.space import Space
from edgepack.records import events
from edgepack.records.search import Goal, SearchResult, Trial
from edgepack.records.stages import ModelFile
from edgepack.tflite import groups as layer_groups
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.making import Quantizable
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.quantize.book import Attempt
    from edgepack.records.recipe import Engine, Recipe
    from edgepack.records.search import Candidate, Stopped

AUTO = "auto"
# The best of many candidates looks better on the samples it was chosen by than it is: the search
# aims at a half of what the gate allows.
MARGIN = 0.5
INTERRUPTED = "interrupted: the best so far is built; Ctrl-C again ends the build"


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
            "machine": machine().model_dump_json(),
        }


def search(
    session: Session, plan: Plan, source: Quantizable, ground: Ground
) -> tuple[Made, SearchResult]:
    """Search, or take the result of the same search from the cache; make the chosen file.

    Raises:
        ConfigError: the trial that was picked, or the log to replay, is not of this search.
        QuantizationError: no candidate could be made and run.
    """
    hunt = prepare(session, plan, source, ground)
    result = _picked(_result(hunt), plan.settings.search.pick)
    chosen = next(one for one in result.trials if one.number == result.chosen)
    if chosen.candidate.mode == making.FLOAT32:
        recipe = None
        file = source.float_model
    else:
        recipe = hunt.recipe(chosen.candidate)
        file = making.quantize(session, plan, recipe, source)
    return Made(file, recipe), result


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


def _result(hunt: Hunt) -> SearchResult:
    wanted = hunt.plan.settings.search
    if wanted.replay:
        return _replayed(hunt, Path(wanted.replay))
    key = {
        **hunt.key,
        "goal": hunt.goal.model_dump_json(),
        "space": f"{hunt.space.engines} {hunt.space.clippings} {hunt.space.rests}",
        "limits": f"{wanted.seconds} {wanted.trials}",
    }
    if found := hunt.session.cache.lookup("search", key, SearchResult):
        return found[0]
    with one_interrupt() as asked:
        result = _searched(hunt, attempts(hunt), _limit(hunt, asked))
    if result.stopped != "interrupted":  # the trials of that one are kept, and it can go on
        hunt.session.cache.stage("search", key, SearchResult, lambda _: result)
    return result


def _limit(hunt: Hunt, asked: Event) -> Callable[[int], Stopped | None]:
    """When a search ends before it has nothing left to try."""
    wanted, start = hunt.plan.settings.search, time.monotonic()

    def stop(count: int) -> Stopped | None:
        if asked.is_set():
            hunt.session.warn("search", INTERRUPTED)
            return "interrupted"
        if count >= wanted.trials:
            return "trials"
        return "time" if time.monotonic() - start > wanted.seconds else None

    return stop


def attempts(hunt: Hunt) -> Attempt:
    """Trials by measurement, each kept in the cache as soon as it is there."""
    best: list[Trial] = []

    def attempt(number: int, candidate: Candidate, stage: str, samples: int) -> Trial:
        _say(hunt, number, stage, front.best(best, hunt.goal))
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
    hunt.session.emit(events.Event(stage="search", message=what, done=number - 1, total=total))


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


def _searched(
    hunt: Hunt,
    attempt: Attempt,
    stop: Callable[[int], Stopped | None],
) -> SearchResult:
    start, samples = time.monotonic(), hunt.ground.split.samples
    found = walk(hunt.space, hunt.goal, samples, attempt, stop)
    counted = [one for one in found.trials if front.counts(one, samples)]
    best = front.best(counted, hunt.goal)
    if best is None:
        reason = next((one.failure for one in found.trials if one.failure), found.stopped)
        raise QuantizationError(f"the search found no file that runs: {reason}")
    return SearchResult(
        goal=hunt.goal,
        groups=hunt.space.groups,
        trials=found.trials,
        front=front.front(counted),
        chosen=best.number,
        met=front.meets(best, hunt.goal),
        stopped=found.stopped,
        seconds=round(time.monotonic() - start, 1),
        samples=samples,
        why=_why(best, hunt.goal, len(counted)),
    )


def _why(best: Trial, goal: Goal, count: int) -> str:
    if not front.meets(best, goal):
        return f"none of {count} files is within the goal on the tune split: this one is nearest"
    what = "quickest" if goal.objective == "latency" else "smallest"
    return f"the {what} of {count} files, of those within the goal on the tune split"


def _picked(result: SearchResult, pick: int | None) -> SearchResult:
    """The user's choice in place of the search's.

    Raises:
        ConfigError: there is no such trial, or it cannot be built.
    """
    if pick is None:
        return result
    able = [one for one in result.trials if front.counts(one, result.samples)]
    found = next((one for one in able if one.number == pick), None)
    if found is None:
        raise ConfigError(
            f"the search has no trial {pick} that can be built",
            where="search.pick",
            hint=f"The Pareto front is {', '.join(map(str, result.front))}: see search.json.",
        )
    met = front.meets(found, result.goal)
    update = {"chosen": pick, "picked": True, "met": met, "why": "picked by the config"}
    return result.model_copy(update=update)


def _replayed(hunt: Hunt, path: Path) -> SearchResult:
    """The same search over recorded measurements.

    Raises:
        ConfigError: the log cannot be read, or is of another model or another space.
    """
    log = _log(path)
    if log.groups != hunt.space.groups or log.samples != hunt.ground.split.samples:
        raise ConfigError(
            "the search log is of another model or another tune split",
            where=path,
            hint="Leave search.replay out to search anew.",
        )
    known = {(one.candidate, one.samples): one for one in log.trials}
    known |= {(one.candidate, 0): one for one in log.trials if not one.samples}

    def attempt(number: int, candidate: Candidate, stage: str, samples: int) -> Trial:
        found = known.get((candidate, samples)) or known.get((candidate, 0))
        if found is None:
            raise ConfigError(
                f"the search log has no measurement of its trial {number}: "
                "it was made with other settings, or by another version of edgepack",
                where=path,
                hint="Leave search.replay out to search anew.",
            )
        return found.model_copy(update={"number": number, "stage": stage})

    def stop(count: int) -> Stopped | None:
        return log.stopped if count >= len(log.trials) and log.stopped != "done" else None

    return _searched(hunt, attempt, stop)


def _log(path: Path) -> SearchResult:
    try:
        return SearchResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no search.json"
        raise ConfigError(
            f"the search log cannot be read: {what}",
            where=path,
            hint="Name the search.json that a build with the variant auto left.",
        ) from error
