"""Places for labels beside the points of a drawing, so that none hides another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ADVANCE = 6.6  # width of a character of 11 units' height, on average and rather more than less
HEIGHT = 13.0
GAP = 9.0  # from a point to its label
RING = 5.0  # how far a ring reaches beyond a point
RINGS = 7
OUTSIDE = 4.0  # labels that a place beyond the edge is as bad as


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True)
class Label:
    """A text and the point that it is of, which may have a ring around it."""

    x: float
    y: float
    text: str
    ringed: bool = False


@dataclass(frozen=True)
class Placed:
    """A label with the box that it is written in, and whether that needs a line to its point."""

    label: Label
    box: Box
    far: bool


def place(labels: Sequence[Label], covered: Iterable[Box], within: Box) -> Iterator[Placed]:
    """Find each label, the first one first, the nearest place where it covers the least.

    Args:
        labels: in the order of their weight.
        covered: marks and lines that labels should not hide.
        within: what labels have to be in.
    """
    taken = list(covered)
    for label in labels:
        places = list(_places(label))
        costs = [_cost(box, taken, within) for box, _ in places]
        box, far = places[costs.index(min(costs))]
        taken.append(box)
        yield Placed(label, box, far)


def _cost(box: Box, taken: Iterable[Box], within: Box) -> float:
    outside = box.area - box.overlap(within)
    return round(sum(box.overlap(other) for other in taken) + OUTSIDE * outside, 3)


def _places(label: Label) -> Iterator[tuple[Box, bool]]:
    """Places around a point, from near to far: beside it, then above and below."""
    width = ADVANCE * len(label.text)
    gap = GAP + RING * label.ringed
    lefts = (label.x + gap, label.x - gap - width, label.x - width / 2)
    for ring in range(RINGS):
        for sign in (-1, 1) if ring else (1,):
            top = label.y - HEIGHT / 2 + sign * ring * HEIGHT * 0.9
            for left in lefts[: 3 if ring else 2]:
                yield Box(left, top, left + width, top + HEIGHT), ring > 0
