"""`report.md`: a comment for a pull request, verdict first."""

from __future__ import annotations

from dataclasses import astuple
from typing import TYPE_CHECKING

from edgepack.report import delegates, figures, findings, micro, profile, rows, shipping, wording
from edgepack.report.markup import escape, folded, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.evidence import Latency
    from edgepack.records.report import Report


def render(report: Report) -> str:
    """The report as GitHub's Markdown. Text of the user's can neither format nor notify."""
    sections = (
        _head(report),
        table(astuple(rows.headings(report)), map(astuple, rows.rows(report)), texts=1),
        *_findings(report),
        *_baseline(report),
        *_targets(report),
        *(findings.sections(report.findings) if report.findings else ()),
        _facts(report),
        *_devices(report),
        *_details(report),
    )
    return "\n\n".join(sections) + "\n"


def _head(report: Report) -> str:
    name = f"{escape(report.name)} {escape(report.version)}"
    return f"## {name}: {escape(wording.verdict(report))}"


def _findings(report: Report) -> Iterator[str]:
    """What failed and what is in doubt, each in a sentence."""
    for outcome in wording.OPEN:
        found = wording.checks(report, outcome)
        if found:
            lines = (f"- {escape(wording.sentence(check, report))}" for check in found)
            yield "\n".join((f"**{wording.TITLES[outcome]}**\n", *lines))


def _baseline(report: Report) -> Iterator[str]:
    if report.evidence.baseline:
        lines = (rows.baseline_row(old, report) for old in report.evidence.baseline)
        yield "**Against the last release**"
        yield table(rows.BASELINE_HEADINGS, lines)


def _targets(report: Report) -> Iterator[str]:
    if report.targets:
        yield "**What each target gets**"
        yield table(shipping.HEADINGS, shipping.lines(report), texts=len(shipping.HEADINGS))


def _devices(report: Report) -> Iterator[str]:
    """What runs where on a device, as far as that can be told here."""
    variants = report.evidence.variants
    parts = (
        delegates.section({one.variant: one.delegates for one in variants}),
        delegates.edgetpu({one.variant: one.edgetpu for one in variants if one.edgetpu}),
        micro.section({one.variant: one.micro for one in variants if one.micro}),
    )
    if any(parts):
        yield folded("What delegates and devices would run", "\n\n".join(filter(None, parts)))


def _facts(report: Report) -> str:
    """Bundle, machine: one line each."""
    return "\n".join(f"- {line}" for line in _fact_lines(report))


def _fact_lines(report: Report) -> Iterator[str]:
    if report.bundle is None:
        yield "Bundle: withheld"
    else:
        size = figures.size(report.bundle.size_bytes)
        yield f"Bundle: {escape(report.bundle.path)}, {size}, SHA-256 `{report.bundle.sha256}`"
    yield f"Samples: {_samples(report)} of {escape(report.dataset.name)}"
    timed = [one.latency for one in report.evidence.variants if one.latency]
    if timed:
        where = _conditions(report, timed[0])
        yield f"Latency: {where}; ratios are to float32. {wording.HOST_NOTE}"
    yield from (escape(remark) for remark in profile.remarks(report))


def _samples(report: Report) -> str:
    counts = report.dataset.samples.items()
    return ", ".join(f"{count} to {split}" for split, count in counts if count)


def _conditions(report: Report, latency: Latency) -> str:
    machine = report.evidence.machine
    where = f"{machine.cpu}, " if machine else ""
    threads = "1 thread" if latency.threads == 1 else f"{latency.threads} threads"
    delegate = f" with {latency.delegate}" if latency.delegate else ""
    return escape(f"{where}{threads}, {latency.runtime} {latency.runtime_version}{delegate}")


def _details(report: Report) -> Iterator[str]:
    """What few readers want, folded away."""
    yield folded("All checks", _check_table(report))
    yield folded("Agreement with the source, by output", _agreement_table(report))
    yield from profile.sections(report)
    if report.findings:
        yield from findings.details(report.findings)
    yield folded("Source, dataset and tools", "\n".join(_origin_lines(report)))
    remarks = [
        *(f"- {lint.level}: {escape(lint.message)}" for lint in report.lints),
        *(f"- {v.variant}: {escape(v.not_run)}" for v in report.evidence.variants if v.not_run),
        *(f"- {v.variant}: {escape(v.note)}" for v in report.evidence.variants if v.note),
    ]
    if remarks:
        yield folded("Remarks", "\n".join(remarks))


def _check_table(report: Report) -> str:
    lines = (
        (
            check.subject,
            check.name,
            wording.value(check, check.value, report),
            wording.value(check, check.budget, report),
            wording.MARKS[check.outcome],
        )
        for check in report.verdict.checks
    )
    return table(("Subject", "Check", "Value", "Budget", "Outcome"), lines)


def _agreement_table(report: Report) -> str:
    lines = (
        (
            variant.variant,
            one.output,
            *(
                figures.NONE if number is None else figures.significant(number, 4)
                for number in (one.top1, one.cosine, one.snr_db, one.max_abs_error)
            ),
        )
        for variant in report.evidence.variants
        for one in variant.accuracy.agreement
    )
    return table(("Variant", "Output", "top-1", "Cosine", "SNR, dB", "Largest error"), lines)


def _origin_lines(report: Report) -> Iterator[str]:
    source, tools = report.source, report.tools
    yield f"- Source: SHA-256 `{source.digest.sha256}`, signature {escape(source.signature)}"
    yield f"- Source written by TensorFlow {escape(source.tensorflow_version) or 'unknown'}"
    for repair in source.repairs:
        yield f"- Repaired: {escape(repair.what)}, because {escape(repair.why)}"
    yield f"- Dataset: SHA-256 `{report.dataset.digest.sha256}`, seed {report.dataset.seed}"
    yield f"- edgepack {tools.edgepack}, TensorFlow {tools.tensorflow}, Python {tools.python}"
    yield f"- {escape(tools.quantizer)}, {escape(tools.runtime)}"
