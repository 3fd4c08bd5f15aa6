"""Samples before they are decoded: a name, a label, a place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Label = int | float | None
Cell = int | float | str  # bool is an int
MOST_CLASSES = 100_000


@dataclass(frozen=True)
class Item:
    """One sample before it is decoded.

    Attributes:
        name: stable and unique in its pool; what messages call it.
        label: class index, target value, or None.
        row: its row in an array or table; 0 for a file of its own.
        cells: its cells of a table, as numbers, or as text where the input takes strings.
    """

    name: str
    label: Label = None
    row: int = 0
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Pool:
    """Everything below one path, sorted by name, and the class names its labels are indices of.

    Attributes:
        path: the folder that the items' names are relative to, or their file.
        files: of arrays, the .npy file of each by the array's name.
    """

    path: str
    items: tuple[Item, ...]
    classes: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)


def shared_classes(pools: Mapping[str, Pool], root: Path) -> tuple[str, ...]:
    """The classes that all pools share: one may lack the last ones, but not call them otherwise.

    Raises:
        DatasetError: two paths would give one index to different classes.
    """
    every = sorted((pool.classes for pool in pools.values()), key=len)
    longest = every[-1] if every else ()
    for classes in every:
        if classes != longest[: len(classes)]:
            raise DatasetError(
                f"its paths hold different classes: {', '.join(classes)}; {', '.join(longest)}",
                where=root,
                hint="Set classes, in the order of the model's outputs.",
            )
    return longest


def numbered_classes(largest: int, where: str | Path) -> tuple[str, ...]:
    """Names for classes that are only known by index.

    Raises:
        DatasetError: so many that the labels are something else.
    """
    if largest >= MOST_CLASSES:
        raise DatasetError(
            f"labels run up to {largest}: that is no class index",
            where=where,
            hint='Set classes, or task = "regression".',
        )
    return tuple(str(number) for number in range(largest + 1))
