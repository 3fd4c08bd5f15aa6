"""Which items serve which purpose: a recorded seed decides, not the file system."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from edgepack.datasets.spec import split_spec
from edgepack.errors import DatasetError
from edgepack.records.dataset import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgepack.datasets.pool import Item, Pool
    from edgepack.records.dataset import DatasetSpec, Split


ROUNDING = 1e-9  # 0.29 * 100 is a little less than 29


def assign(spec: DatasetSpec, pools: Mapping[str, Pool]) -> dict[Split, tuple[Item, ...]]:
    """Deal each pool's items to the splits that name its path, without giving one twice.

    Counts come first, in the order calibrate, tune, evaluate; a split without a count takes what
    remains.

    Raises:
        DatasetError: a pool has fewer samples than its splits ask for.
    """
    dealt: dict[Split, tuple[Item, ...]] = {}
    for path, pool in pools.items():
        waiting = shuffled(pool.items, spec.seed)
        mine = [split for split in SPLITS if split_spec(spec, split).path == path]
        for split in sorted(mine, key=lambda s: split_spec(spec, s).samples is None):
            count = _count(split_spec(spec, split).samples, len(pool.items), len(waiting))
            if count > len(waiting):
                raise DatasetError(
                    f"splits.{split} asks for {count} samples, and {len(waiting)} are left of "
                    f"{len(pool.items)}",
                    where=pool.path,
                )
            dealt[split], waiting = waiting[:count], waiting[count:]
    return {split: dealt.get(split, ()) for split in SPLITS}


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


def _count(asked: float | None, total: int, left: int) -> int:
    if asked is None:
        return left
    # downwards, so that fractions that add up to one never ask for more than there is
    return asked if isinstance(asked, int) else int(asked * total + ROUNDING)
