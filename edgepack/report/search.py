"""What was found out about quantizing, in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from edgepack.report import figures, layers, trials
from edgepack.report.tables import plain, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

    from edgepack.records.search import (
        CalibrationAdvice,
        Findings,
        LayerSensitivity,
        SearchResult,
        Sensitivity,
    )

WORST = 5  # groups that a build shows; its other reports have all


def parts(findings: Findings) -> Iterator[RenderableType]:
    """Choices, search, the worst layer groups, advice."""
    yield from _lines("note  ", layers.choice_lines(findings.choices), "dim")
    if findings.search:
        yield from _search(findings.search)
        yield from _worst(findings.sensitivity, findings.search.goal.metric)
    yield from _noticed(findings.sensitivity, findings.advice)


def sensitivity_table(found: Sensitivity) -> RenderableType:
    """What quantization does to every layer group, and what the samples are worth.

    Text of the user's is shown as it is, never as markup.
    """
    return Group(*_sensitivity(found))


def _sensitivity(found: Sensitivity) -> Iterator[RenderableType]:
    way = f"{found.recipe.mode} {found.recipe.engine} {found.recipe.clipping}"
    yield Text(plain(f"{found.name}: {way} on {found.samples} {found.split} samples"), "bold")
    error = figures.NONE if found.error is None else figures.significant(found.error)
    harm = trials.harm(found.harm, found.metric)
    yield Text(plain(f"Harm, {found.measure}: {harm} fully quantized; relative error {error}"))
    yield Text("")
    yield table(layers.HARM_HEADINGS, layers.harm_rows(found.layers, found.metric), texts=2)
    yield Text("")
    yield table(layers.TENSOR_HEADINGS, layers.tensor_rows(found.layers), texts=2)
    yield Text("")
    if found.curve:
        yield table(layers.CURVE_HEADINGS, layers.curve_rows(found.curve, found.metric))
        yield Text("")
    yield from _noticed(found.layers, found.advice)


def _search(result: SearchResult) -> Iterator[RenderableType]:
    yield Text("")
    yield from _lines("", trials.summary(result))
    yield Text("")
    yield table(trials.FRONT_HEADINGS, trials.front_rows(result), texts=2)
    for numbers, reason in trials.failed_rows(result):
        yield Text(plain(f"failed  {numbers}: {reason}"), "dim")
    if len(result.front) > 1:
        yield Text(f"To build another of them, by its number: {trials.PICK}")


def _worst(groups: tuple[LayerSensitivity, ...], metric: str) -> Iterator[RenderableType]:
    worst = layers.worst(groups, WORST)
    if worst:
        yield Text("")
        yield table(layers.HARM_HEADINGS, layers.harm_rows(worst, metric), texts=2)
    if len(worst) < len(groups):
        yield Text(f"{len(worst)} of {len(groups)} layer groups; report.md has all.", "dim")


def _noticed(
    groups: Iterable[LayerSensitivity], advice: Iterable[CalibrationAdvice]
) -> Iterator[RenderableType]:
    yield from _lines("float16  ", layers.near_float16(groups), "yellow")
    yield from _lines("samples  ", (one.message for one in advice), "yellow")


def _lines(head: str, lines: Iterable[str], style: str = "") -> Iterator[RenderableType]:
    for line in lines:
        yield Text(plain(f"{head}{line}"), style)
