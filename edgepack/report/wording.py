"""Checks in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report import figures

if TYPE_CHECKING:
    from edgepack.records.report import Report
    from edgepack.records.verdict import Check, Outcome

HOST_NOTE = "Host latency is not device latency: compare ratios, and measure on the device."
MARKS: dict[Outcome, str] = {"pass": "pass", "fail": "FAIL", "inconclusive": "unclear"}
TITLES: dict[Outcome, str] = {"fail": "Failed", "inconclusive": "Inconclusive", "pass": "Passed"}
OPEN: tuple[Outcome, ...] = ("fail", "inconclusive")
SENTENCES = {
    "max_accuracy_drop": "{metric} drops by {value}, and {budget} is allowed",
    "min_accuracy": "{metric} is {value}, and {budget} is asked for",
    "min_agreement": "agreement with the source is {value}, and {budget} is asked for",
    "max_latency_ratio": "it takes {value} as long as float32, and {budget} is allowed",
    "max_size_bytes": "the file has {value}, and {budget} is allowed",
    "max_size_ratio": "the file is {value} as large as that release's, and {budget} is allowed",
    "expected_accuracy": "{metric} is {value}, and training recorded {budget}",
    "above_chance": "{metric} is {value}, and {budget} is chance",
    "accepts": "{value} of the variants will do, and {budget} is needed",
}
UNMEASURED = "{name} of {budget} was asked for and could not be measured"
FACTS = {
    "finite_outputs": "its outputs are finite",
    "varying_outputs": "its outputs vary with the sample",
    "signature": "the signature is that release's",
}


def verdict(report: Report) -> str:
    """The verdict in a few words."""
    counts = {outcome: len(checks(report, outcome)) for outcome in OPEN}
    said = [f"{count} {TITLES[kind].lower()}" for kind, count in counts.items() if count]
    total = len(report.verdict.checks)
    tail = f"{total} checks" + (f", {', '.join(said)}" if said else "")
    strict = ", strict" if report.verdict.strict else ""
    return f"{'passed' if report.verdict.passed else 'refused'} ({tail}{strict})"


def checks(report: Report, outcome: Outcome) -> tuple[Check, ...]:
    """The checks with one outcome, in order."""
    return tuple(check for check in report.verdict.checks if check.outcome == outcome)


def sentence(check: Check, report: Report) -> str:
    """One check: what it speaks of, what was found, what was allowed, why, what would help."""
    return f"{check.subject}: {_statement(check, report)}{_doubt(check, report)}{_because(check)}"


def value(check: Check, number: float | None, report: Report) -> str:
    """A check's value or budget in its own unit."""
    if number is None:
        return figures.NONE
    name = _metric_name(report)
    by_key = {
        "max_accuracy_drop": figures.points(name, number),
        "min_agreement": figures.significant(number, 4),
        "max_size_bytes": figures.size(number),
        "accepts": f"{number:.0f}",
    }
    if check.name in by_key:
        return by_key[check.name]
    if check.name.endswith("_ratio"):
        return figures.times(number)
    return figures.score(name, number)


def _statement(check: Check, report: Report) -> str:
    text = SENTENCES.get(check.name)
    if check.value is None or text is None:
        return _unmeasured(check, report)
    if check.subject.startswith("baseline:"):
        text = text.replace("float32", "that release's")
    found, budget = (value(check, number, report) for number in (check.value, check.budget))
    if found == budget and check.value != check.budget:  # rounding must not hide the difference
        found, budget = f"{check.value:.6g}", f"{check.budget:.6g}"
    return text.format(metric=_metric_name(report), value=found, budget=budget)


def _unmeasured(check: Check, report: Report) -> str:
    """A check without a number: a fact, or a budget that nothing was measured for."""
    if check.budget is not None:
        return UNMEASURED.format(name=check.name, budget=value(check, check.budget, report))
    return check.detail or FACTS.get(check.name, check.name.replace("_", " "))


def _doubt(check: Check, report: Report) -> str:
    """How far the interval of an inconclusive check reaches; empty elsewhere."""
    if check.outcome != "inconclusive" or check.interval is None:
        return ""
    least = check.name.startswith("min_") or check.name == "above_chance"
    end = check.interval.low if least else check.interval.high
    level = f"{100 * check.interval.level:.0f} %"
    return f", but its {level} interval reaches {value(check, end, report)}"


def _because(check: Check) -> str:
    """Why; nothing where the sentence has said it already."""
    said = check.outcome == "pass" or (check.value is None and check.budget is None)
    return "" if said or not check.detail else f"; {check.detail}"


def _metric_name(report: Report) -> str:
    metrics = report.evidence.source.accuracy.metrics
    return metrics[0].name if metrics else "accuracy"
