"""What each target gets, and why it does not get the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.manifest import TargetEntry
    from edgepack.records.report import Report

HEADINGS = ("Target", "Ships", "Run on", "Passed over")


def lines(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """A row a target: name, the variant to ship, where it was run, all others with the reason."""
    for one in report.targets:
        others = "; ".join(f"{other.variant}: {other.reason}" for other in one.passed_over)
        yield one.name, _ships(one), ", ".join(one.proven_on) or "-", others or "-"


def sentences(report: Report) -> Iterator[str]:
    """What a terminal says: the variant for each target, and which it cannot take; not why."""
    for one in report.targets:
        if not one.variants:
            continue  # the checks say why
        proven = f", run on {', '.join(one.proven_on)}" if one.proven_on else ""
        never = [o.variant for o in one.passed_over if o.variant not in one.variants]
        refused = f"; it cannot take {', '.join(never)}" if never else ""
        yield f"{one.name}: {_ships(one)}{proven}{refused}"


def _ships(one: TargetEntry) -> str:
    return next(iter(one.variants), "nothing")
