"""A search as points of a drawing: where each trial lies, and which are named."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from edgepack.report import axes, trials
from edgepack.report.labels import Box, Label, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.search import Goal, SearchResult, Trial
    from edgepack.report.axes import Axis
    from edgepack.report.labels import Placed

LEFT, RIGHT, TOP, BOTTOM = 72, 700, 84, 384
MARK = 5.0  # half the width of a dot
LEAST_LIMIT = 0.001  # of harm: below it, a limit is drawn as if it were this
PERCENT = 100
KILO = 1000


@dataclass(frozen=True)
class Dot:
    """A trial and where it is drawn."""

    trial: Trial
    x: float
    y: float

    @property
    def kind(self) -> str:
        """What made it, which its shape and colour tell."""
        static = self.trial.candidate.mode in {"int8", "int16x8"}
        return self.trial.candidate.engine if static else "whole"


@dataclass(frozen=True)
class Chart:
    """A search with the places of its trials."""

    result: SearchResult
    across: Axis
    up: Axis
    dots: tuple[Dot, ...]

    @property
    def front(self) -> list[Dot]:
        """Of the Pareto front, in order of cost, those that do less harm than any cheaper one."""
        found: list[Dot] = []
        for dot in sorted(self.dots, key=lambda one: (one.x, -one.y)):
            if dot.trial.number in self.result.front and (not found or dot.y > found[-1].y):
                found.append(dot)
        return found

    @property
    def goal(self) -> float:
        """Height of the goal."""
        goal = self.result.goal
        return self.up.at(_scale(goal) * goal.max_harm)

    def chosen(self, dot: Dot) -> bool:
        """Whether that trial is built."""
        return dot.trial.number == self.result.chosen

    def on_front(self, dot: Dot) -> bool:
        """Whether no other beats it."""
        return dot.trial.number in self.result.front

    def scouted(self, dot: Dot) -> bool:
        """Whether it was run on some samples only."""
        return dot.trial.samples < self.result.samples


def chart_of(result: SearchResult) -> Chart:
    """Place every trial that was measured."""
    scale = _scale(result.goal)
    shown = [
        (one, cost, scale * one.harm)
        for one in trials.ran(result)
        if (cost := _cost(one, result.goal)) is not None and one.harm is not None
    ]
    limit = scale * max(result.goal.max_harm, LEAST_LIMIT)
    across = axes.plain([cost for _, cost, _ in shown] or [1.0], LEFT, RIGHT)
    up = axes.bent((harm for _, _, harm in shown), limit, BOTTOM, TOP)
    dots = tuple(Dot(one, across.at(cost), up.at(harm)) for one, cost, harm in shown)
    return Chart(result, across, up, dots)


def _scale(goal: Goal) -> int:
    return PERCENT if trials.in_points(goal) else 1


def _cost(trial: Trial, goal: Goal) -> float | None:
    """Latency over float32's, or kilobytes."""
    cost = trials.cost(trial, goal)
    return cost / KILO if cost is not None and goal.objective == "size" else cost


def labels_of(chart: Chart) -> list[Placed]:
    """Names of the chosen trial and of full files, and the numbers of the front, with places."""
    told = [Label(dot.x, dot.y, text, chart.chosen(dot)) for dot, text in _named(chart)]
    return list(place(told, _covered(chart), Box(LEFT + 2, TOP, RIGHT, BOTTOM)))


def _covered(chart: Chart) -> Iterator[Box]:
    """Marks, the steps of the front, and the lines of the goal and of no harm."""
    for dot in chart.dots:
        yield Box(dot.x - MARK, dot.y - MARK, dot.x + MARK, dot.y + MARK)
    for one, other in pairwise(chart.front):
        yield Box(one.x, one.y - 1, other.x, one.y + 1)
        yield Box(other.x - 1, one.y, other.x + 1, other.y)
    for y in (chart.up.at(0), chart.goal):
        yield Box(LEFT, y - 1, RIGHT, y + 1)


def _named(chart: Chart) -> Iterator[tuple[Dot, str]]:
    """What is named, the chosen trial first."""
    groups = len(chart.result.groups)
    for dot in sorted(chart.dots, key=lambda one: not chart.chosen(one)):
        number, candidate = dot.trial.number, dot.trial.candidate
        if chart.chosen(dot) or not candidate.kept:
            yield dot, f"{number} {trials.words(candidate, groups)}"
        elif chart.on_front(dot):
            yield dot, str(number)
