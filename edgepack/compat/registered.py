"""What the releases of runtimes were found to register: `tables/*.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from edgepack import tomlfile
from edgepack.records.base import Record

if TYPE_CHECKING:
    from edgepack.records.compat import Numbering

TABLES = Path(__file__).parent / "tables"
Proven = Literal["run", "taken"]
# Whose releases were asked. The other numberings are of artifacts that are built from the same
# sources: Maven's and Swift's tensorflow-lite with TensorFlow, Maven's litert with ai-edge-litert.
ASKED: dict[Numbering, tuple[str, Proven]] = {
    "tensorflow": ("tensorflow", "run"),
    "tensorflow-lite-maven": ("tensorflow", "taken"),
    "tensorflow-lite-swift": ("tensorflow", "taken"),
    "tflite-runtime": ("tflite-runtime", "run"),
    "ai-edge-litert": ("ai-edge-litert", "run"),
    "litert-maven": ("ai-edge-litert", "taken"),
}


class Registered(Record):
    """Operators by release of one package, as `make operators` found them."""

    package: str
    measured: str = Field(description="the day")
    releases: tuple[str, ...] = Field(description="that were asked, oldest first")
    whole: bool = Field(description="there is no release before them")
    since: dict[str, tuple[str, ...]] = Field(
        description="by operator, a release for each version from 1 on: the first from which on "
        "all know it; empty where the newest does not"
    )
    computes: dict[str, str] = Field(
        description="by what is asked beyond a version, the first release from which on all "
        "compute it right; empty where the newest does not"
    )

    def first(self, operator: str, version: int) -> int | None:
        """The place among the releases of the first that knows an operator for good."""
        known = self.since.get(operator, ())
        found = known[version - 1] if 0 < version <= len(known) else ""
        return self.releases.index(found) if found else None

    def right(self, kernel: str) -> int | None:
        """The place of the first release that computes a kernel right for good."""
        found = self.computes.get(kernel, "")
        return self.releases.index(found) if found else None


@cache
def table(package: str) -> Registered:
    """The table of one package."""
    return tomlfile.load(TABLES / f"{package}.toml", Registered)
