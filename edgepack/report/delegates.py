"""What delegates would take of each variant, as a part of `report.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report.markup import escape, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgepack.records.delegates import DelegateFit
    from edgepack.records.edgetpu import EdgeTpuFit

HEADINGS = ("Variant", "Delegate", "Falls back", "Delegated", "Partitions")
MOST = 6  # operators that fall back and are named in a line
NONE = "nothing"


def section(fits: Mapping[str, Iterable[DelegateFit]]) -> str:
    """A table of a line for each variant and delegate, and where the lists come from.

    Args:
        fits: by variant.

    Returns:
        Markdown; nothing where there is no fit.
    """
    pairs = [(variant, fit) for variant, found in fits.items() for fit in found]
    if not pairs:
        return ""
    lines = (_row(variant, fit) for variant, fit in pairs)
    return "\n\n".join(
        ("**Delegates**", table(HEADINGS, lines, texts=3), "\n".join(_sources(pairs)))
    )


def _row(variant: str, fit: DelegateFit) -> tuple[str, ...]:
    share = f"{fit.delegated} of {fit.nodes}"
    return variant, fit.delegate, fallback(fit), share, str(fit.partitions)


def fallback(fit: DelegateFit) -> str:
    """What stays behind and why, in one line: `3 GATHER (int32 input), ...`."""
    named = [
        f"{f'{one.count} ' if one.count > 1 else ''}{one.operator} ({one.why})"
        for one in sorted(fit.fallback, key=lambda one: -one.count)
    ]
    more = [f"{len(named) - MOST} more"] if len(named) > MOST else []
    return ", ".join([*named[:MOST], *more]) or NONE


def _sources(pairs: Iterable[tuple[str, DelegateFit]]) -> Iterator[str]:
    """Where each list was read: no delegate was run."""
    for fit in {fit.delegate: fit for _, fit in pairs}.values():
        note = f"; {fit.note}" if fit.note else ""
        said = f"{fit.delegate}: by its published list, read on {fit.read_on}, not run{note}"
        yield f"- {escape(said)}"


def edgetpu(fits: Mapping[str, EdgeTpuFit]) -> str:
    """A line for each variant on the Edge TPU.

    Args:
        fits: by variant.

    Returns:
        Markdown; nothing where there is no fit.
    """
    lines = (f"- {escape(f'{variant}: {compiled(fit)}')}" for variant, fit in fits.items())
    return "\n".join(("**Edge TPU**\n", *lines)) if fits else ""


def line(fit: DelegateFit) -> str:
    """How much of a file one delegate would take, in a few words."""
    partitions = "one partition" if fit.partitions == 1 else f"{fit.partitions} partitions"
    return f"{fit.delegate}: {fit.delegated} of {fit.nodes} operators, {partitions}"


def compiled(fit: EdgeTpuFit) -> str:
    """What the compiler said, or else what its published list says, in one sentence."""
    if fit.compiled:
        done = fit.compiled
        return f"{done.mapped} of {done.total} mapped by edgetpu_compiler {done.version}"
    counted = f"{fit.mapped} of {fit.operators} before the first unsupported one, by its list"
    why = (fit.not_compiled.why,) if fit.not_compiled else ()
    return "; ".join((counted, *fit.faults, *why))
