"""The search for the variant auto: taken from the cache, replayed, or made; and its outcome."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import ConfigError, QuantizationError
from edgepack.pipeline import making, replaying, trying
from edgepack.pipeline.choosing import Made
from edgepack.pipeline.interrupting import one_interrupt
from edgepack.quantize import front
from edgepack.quantize.search import search as walk
from edgepack.records.search import SearchResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.making import Quantizable
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.trying import Hunt
    from edgepack.quantize.book import Attempt
    from edgepack.records.search import Goal, Stopped, Trial

    Stop = Callable[[int], Stopped | None]

INTERRUPTED = "interrupted: the best so far is built; Ctrl-C again ends the build"


def search(
    session: Session, plan: Plan, source: Quantizable, ground: Ground
) -> tuple[Made, SearchResult]:
    """Search, or take the result of the same search from the cache; make the chosen file.

    Raises:
        ConfigError: the trial that was picked, or the log to replay, is not of this search.
        QuantizationError: no candidate could be made and run.
    """
    hunt = trying.prepare(session, plan, source, ground)
    result = _picked(_result(hunt), plan.settings.search.pick)
    candidate = next(one for one in result.trials if one.number == result.chosen).candidate
    if candidate.mode == making.FLOAT32:
        return Made(source.float_model, None), result
    recipe = hunt.recipe(candidate)
    return Made(making.quantize(session, plan, recipe, source), recipe), result


def _result(hunt: Hunt) -> SearchResult:
    wanted, cache = hunt.plan.settings.search, hunt.session.cache
    if wanted.replay:
        recorded = replaying.read(Path(wanted.replay), hunt)
        return _searched(hunt, recorded.attempt, recorded.stop)
    key = {
        **hunt.key,
        "goal": hunt.goal.model_dump_json(),
        "space": f"{hunt.space.engines} {hunt.space.clippings} {hunt.space.rests}",
        "limits": f"{wanted.seconds} {wanted.trials}",
    }
    if found := cache.lookup("search", key, SearchResult):
        return found[0]
    with one_interrupt() as asked:
        result = _searched(hunt, trying.attempts(hunt), _limit(hunt, asked))
    if result.stopped != "interrupted":  # the trials of that one are kept, and it can go on
        cache.stage("search", key, SearchResult, lambda _: result)
    return result


def _limit(hunt: Hunt, asked: Event) -> Stop:
    """When a search ends although it has something left to try."""
    wanted, start = hunt.plan.settings.search, time.monotonic()

    def stop(count: int) -> Stopped | None:
        if asked.is_set():
            hunt.session.warn("search", INTERRUPTED)
            return "interrupted"
        if count >= wanted.trials:
            return "trials"
        return "time" if time.monotonic() - start > wanted.seconds else None

    return stop


def _searched(hunt: Hunt, attempt: Attempt, stop: Stop) -> SearchResult:
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
