"""What would lower a least release: `remedies.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from edgepack import tomlfile
from edgepack.records.base import Record
from edgepack.records.compat import RemedyProven

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE = Path(__file__).parent / "remedies.toml"


class Remedy(Record):
    """The smallest change to a build, a conversion or a model that does without something."""

    decided_by: tuple[str, ...] = Field(
        description="what decides a least release: NAME version N, or what is asked beyond that"
    )
    change: str = Field(description="what to do, in words of edgepack's settings where they do it")
    proven: RemedyProven = Field(
        description="run: a test builds a model both ways, and the least release goes down; read: "
        "it follows from the rules of versions, and was not built; empty where nothing is known"
    )
    source: str = Field(description="the test, or what was read")


class Remedies(Record):
    """All that are known."""

    remedies: tuple[Remedy, ...]


@cache
def remedies() -> dict[str, Remedy]:
    """By what decides."""
    found = tomlfile.load(FILE, Remedies).remedies
    return {name: one for one in found for name in one.decided_by}


def remedy(decide: Sequence[str]) -> Remedy:
    """What would lower a least release that all of these decide."""
    names = tuple(decide)
    missing = [name for name in names if name not in remedies()]
    if missing:
        change = f"none is known for {' and '.join(missing)}"
        return Remedy(decided_by=names, change=change, proven="", source="")
    found = list(dict.fromkeys(remedies()[name] for name in names))
    run = all(one.proven == "run" for one in found)
    return Remedy(
        decided_by=names,
        change="; and ".join(one.change for one in found),
        proven=("run" if run else "read") if found else "",
        source="; ".join(one.source for one in found),
    )
