"""What each report says of each variant, in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.report import figures
from edgepack.report.figures import NONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.evidence import (
        Accuracy,
        Agreement,
        BaselineEvidence,
        Latency,
        Memory,
        VariantEvidence,
    )
    from edgepack.records.report import Report

FLOAT32 = "float32"


@dataclass(frozen=True)
class Row:
    """One line of the table of variants, each cell as text."""

    variant: str
    accuracy: str
    drop: str
    agreement: str
    size: str
    p50: str
    p95: str
    ratio: str
    memory: str


def headings(report: Report) -> Row:
    """The table's first line; the metric has its own name."""
    metrics = report.evidence.source.accuracy.metrics
    return Row(
        variant="Variant",
        accuracy=metrics[0].name if metrics else "Accuracy",
        drop="Drop (95 %)",
        agreement="Agreement",
        size="Size",
        p50="p50",
        p95="p95",
        ratio="Ratio",
        memory="Memory",
    )


def rows(report: Report) -> Iterator[Row]:
    """The source, then every variant in the order that was asked for."""
    source = report.evidence.source
    yield _row("source", source.accuracy, figures.size(report.source.size_bytes), source.latency)
    reference = reference_size(report)
    for one in report.evidence.variants:
        text = size(one, reference)
        yield _row(one.variant, one.accuracy, text, one.latency, one.memory)


def _row(
    name: str,
    accuracy: Accuracy,
    size_text: str,
    latency: Latency | None,
    memory: Memory | None = None,
) -> Row:
    return Row(
        variant=name,
        accuracy=figures.metric(next(iter(accuracy.metrics), None)),
        drop=figures.drop(next(iter(accuracy.drops), None)),
        agreement=agreement(accuracy),
        size=size_text,
        p50=figures.milliseconds(latency.p50_ms) if latency else NONE,
        p95=figures.milliseconds(latency.p95_ms) if latency else NONE,
        ratio=_ratio(latency),
        memory=figures.size(memory.peak_bytes) if memory else NONE,
    )


def reference_size(report: Report) -> int | None:
    """Bytes of the float32 file, where it was built."""
    sizes = {one.variant: one.size_bytes for one in report.evidence.variants}
    return sizes.get(FLOAT32)


def size(one: VariantEvidence, reference: int | None) -> str:
    """A file's size, and how it compares with float32's."""
    text = figures.size(one.size_bytes)
    if not reference or one.variant == FLOAT32:
        return text
    return f"{text} ({figures.change(one.size_bytes / reference)})"


def agreement(accuracy: Accuracy) -> str:
    """Of the output that agrees least with the source's: top-1, else cosine similarity."""
    known = [pair for one in accuracy.agreement if (pair := _agreement(one))]
    return min(known)[1] if known else NONE


def _agreement(one: Agreement) -> tuple[float, str] | None:
    if one.top1 is not None:
        return one.top1, figures.share(one.top1)
    if one.cosine is not None:
        return one.cosine, f"cos {one.cosine:.4f}"
    return None


def _ratio(latency: Latency | None) -> str:
    return figures.times(latency.ratio) if latency and latency.ratio is not None else NONE


def baseline_row(old: BaselineEvidence, report: Report) -> tuple[str, ...]:
    """Variant, release, drop, size and latency of the new file against the old one's."""
    new = next(one for one in report.evidence.variants if one.variant == old.variant)
    ratio = figures.change(new.size_bytes / old.size_bytes) if old.size_bytes else "new"
    latency = figures.times(old.latency_ratio) if old.latency_ratio is not None else NONE
    changes = "; ".join(old.signature_changes) or "same"
    drop = figures.drop(next(iter(old.drops), None))
    return old.variant, f"{old.name} {old.version}", drop, ratio, latency, changes


BASELINE_HEADINGS = ("Variant", "Release", "Drop (95 %)", "Size", "Latency", "Signature")
