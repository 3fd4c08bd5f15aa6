"""What was found out about quantizing, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report import layers, trials
from edgepack.report.markup import folded, items, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.search import Findings, SearchResult

FILES = "All trials are in `search.json`, and drawn in `frontier.svg`, both beside this report."


def sections(findings: Findings) -> Iterator[str]:
    """What a reviewer reads: the search and its front, choices of engines, advice."""
    if findings.search:
        yield from _search(findings.search)
    if findings.choices:
        yield "**Engines and clippings**"
        yield items(layers.choice_lines(findings.choices))
    noticed = [
        *layers.near_float16(findings.sensitivity),
        *(one.message for one in findings.advice),
    ]
    if noticed:
        yield "**Ranges and calibration samples**"
        yield items(noticed)


def _search(result: SearchResult) -> Iterator[str]:
    yield "**Search**"
    yield items(trials.summary(result))
    yield table(trials.FRONT_HEADINGS, trials.front_rows(result), texts=2)
    pick = f" To build another of these: `{trials.PICK}`." if len(result.front) > 1 else ""
    yield f"{FILES}{pick}"


def details(findings: Findings) -> Iterator[str]:
    """What few readers want: layers, and the trials that failed."""
    metric = findings.search.goal.metric if findings.search else ""
    if findings.sensitivity:
        harms = table(layers.HARM_HEADINGS, layers.harm_rows(findings.sensitivity, metric), texts=2)
        tensors = table(layers.TENSOR_HEADINGS, layers.tensor_rows(findings.sensitivity), texts=2)
        yield folded("Sensitivity of layer groups", f"{harms}\n\n{tensors}")
    failed = trials.failed_rows(findings.search) if findings.search else []
    if failed:
        yield folded("Failed trials", table(trials.FAILED_HEADINGS, failed))
