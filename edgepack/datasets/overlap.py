"""Content that two splits share: who keeps it, and what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.datasets import lints
from edgepack.datasets.spec import split_spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.datasets.shards import Decoded
    from edgepack.records.dataset import DatasetSpec, Lint, Split

WORTH: tuple[Split, ...] = ("evaluate", "tune", "calibrate")  # who keeps a sample that two have
Overlap = dict["Split", dict[str, tuple[str, "Split"]]]
Contents = dict[str, dict[str, str]]  # by path and sample: the digest of its inputs


def find_overlap(decoded: Mapping[Split, Decoded]) -> Overlap:
    """By split, its samples whose content a worthier split has: that sample and its split."""
    owners: dict[str, tuple[str, Split]] = {}
    found: Overlap = {split: {} for split in decoded}
    for split in (split for split in WORTH if split in decoded):
        mine = decoded[split]
        pairs = [(i, r) for i, r in zip(mine.items, mine.rows, strict=True) if r.digest]
        for item, row in pairs:
            if row.digest in owners:
                found[split][item.name] = owners[row.digest]
        owners.update({row.digest: (item.name, split) for item, row in pairs})
    return found


def has_parted_copies(spec: DatasetSpec, overlap: Overlap) -> bool:
    """Whether copies that lie in one path went to different splits."""
    pairs = ((split, owner) for split, found in overlap.items() for _, owner in found.values())
    return any(_same_path(spec, split, owner) for split, owner in pairs)


def add_contents(
    spec: DatasetSpec, decoded: Mapping[Split, Decoded], contents: Contents
) -> Contents:
    """What is known of the samples' content, with what decoding them showed."""
    known = {path: dict(found) for path, found in contents.items()}
    for split, one in decoded.items():
        mine = known.setdefault(split_spec(spec, split).path, {})
        pairs = zip(one.items, one.rows, strict=True)
        mine.update({item.name: row.digest for item, row in pairs if row.digest})
    return known


def overlap_lints(spec: DatasetSpec, overlap: Overlap) -> Iterator[Lint]:
    """Within one path the lesser split loses the sample; across paths the spec decides."""
    within: dict[str, str] = {}
    across: dict[str, str] = {}
    for split, pairs in overlap.items():
        for name, (other, owner) in pairs.items():
            same = _same_path(spec, split, owner)
            (within if same else across)[f"{split} {name}"] = f"{owner} {other}"
    yield from lints.lint_overlap(within, error=False)
    yield from lints.lint_overlap(across, error=spec.on_overlap == "error")


def _same_path(spec: DatasetSpec, one: Split, other: Split) -> bool:
    return split_spec(spec, one).path == split_spec(spec, other).path
