"""The report in a terminal, and the few lines that end a build."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from edgepack.report import figures, profile, rows, search, shipping, wording
from edgepack.report.tables import plain, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from edgepack.records.evidence import Latency, VariantEvidence
    from edgepack.records.report import BuildResult, Report
    from edgepack.records.verdict import Outcome
    from edgepack.report.rows import Row

STYLES: dict[Outcome, str] = {"pass": "green", "fail": "bold red", "inconclusive": "yellow"}
ELSEWHERE = frozenset(("p95", "memory"))


def render(report: Report) -> RenderableType:
    """Tables of variants, of the last release, of operators, and each check that did not pass.

    Text of the user's is shown as it is, never as markup.
    """
    return Group(*_parts(report))


def _parts(report: Report) -> Iterator[RenderableType]:
    yield table(_cells(rows.headings(report)), map(_cells, rows.rows(report)))
    if report.evidence.baseline:
        lines = (rows.baseline_row(old, report) for old in report.evidence.baseline)
        yield table(rows.BASELINE_HEADINGS, lines)
    for outcome in wording.OPEN:
        for check in wording.checks(report, outcome):
            mark = Text(f"{wording.MARKS[outcome]}  ", STYLES[outcome])
            yield mark.append(plain(wording.sentence(check, report)), "default not bold")
    for one in report.evidence.variants:
        if said := one.not_run or one.note:
            yield Text(plain(f"note  {one.variant}: {said}"), "dim")
    for said in shipping.sentences(report):
        yield Text(plain(f"target  {said}"), "dim")
    yield from profile.terminal(report)
    if report.findings:
        yield from search.parts(report.findings)
    style = STYLES["pass" if report.verdict.passed else "fail"]
    yield Text(plain(f"{report.name} {report.version} {wording.verdict(report)}"), style)
    yield Text(wording.HOST_NOTE, "dim")


def _cells(row: Row) -> tuple[str, ...]:
    """All cells that fit 80 columns; the other reports have p95 and memory too."""
    return tuple(value for name, value in asdict(row).items() if name not in ELSEWHERE)


def summary(result: BuildResult) -> str:
    """What was built, what each variant costs, where everything is, what to run next."""
    return "\n".join(plain(line) for line in _summary_lines(result))


def _summary_lines(result: BuildResult) -> Iterator[str]:
    report = result.report
    name, count = f"{report.name} {report.version}", len(report.evidence.variants)
    models = "one model" if count == 1 else f"{count} models"
    yield f"Built {name}: {models}, checked on {_samples(report)} samples."
    reference = rows.reference_size(report)
    width = max((len(one.variant) for one in report.evidence.variants), default=0)
    for one in report.evidence.variants:
        yield f"  {one.variant:<{width}}  {_cost(one, reference)}"
    if not result.passed:
        yield from _refusal(result.report)
    yield from _places(result)


def _cost(one: VariantEvidence, reference: int | None) -> str:
    """What one variant costs in accuracy, size and latency."""
    costs = [_accuracy_cost(one), rows.size(one, reference)]
    if one.latency is not None:
        costs.append(f"{figures.milliseconds(one.latency.p50_ms)} here{_ratio(one, one.latency)}")
    return ", ".join(costs)


def _ratio(one: VariantEvidence, latency: Latency) -> str:
    if latency.ratio is None or one.variant == rows.FLOAT32:
        return ""
    return f" ({figures.times(latency.ratio)} float32's)"


def _accuracy_cost(one: VariantEvidence) -> str:
    metric = next(iter(one.accuracy.metrics), None)
    if metric is None:
        return f"agreement {rows.agreement(one.accuracy)}"
    text = f"{metric.name} {figures.metric(metric)}"
    drop = next((d for d in one.accuracy.drops if d.metric == metric.name), None)
    if drop is None:
        return text
    if drop.value == 0:
        return f"{text} (the same as the source)"
    word = "worse" if drop.value > 0 else "better"
    return f"{text} ({figures.points(drop.metric, abs(drop.value))} {word} than the source)"


def _samples(report: Report) -> int:
    return report.evidence.source.accuracy.samples


def _refusal(report: Report) -> Iterator[str]:
    """That the gate refused, by which checks, and the likely reason where there is one."""
    yield f"Refused: {report.name} {report.version} {wording.verdict(report).partition(' ')[2]}"
    outcomes = wording.OPEN if report.verdict.strict else wording.OPEN[:1]
    for check in (check for outcome in outcomes for check in wording.checks(report, outcome)):
        yield f"  {check.subject} {check.name}"
    if report.evidence.source.diagnosis:
        yield f"Cause    {report.evidence.source.diagnosis}"


def _places(result: BuildResult) -> Iterator[str]:
    if result.bundle:
        failed = "" if result.passed else " (marked as failed)"
        yield f"Bundle   {result.bundle}{failed}"
    else:
        yield "Bundle   withheld; --allow-failed would write it, marked as failed"
    yield f"Reports  {result.report_markdown}"
    yield f"         {result.report_json}"
    if result.search_json:
        yield f"         {result.search_json}"
    if result.passed and result.bundle:
        yield f"Next     edgepack verify {shlex.quote(result.bundle)}"
    else:
        yield "Next     mend what failed, or change its budget in edgepack.toml, and build again"
