"""Where TFLite Micro's greedy planner puts the tensors that share the arena.

Its rules (memory_planner/greedy_memory_planner.cc and micro_allocation_info.cc of
tensorflow/tflite-micro at 90b983c2b3f1480642e040bbd2ddb37b998f3424, read on 2026-11-28): the
largest first, of equal ones the last; each into the first gap between those that are alive at the
same time.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALIGNMENT = 16  # of every buffer


@dataclass(frozen=True)
class Buffer:
    """What needs a place: bytes, and the first and last step at which it is needed."""

    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


def aligned(size: int, alignment: int = ALIGNMENT) -> int:
    """The next multiple."""
    return -(-size // alignment) * alignment


def offsets(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """A place for each buffer, by the planner's rules."""
    order = sorted(range(len(buffers)), key=lambda at: (-aligned(buffers[at].size), -at))
    placed: list[tuple[int, int, int]] = []  # offset, turn, which
    found = [0] * len(buffers)
    for turn, at in enumerate(order):
        own = buffers[at]
        met = ((offset, buffers[one]) for offset, _, one in placed if buffers[one].meets(own))
        found[at] = _gap(met, aligned(own.size))
        insort(placed, (found[at], turn, at))
    return tuple(found)


def _gap(placed: Iterable[tuple[int, Buffer]], size: int) -> int:
    """The first offset with room before the next of what is placed, by offset."""
    offset = 0
    for start, buffer in placed:
        if start - offset >= size:
            break
        offset = max(offset, start + aligned(buffer.size))
    return offset


def extent(buffers: Sequence[Buffer]) -> int:
    """Bytes that all take together."""
    places = zip(offsets(buffers), buffers, strict=True)
    return max((offset + aligned(buffer.size) for offset, buffer in places), default=0)
