"""Which operators TFLite Micro has, and which CMSIS-NN makes quick: `operators.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import tomlfile
from edgepack.records.base import Record
from edgepack.runtimes.requirement import MICRO, Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLE = Path(__file__).parent / "operators.toml"


class Accelerated(Record):
    """Operators with a CMSIS-NN kernel, by the type of the tensors."""

    source: str
    commit: str
    read: str
    int8: tuple[str, ...]
    int16: tuple[str, ...]


class Operators(Record):
    """What the resolver can register, where that was read, and what was asked to prove it."""

    source: str
    commit: str
    read: str
    release: str
    asked: str
    builtin: tuple[str, ...]
    custom: tuple[str, ...]
    cmsis_nn: Accelerated

    @property
    def runtime(self) -> Requirement:
        """The release that was asked, and that measures arenas."""
        return Requirement(MICRO, self.release)

    def unsupported(self, used: Iterable[tuple[str, bool]]) -> tuple[str, ...]:
        """Those of (name, custom) that TFLite Micro does not have, sorted."""
        known = {(name, False) for name in self.builtin} | {(name, True) for name in self.custom}
        return tuple(sorted({name for name, custom in used if (name, custom) not in known}))


@cache
def operators() -> Operators:
    """The table."""
    return tomlfile.load(TABLE, Operators)
