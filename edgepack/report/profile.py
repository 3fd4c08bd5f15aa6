"""Where each variant spends its time, and what XNNPACK took of it, in the same words everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from edgepack.report import figures, markup
from edgepack.report.figures import NONE
from edgepack.report.tables import plain, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from edgepack.records.evidence import VariantEvidence
    from edgepack.records.profile import Coverage, OpProfile, OpTime, TypeTime
    from edgepack.records.report import Report

TOP = 10
LEFT_SHOWN = 4  # types in a line
TELLING = 0.1  # share of the time that rounding may hide without a word
SHORTEST_US = 0.1
MS_US = 1000
OPS = ("Operator", "By", "No.", "Time", "Share")
TYPES = ("Type", "By", "Operators", "Time", "Share")


def terminal(report: Report) -> Iterator[RenderableType]:
    """The costliest operators of the quickest variant, and what XNNPACK left of each."""
    if quickest := _quickest(report):
        variant, found = quickest
        told = f"Time by operator, {variant.variant}: {_total(found)}"
        yield Text(plain(told))
        yield table(OPS, (_op(*pair) for pair in _top(found)), texts=2)
    for line in remarks(report):
        yield Text(plain(f"note  {line}"), "dim")


def remarks(report: Report) -> Iterator[str]:
    """A line for what XNNPACK did not take whole, and for what could not be timed."""
    by_coverage: dict[str, list[str]] = {}
    by_reason: dict[str, list[str]] = {}
    for variant, found in _profiles(report):
        if found.coverage and not _whole(found.coverage):
            by_coverage.setdefault(coverage(found.coverage), []).append(variant.variant)
        if found.reason:
            by_reason.setdefault(found.reason, []).append(variant.variant)
    for said, names in by_coverage.items():
        yield f"{', '.join(names)}: {said}"
    for reason, names in by_reason.items():
        yield f"{', '.join(names)}: no time by operator: {reason}"


def sections(report: Report) -> Iterator[str]:
    """Markdown of each variant: time by type, and the costliest operators."""
    for variant, found in _profiles(report):
        if not (found.types or found.coverage):
            continue  # what there is to say is among the remarks
        title = markup.escape(f"{variant.variant}: time by operator")
        yield markup.folded(title, "\n\n".join(_section(found)))


def _section(found: OpProfile) -> Iterator[str]:
    said = [coverage(found.coverage)] if found.coverage else []
    if found.reason:
        said.append(f"no time by operator: {found.reason}")
    else:
        threads = "1 thread" if found.threads == 1 else f"{found.threads} threads"
        said.append(f"{_total(found)}; {found.runtime}, {threads}, {found.invocations} times")
    yield markup.items(said)
    if found.types:
        yield markup.table(TYPES, map(_type, found.types), texts=2)
    if top := _top(found):
        headings = (*OPS[:2], "Tensor", *OPS[2:])
        lines = ((*_op(n, one)[:2], _tensor(one), *_op(n, one)[2:]) for n, one in top)
        yield markup.table(headings, lines, texts=3)


def coverage(found: Coverage) -> str:
    """How much a delegate took: 11 of 13 operators run on XNNPACK, in 2 partitions; ..."""
    if not found.delegated:
        return f"none of its {_operators(found.nodes)} runs on XNNPACK"
    partitions = "one partition" if found.partitions == 1 else f"{found.partitions} partitions"
    told = (
        f"{found.delegated} of {_operators(found.nodes)} run on {found.delegate}, in {partitions}"
    )
    if not found.left:
        return told
    left = found.left[:LEFT_SHOWN]
    shown = [one.type if one.count == 1 else f"{one.count} {one.type}" for one in left]
    if (more := len(found.left) - LEFT_SHOWN) > 0:
        shown.append(f"{more} more types")
    return f"{told}, all but {', '.join(shown)}"


def time(microseconds: float) -> str:
    """A time: 0.70 µs, 81.2 µs, 3.70 ms; what is too short to tell is not told."""
    if microseconds < SHORTEST_US:
        return f"< {SHORTEST_US} µs"
    if microseconds >= MS_US:
        return f"{figures.significant(microseconds / MS_US)} ms"
    return f"{figures.significant(microseconds, 2 if microseconds < 1 else 3)} µs"


def _total(found: OpProfile) -> str:
    """The sum, and what rounding hides of it where that is much."""
    told = time(found.total_us)
    if found.hidden_us <= TELLING * found.total_us:
        return told
    return f"{told}, and up to {time(found.hidden_us)} that XNNPACK rounds off"


def _whole(found: Coverage) -> bool:
    return found.partitions == 1 and not found.left


def _operators(count: int) -> str:
    return "1 operator" if count == 1 else f"{count} operators"


def _type(one: TypeTime) -> tuple[str, ...]:
    return one.type, one.delegate or NONE, str(one.count), *_costs(one)


def _op(number: int, one: OpTime) -> tuple[str, ...]:
    return one.name, one.delegate or NONE, str(number), *_costs(one)


def _costs(one: OpTime | TypeTime) -> tuple[str, str]:
    return time(one.mean_us), figures.share(one.share)


def _tensor(one: OpTime) -> str:
    """The first of the names that the converter has joined; a dash for a delegate's operators."""
    return one.tensor.partition(";")[0] or NONE


def _top(found: OpProfile) -> Sequence[tuple[int, OpTime]]:
    """The costliest operators with their numbers in the order that they run."""
    numbered: Iterable[tuple[int, OpTime]] = enumerate(found.ops, 1)
    timed = [pair for pair in numbered if pair[1].mean_us >= SHORTEST_US]
    return sorted(timed, key=lambda pair: -pair[1].mean_us)[:TOP]


def _profiles(report: Report) -> Iterator[tuple[VariantEvidence, OpProfile]]:
    return ((one, one.profile) for one in report.evidence.variants if one.profile)


def _quickest(report: Report) -> tuple[VariantEvidence, OpProfile] | None:
    """The variant with the lowest latency of those whose operators were timed."""
    timed = [
        (one.latency.p50_ms, number, (one, found))
        for number, (one, found) in enumerate(_profiles(report))
        if one.latency and _top(found)
    ]
    return min(timed)[2] if timed else None
