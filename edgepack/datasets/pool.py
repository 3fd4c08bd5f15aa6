"""Samples before they are decoded: a name, a label, a place."""

from __future__ import annotations

from dataclasses import dataclass

Label = int | float | None


@dataclass(frozen=True)
class Item:
    """One sample before it is decoded.

    Attributes:
        name: stable and unique in its pool; what messages call it.
        label: class index, target value, or None.
        row: its row in an array or table; 0 for a file of its own.
        cells: its cells of a table, as numbers.
    """

    name: str
    label: Label = None
    row: int = 0
    cells: tuple[float, ...] = ()


@dataclass(frozen=True)
class Pool:
    """Everything below one path, sorted by name, and the class names its labels are indices of."""

    path: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
