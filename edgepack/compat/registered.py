"""What the releases of runtimes were found to register and compute: `tables/*.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from edgepack import tomlfile
from edgepack.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TABLES = Path(__file__).parent / "tables"
Mark = Literal["run", "read"]
HAS, LACKS, UNASKED = "y", "n", "?"


class Row(Record):
    """What one thing that files ask for was found to be on each release."""

    answers: str = Field(
        pattern="^[yn?]*$",
        description="one letter a release, oldest first: y it has it, n it does not, ? not asked",
    )

    @property
    def asked(self) -> bool:
        """Whether any release was."""
        return bool(self.answers.strip(UNASKED))

    @property
    def first(self) -> int | None:
        """The place of the first release from which on all that were asked have it."""
        place = self.answers.find(HAS, self.answers.rfind(LACKS) + 1)
        return place if place >= 0 else None

    @property
    def mark(self) -> Mark:
        """Proven by running: the release before the first was asked too, and does not have it.

        Nor is there anything to prove where that is the oldest release of all.
        """
        return "run" if self.first == 0 or self.answers[: self.first].endswith(LACKS) else "read"

    @property
    def decides(self) -> bool:
        """Whether some release has it, and an older one was found not to."""
        return self.first is not None and LACKS in self.answers[: self.first]

    @property
    def lost(self) -> tuple[int, ...]:
        """Places of releases that do not have it, though an older one has."""
        start = self.answers.find(HAS)
        places = range(start, self.first or 0) if start >= 0 else range(0)
        return tuple(place for place in places if self.answers[place] == LACKS)

    def until(self, count: int) -> Row:
        """The same on the oldest releases alone."""
        return Row(answers=self.answers[:count])


class Registered(Record):
    """Operators by release of one package, as `make operators` found them."""

    package: str
    measured: str = Field(description="the day when releases were asked what they register")
    computed: str = Field(description="the day when they were last asked what they compute")
    releases: tuple[str, ...] = Field(description="that were asked, oldest first")
    whole: bool = Field(description="there is no release before them")
    since: dict[str, tuple[str, ...]] = Field(
        description="by operator, a release for each version from 1 on: the first from which on "
        "all know it; empty where the newest does not"
    )
    lost: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="by NAME version N, releases that knew it before one that does not",
    )
    computes: dict[str, str] = Field(
        description="by what is asked beyond a version, a letter for each release: y it computes "
        "it right, n it does not, ? not asked"
    )

    def operator(self, name: str, version: int) -> Row:
        """Of a version of an operator."""
        known = self.since.get(name, ())
        first = known[version - 1] if 0 < version <= len(known) else ""
        start = self.releases.index(first) if first else len(self.releases)
        knew = self.lost.get(versioned(name, version), ())
        letters = (
            HAS if place >= start or release in knew else LACKS
            for place, release in enumerate(self.releases)
        )
        return Row(answers="".join(letters))

    def kernel(self, name: str) -> Row | None:
        """Of what is asked beyond a version; None where no release was asked."""
        row = Row(answers=self.computes.get(name, ""))
        return row if row.asked else None

    def rows(self) -> Iterator[tuple[str, Row]]:
        """All, by name."""
        for name, known in self.since.items():
            for version, first in enumerate(known, 1):
                if first:
                    yield versioned(name, version), self.operator(name, version)
        for name in self.computes:
            if row := self.kernel(name):
                yield name, row

    def named(self, places: Sequence[int]) -> tuple[str, ...]:
        """Releases by their places."""
        return tuple(self.releases[place] for place in places)


def versioned(name: str, version: int) -> str:
    """How a version of an operator is called."""
    return f"{name} version {version}"


@cache
def table(package: str) -> Registered:
    """The table of one package."""
    return tomlfile.load(TABLES / f"{package}.toml", Registered)
