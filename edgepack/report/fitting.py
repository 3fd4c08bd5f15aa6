"""Which targets take which files, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report import delegates, tables

if TYPE_CHECKING:
    from rich.table import Table

    from edgepack.records.target import TargetFit, TargetFits


def table(found: TargetFits) -> Table:
    """A line for each target and file."""
    lines = ((one.target, one.variant, *_said(one)) for one in found.fits)
    return tables.table(("Target", "File", "Takes it", "Because"), lines, texts=4)


def _said(one: TargetFit) -> tuple[str, str]:
    if not one.fits:
        return "no", "; ".join(map(str, one.objections))
    doubts = [f"unchecked: {doubt}" for doubt in one.unchecked]
    return "yes", "; ".join([*map(delegates.line, one.delegates), *doubts])
