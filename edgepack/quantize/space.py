"""What may be tried: engines, clippings, layer groups and what becomes of those that are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.records.search import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.records.recipe import Clipping, Engine, Group, Rest

WHOLE = ("float32", "float16", "dynamic", "weight-only")


@dataclass(frozen=True)
class Space:
    """The candidates of one search.

    Args:
        groups: of the float32 file, in graph order.
        engines: that can make static int8 files, the preferred one first.
        clippings: ways to set ranges, the preferred one first.
        rests: precisions for kept groups, tried in this order once a choice is made.
    """

    groups: tuple[Group, ...]
    engines: tuple[Engine, ...]
    clippings: tuple[Clipping, ...]
    rests: tuple[Rest, ...] = ("float32", "float16", "dynamic")

    def whole(self) -> Iterator[Candidate]:
        """Files of one precision that need no statistics; float32 first, for comparison."""
        for mode in WHOLE:
            yield Candidate.model_validate({"mode": mode})

    def full(self) -> Iterator[Candidate]:
        """Both engines' full int8 files, at every clipping."""
        for clipping in self.clippings:
            for engine in self.engines:
                yield Candidate(engine=engine, clipping=clipping)

    def alone(self, base: Candidate, group: int) -> Candidate:
        """Only one group quantized."""
        return keeping(base, (one for one in range(len(self.groups)) if one != group))

    def swaps(self, base: Candidate) -> Iterator[Candidate]:
        """The same groups kept, by every other engine and clipping."""
        for full in self.full():
            other = full.model_copy(update={"kept": base.kept})
            if other != base:
                yield other

    def rested(self, base: Candidate) -> Iterator[Candidate]:
        """The same groups kept at other precisions; no converter makes int16x8."""
        if base.kept:
            for rest in self.rests:
                if rest != base.rest and not (rest == "int16x8" and base.engine == "converter"):
                    yield base.model_copy(update={"rest": rest})


def keeping(base: Candidate, kept: Iterable[int]) -> Candidate:
    """A candidate like another with other groups kept."""
    return base.model_copy(update={"kept": tuple(sorted(set(kept)))})
