"""The search: full files first, then which groups to keep, by harm for what they save.

Much as NNCF's accuracy-aware loop ranks and restores operations for OpenVINO, but by measured
latency or size, from both ends, and with groups given back to int8 afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from edgepack.quantize import front
from edgepack.quantize.book import Book, StopError
from edgepack.quantize.space import keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgepack.quantize.book import Attempt
    from edgepack.quantize.space import Space
    from edgepack.records.search import Candidate, Goal, Stopped, Trial

SCOUTED = 100  # samples that rank groups; the whole split decides
LEAST_SAVED = 0.005  # of float32's latency or size: below it, a saving is noise
PASSES = 3


@dataclass(frozen=True)
class Found:
    """Every trial, and why the search ended."""

    trials: tuple[Trial, ...]
    stopped: Stopped


def search(
    space: Space,
    goal: Goal,
    samples: int,
    attempt: Attempt,
    stop: Callable[[int], Stopped | None],
) -> Found:
    """Try candidates until nothing better is in reach, or a limit is.

    Deterministic: the same trials lead to the same next one.

    Args:
        space: the candidates.
        goal: budget and objective.
        samples: of the tune split.
        attempt: makes and measures a candidate.
        stop: limit that is reached after so many trials, if any.
    """
    book = Book(attempt, goal, samples, stop)
    try:
        _strategy(book, space)
    except StopError as ended:
        return Found(tuple(book.trials), ended.why)
    return Found(tuple(book.trials), "done")


def _strategy(book: Book, space: Space) -> None:
    for candidate in (*space.whole(), *space.full()):
        book.ask(candidate, "reference")
    start = base(book, space)
    if start is None or len(space.groups) < 2:  # noqa: PLR2004 - one group is the whole file
        return
    if not any(_feasible(book, candidate) for candidate in space.full()):
        ranked = rank(book, space, start)
        _bisect(book, start, [(one,) for one in ranked])
        order = range(len(space.groups))
        _bisect(book, start, [(one,) for one in order])
        _bisect(book, start, [(one,) for one in reversed(order)])
        _refine(book, space, ranked)
    _finish(book, space)


def _feasible(book: Book, candidate: Candidate) -> bool:
    return book.ok(candidate, "reference")


def base(book: Book, space: Space) -> Candidate | None:
    """The full int8 file that does least harm; the preferred one where none of them runs."""
    fulls = list(space.full())
    trials = [book.ask(candidate, "reference") for candidate in fulls]
    ran = [trial for trial in trials if book.counts(trial)]
    if ran:
        return min(ran, key=lambda trial: (_or_inf(trial.harm), _or_inf(trial.error))).candidate
    return fulls[0] if fulls else None


def rank(book: Book, space: Space, full: Candidate) -> list[int]:
    """Groups by the harm that each does alone for what it saves, the most harmful first."""
    whole = book.ask(next(space.whole()), "reference")
    harm = {}
    for group in range(len(space.groups)):
        trial = book.ask(space.alone(full, group), "sensitivity", SCOUTED)
        harm[group] = _rate(trial, whole, book.goal)
    return sorted(harm, key=lambda group: (-harm[group], group))


def _rate(trial: Trial, whole: Trial, goal: Goal) -> float:
    """Squared error, which adds up over groups, for the share of the cost saved."""
    if trial.failure or trial.error is None:
        return inf
    saved = 1 - front.cost(trial, goal) / front.cost(whole, goal)
    return trial.error**2 / max(saved, LEAST_SAVED)


def _bisect(book: Book, full: Candidate, order: Sequence[Sequence[int]]) -> None:
    """Find how few of the first groups of an order have to be kept, as if harm fell steadily."""
    low, high = 0, len(order)  # none kept is over the goal; all kept is the float file
    while high - low > 1:
        middle = (low + high) // 2
        kept = [group for part in order[:middle] for group in part]
        if book.ok(keeping(full, kept), "bisection"):
            high = middle
        else:
            low = middle


def _refine(book: Book, space: Space, ranked: Sequence[int]) -> None:
    """Give kept groups back to int8, and keep islands between kept ones, while that helps."""
    for _ in range(PASSES):
        start = _mixed(book)
        for group in reversed(ranked):  # the least harmful first
            _give_back(book, group)
        for group in range(len(space.groups)):
            _fill(book, group, len(space.groups))
        if _mixed(book) == start:
            return


def _mixed(book: Book) -> Trial | None:
    """The best file with int8 in it, of those within the goal."""
    found = [one for one in book.counted() if one.candidate.mode == "int8"]
    return front.best([one for one in found if front.meets(one, book.goal)], book.goal)


def _give_back(book: Book, group: int) -> None:
    best = _mixed(book)
    if best is not None and group in best.candidate.kept:
        book.ask(keeping(best.candidate, {*best.candidate.kept} - {group}), "refinement")


def _fill(book: Book, group: int, count: int) -> None:
    """Keep a group whose neighbours are kept too: two borders less to convert at."""
    best = _mixed(book)
    if best is None or group in best.candidate.kept:
        return
    around = {group - 1, group + 1} & set(range(count))
    if around <= {*best.candidate.kept}:
        book.ask(keeping(best.candidate, {*best.candidate.kept, group}), "refinement")


def _finish(book: Book, space: Space) -> None:
    """The same choice by other engines and clippings, and with kept groups made smaller."""
    for further in (space.swaps, space.rested):
        best = _mixed(book)
        if best is not None and best.candidate.kept:
            for candidate in further(best.candidate):
                book.ask(candidate, "finish")


def _or_inf(value: float | None) -> float:
    return inf if value is None else value
