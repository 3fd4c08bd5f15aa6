"""Which items serve which purpose: a recorded seed decides, not the file system."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.datasets.spec import split_spec
from edgepack.errors import DatasetError
from edgepack.records.dataset import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgepack.datasets.pool import Item, Pool
    from edgepack.records.dataset import DatasetSpec, Split


ROUNDING = 1e-9  # 0.29 * 100 is a little less than 29


@dataclass(frozen=True)
class Deal:
    """Who gets what.

    Attributes:
        items: each split's items, in the recorded order.
        copies: items left out because a split with a count took the same content; that item.
    """

    items: dict[Split, tuple[Item, ...]]
    copies: dict[str, str]


def assign(
    spec: DatasetSpec,
    pools: Mapping[str, Pool],
    contents: Mapping[str, Mapping[str, str]] | None = None,
) -> Deal:
    """Deal each pool's items to the splits that name its path, without giving a content twice.

    Counts come first, in the order calibrate, tune, evaluate, and speak of different contents; a
    split without a count takes what remains, copies and all.

    Args:
        spec: the dataset spec.
        pools: by path.
        contents: by path and item's name, the digests of items whose content is known.

    Raises:
        DatasetError: a pool has fewer samples than its splits ask for.
    """
    dealt: dict[Split, tuple[Item, ...]] = dict.fromkeys(SPLITS, ())
    copies: dict[str, str] = {}
    for path, pool in pools.items():
        waiting = _by_content(shuffled(pool.items, spec.seed), (contents or {}).get(path, {}))
        total = len(waiting)
        mine = [split for split in SPLITS if split_spec(spec, split).path == path]
        for split in sorted(mine, key=lambda s: split_spec(spec, s).samples is None):
            asked = split_spec(spec, split).samples
            if asked is None:
                dealt[split], waiting = tuple(item for same in waiting for item in same), []
                continue
            taken, waiting = _taken(split, asked, total, waiting, pool)
            dealt[split] = tuple(same[0] for same in taken)
            copies |= {copy.name: f"{split} {same[0].name}" for same in taken for copy in same[1:]}
    return Deal(dealt, copies)


Groups = list[list["Item"]]  # items of one content


def _by_content(items: Iterable[Item], contents: Mapping[str, str]) -> Groups:
    """Items of one content together, where its first one stands."""
    groups: dict[tuple[bool, str], list[Item]] = defaultdict(list)
    for item in items:
        known = contents.get(item.name)
        groups[known is not None, known or item.name].append(item)
    return list(groups.values())


def _taken(
    split: Split, asked: float, total: int, waiting: Groups, pool: Pool
) -> tuple[Groups, Groups]:
    """What a split with a count takes, and what waits on."""
    # downwards, so that fractions that add up to one never ask for more than there is
    count = asked if isinstance(asked, int) else int(asked * total + ROUNDING)
    if count > len(waiting):
        raise DatasetError(
            f"splits.{split} asks for {count} samples, and {len(waiting)} are left of {total}",
            where=pool.path,
            hint="Ask for fewer. Copies of one content count once.",
        )
    return waiting[:count], waiting[count:]


def shuffled(items: Iterable[Item], seed: int) -> tuple[Item, ...]:
    """Items in an order that depends on their names and the seed alone.

    Any first part of it holds the classes as evenly as they allow: the first of each class, then
    the second of each, and so on.
    """
    order = sorted(items, key=lambda item: _hash(seed, item.name))
    seen: dict[object, int] = defaultdict(int)
    ranks = []
    for item in order:
        kind = item.label if isinstance(item.label, int) else None
        ranks.append(seen[kind])
        seen[kind] += 1
    return tuple(item for _, item in sorted(zip(ranks, order, strict=True), key=lambda p: p[0]))


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()
