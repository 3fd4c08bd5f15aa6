"""A search in plain words: its trials, its choice, and what came of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report import figures
from edgepack.report.figures import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.search import Candidate, Goal, SearchResult, Stopped, Trial

SHARE = "top-1"  # a metric that is a share, for figures.points
ALIKE = 40  # characters from which on two reasons count as one
LONGEST = 160  # characters of a reason
NAMED = 6  # groups that are named in one line
ENDS: dict[Stopped, str] = {
    "done": "nothing better was in reach",
    "time": "its time was up",
    "trials": "it had made all trials it may",
    "interrupted": "it was interrupted",
}
FRONT_HEADINGS = ("Trial", "What it is", "Harm", "Latency", "Ratio", "Size")
FAILED_HEADINGS = ("Trials", "Reason")
CHOSEN = " chosen"
PICK = "edgepack build --pick N"


def in_points(goal: Goal) -> bool:
    """Whether harm is a share of samples, and so in percentage points."""
    return not goal.metric or goal.metric in figures.SHARES


def harm(value: float | None, metric: str = "") -> str:
    """Harm in its own unit: 0.5 pt of a share."""
    return NONE if value is None else figures.points(metric or SHARE, value)


def words(candidate: Candidate, groups: int) -> str:
    """What a candidate is: `int8 quantizer mse, 3 of 12 groups float16`.

    Args:
        candidate: it.
        groups: how many there are.
    """
    if candidate.mode not in {"int8", "int16x8"}:
        return candidate.mode
    text = f"{candidate.mode} {candidate.engine} {candidate.clipping}"
    if not candidate.kept:
        return text
    return f"{text}, {len(candidate.kept)} of {groups} groups {candidate.rest}"


def trial_of(result: SearchResult, number: int) -> Trial:
    """The trial with a number."""
    return next(trial for trial in result.trials if trial.number == number)


def ran(result: SearchResult) -> list[Trial]:
    """Trials with a file that was measured, if on few samples."""
    return [one for one in result.trials if not one.failure and one.harm is not None]


def named(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def summary(result: SearchResult) -> Iterator[str]:
    """Goal, effort, choice and what it keeps: a sentence each."""
    yield f"Goal: {_goal(result.goal)}."
    failed = len(result.trials) - len(ran(result))
    count = f"{len(result.trials)} trials" + (f", {failed} failed" if failed else "")
    yield (
        f"Search: {count}, {result.seconds:.1f} s, {result.samples} samples; "
        f"it ended because {ENDS[result.stopped]}."
    )
    best = trial_of(result, result.chosen)
    yield f"Chosen: trial {best.number}, {words(best.candidate, len(result.groups))}: {result.why}."
    yield f"It has {numbers(best, result.goal)}{'' if result.met else '; over the goal'}."
    yield from _kept(result, best)


def _goal(goal: Goal) -> str:
    least = {"latency": "the least latency", "size": "the smallest file"}[goal.objective]
    return f"{least} with a {goal.measure} of at most {harm(goal.max_harm, goal.metric)}"


def numbers(trial: Trial, goal: Goal) -> str:
    """What a trial costs, in a few words."""
    told = [f"harm {harm(trial.harm, goal.metric)}", figures.size(trial.size_bytes)]
    if trial.latency_ratio is not None:
        told.append(f"{figures.times(trial.latency_ratio)} float32's latency")
    return ", ".join(told)


def _kept(result: SearchResult, best: Trial) -> Iterator[str]:
    """Which groups are not quantized, each with what quantizing it alone does."""
    kept = best.candidate.kept
    if not kept:
        return
    shares = _shares(result)
    reasons = [f"{result.groups[group].name}{shares.get(group, '')}" for group in kept]
    yield f"In {best.candidate.rest} stay {named(reasons)}."


def _shares(result: SearchResult) -> dict[int, str]:
    """By group: its share of the squared error, and harm, with that group alone quantized."""
    alone = {group: one for one in result.trials if (group := _alone(result, one)) is not None}
    total = sum(one.error**2 for one in alone.values() if one.error is not None)
    return {
        group: f" ({_error(one, total)}, {harm(one.harm, result.goal.metric)} alone)"
        for group, one in alone.items()
    }


def _alone(result: SearchResult, trial: Trial) -> int | None:
    """The one group that a trial ranked."""
    if trial.stage != "sensitivity":
        return None
    left = set(range(len(result.groups))).difference(trial.candidate.kept)
    return left.pop() if len(left) == 1 else None


def _error(trial: Trial, total: float) -> str:
    if trial.failure:
        return "does not run"
    if trial.error is None or not total:
        return "error unknown"
    return f"{figures.share(trial.error**2 / total)} of the error"


def front_rows(result: SearchResult) -> Iterator[tuple[str, ...]]:
    """The trials that no other beats, the quickest first (or the smallest), the chosen marked."""
    trials = [trial_of(result, number) for number in {*result.front, result.chosen}]
    for one in sorted(trials, key=lambda trial: (cost(trial, result.goal) or 0.0, trial.number)):
        yield (
            f"{one.number}{CHOSEN if one.number == result.chosen else ''}",
            words(one.candidate, len(result.groups)),
            harm(one.harm, result.goal.metric),
            NONE if one.latency_ms is None else figures.milliseconds(one.latency_ms),
            NONE if one.latency_ratio is None else figures.times(one.latency_ratio),
            figures.size(one.size_bytes),
        )


def cost(trial: Trial, goal: Goal) -> float | None:
    """What the objective makes small: latency over float32's, or bytes."""
    return float(trial.size_bytes) if goal.objective == "size" else trial.latency_ratio


def failed_rows(result: SearchResult) -> list[tuple[str, str]]:
    """Numbers of the trials that failed and why, reasons that begin alike together."""
    found: dict[str, list[Trial]] = {}
    for one in result.trials:
        if one.failure:
            found.setdefault(one.failure[:ALIKE], []).append(one)
    return [
        (named([str(one.number) for one in alike]), short(alike[0].failure))
        for alike in found.values()
    ]


def short(reason: str) -> str:
    """The beginning of a reason, in one line."""
    flat = " ".join(reason.split())
    return flat if len(flat) <= LONGEST else f"{flat[: LONGEST - 4].rstrip()} ..."
