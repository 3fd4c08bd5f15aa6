"""Splits decoded by workers, shard by shard, into arrays on disk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from edgepack.datasets import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    from edgepack.datasets.decode import Row, Source
    from edgepack.datasets.pool import Item
    from edgepack.records.dataset import ArrayRef, Split


@dataclass(frozen=True)
class Workshop:
    """Where the work is done and left."""

    executor: Executor
    directory: Path
    shards: int


@dataclass(frozen=True)
class Decoded:
    """One split after decoding: readable or not, each item has its row."""

    source: Source
    items: tuple[Item, ...]
    rows: tuple[Row, ...]
    arrays: dict[str, ArrayRef]

    def unreadable(self) -> Iterator[str]:
        """Names of the items that could not be decoded."""
        pairs = zip(self.items, self.rows, strict=True)
        return (item.name for item, row in pairs if row.unreadable)

    def keeping(self, workshop: Workshop, wanted: Iterable[bool]) -> Decoded:
        """The same split with only the wanted items, in its arrays too."""
        keep = tuple(index for index, kept in enumerate(wanted) if kept)
        if len(keep) == len(self.items):
            return self
        arrays = workshop.executor.submit(decode.compact, self.arrays, keep).result()
        items, rows = tuple(self.items[i] for i in keep), tuple(self.rows[i] for i in keep)
        return replace(self, items=items, rows=rows, arrays=arrays)


def decode_split(
    split: Split, source: Source, items: tuple[Item, ...], workshop: Workshop
) -> Decoded:
    """Decode all items of one split.

    Raises:
        DatasetError: none can be read, or one does not fit the model.
    """
    submit = workshop.executor.submit
    arrays = submit(decode.create, source, items, workshop.directory, split).result()
    bounds = [len(items) * n // workshop.shards for n in range(workshop.shards + 1)]
    parts = [
        submit(decode.fill, source, items[start:stop], arrays, start)
        for start, stop in pairwise(bounds)
        if stop > start
    ]
    rows = tuple(row for part in parts for row in part.result())
    return Decoded(source, items, rows, arrays)
