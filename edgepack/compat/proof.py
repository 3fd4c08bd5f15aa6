"""How much of a table is proven by running, and what would have to be run to prove it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edgepack.compat.numberings import numberings
from edgepack.compat.registered import table
from edgepack.records.compat import Share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.compat.registered import Registered


class Boundary(NamedTuple):
    """Two releases, one after the other, of which only the newer one has something.

    Args:
        name: what it has: NAME version N, or what is asked beyond a version.
        older: the newest release that does not.
        newer: the first that does.
    """

    name: str
    older: str
    newer: str


def shares() -> tuple[Share, ...]:
    """Of each package that releases were asked of."""
    packages = dict.fromkeys(one.package for one in numberings().values() if one.package)
    return tuple(map(share, packages))


def share(package: str) -> Share:
    """How many rows of a package's table there are, and how many are proven by running."""
    rows = [row for _, row in table(package).rows()]
    run = [row for row in rows if row.mark == "run"]
    return Share(
        package=package,
        rows=len(rows),
        run=len(run),
        read=len(rows) - len(run),
        deciding=sum(row.decides for row in rows),
        deciding_run=sum(row.decides for row in run),
    )


def boundaries(package: str) -> tuple[Boundary, ...]:
    """Where the rows that can decide a least release do, of those that are proven by running."""
    return tuple(_boundaries(table(package)))


def _boundaries(found: Registered) -> Iterator[Boundary]:
    for name, row in found.rows():
        if row.decides and row.mark == "run" and row.first:
            older, newer = found.named((row.first - 1, row.first))
            yield Boundary(name, older, newer)
