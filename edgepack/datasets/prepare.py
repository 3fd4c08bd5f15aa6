"""A dataset spec into a `SampleSet`: listed, dealt, decoded in shards, checked."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.datasets import decode, lints, splits
from edgepack.datasets.decode import Source
from edgepack.datasets.inputs import check_inputs
from edgepack.datasets.items import list_items
from edgepack.datasets.overlap import (
    add_contents,
    find_overlap,
    has_parted_copies,
    overlap_lints,
)
from edgepack.datasets.pool import shared_classes
from edgepack.datasets.shards import Workshop, decode_split
from edgepack.datasets.spec import split_spec
from edgepack.errors import DatasetError
from edgepack.records.dataset import SPLITS, ArrayRef, SampleSet, SplitData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgepack.datasets.overlap import Contents
    from edgepack.datasets.pool import Pool
    from edgepack.datasets.shards import Decoded
    from edgepack.datasets.splits import Deal
    from edgepack.records.dataset import DatasetSpec, Lint, Split
    from edgepack.records.tensors import Tensor

SCRATCH = "unpacked"
DEALS = 3  # the second is final, unless counts leave samples that the first did not decode

__all__ = ["Workshop", "prepare", "resolve"]


def prepare(
    spec: DatasetSpec, root: Path, inputs: tuple[Tensor, ...], workshop: Workshop
) -> SampleSet:
    """Decode, preprocess, split and check a dataset.

    Args:
        spec: the dataset spec; its paths are relative to `root`.
        root: folder of the spec.
        inputs: inputs of the signature that is fed; their first dimension is the batch.
        workshop: workers, and the directory that takes the arrays.

    Returns:
        The samples; paths in it are file names in the workshop's directory (see `resolve`).

    Raises:
        DatasetError: the samples cannot serve; every fault is listed.
    """
    check_inputs(spec, root, inputs)
    scratch = workshop.directory / SCRATCH
    try:
        pools = _pools(spec, root, inputs, workshop, scratch)
        return _sample_set(spec, root, pools, inputs, workshop)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sample_set(
    spec: DatasetSpec,
    root: Path,
    pools: dict[str, Pool],
    inputs: tuple[Tensor, ...],
    workshop: Workshop,
) -> SampleSet:
    deal, decoded = _dealt(spec, pools, inputs, workshop)
    readable = {
        split: one.keeping(workshop, [not row.unreadable for row in one.rows])
        for split, one in decoded.items()
    }
    overlap = find_overlap(readable)
    kept = {
        split: one.keeping(workshop, [item.name not in overlap[split] for item in one.items])
        for split, one in readable.items()
    }
    classes = shared_classes(pools, root)
    found = (
        *_lints(spec, decoded, kept, classes),
        *lints.lint_copies(deal.copies),
        *overlap_lints(spec, overlap),
    )
    _refuse(found, root)
    data = {split: _split_data(split, one, workshop) for split, one in kept.items()}
    return SampleSet(
        spec_digest=hashlib.sha256(spec.model_dump_json().encode()).hexdigest(),
        digest=_digest(data),
        seed=spec.seed,
        classes=classes,
        splits=data,
        lints=found,
        skipped=tuple(name for one in decoded.values() for name in one.unreadable()),
    )


def _dealt(
    spec: DatasetSpec, pools: dict[str, Pool], inputs: tuple[Tensor, ...], workshop: Workshop
) -> tuple[Deal, dict[Split, Decoded]]:
    """Deal and decode; again with what decoding showed, if it parted copies of one content."""
    contents: Contents = {}
    for _ in range(DEALS):
        deal = splits.assign(spec, pools, contents)
        decoded = {
            split: decode_split(split, _source(spec, pools, split, inputs), items, workshop)
            for split, items in deal.items.items()
            if items
        }
        if not has_parted_copies(spec, find_overlap(decoded)):
            break
        contents = add_contents(spec, decoded, contents)
    return deal, decoded


def _source(
    spec: DatasetSpec, pools: dict[str, Pool], split: Split, inputs: tuple[Tensor, ...]
) -> Source:
    pool = pools[split_spec(spec, split).path]
    return Source(spec, pool.path, pool.files, inputs)


def resolve(samples: SampleSet, directory: Path) -> SampleSet:
    """The same samples with the paths they have in `directory`."""

    def located(ref: ArrayRef) -> ArrayRef:
        return ref.model_copy(update={"path": str(directory / ref.path)})

    found = {
        split: data.model_copy(
            update={
                "inputs": {name: located(ref) for name, ref in data.inputs.items()},
                "labels": located(data.labels) if data.labels else None,
            }
        )
        for split, data in samples.splits.items()
    }
    return samples.model_copy(update={"splits": found})


def _pools(
    spec: DatasetSpec, root: Path, inputs: tuple[Tensor, ...], workshop: Workshop, scratch: Path
) -> dict[str, Pool]:
    wanted = [split_spec(spec, split) for split in SPLITS]
    paths = dict.fromkeys(part.path for part in wanted if part.samples != 0)
    asked = {
        path: workshop.executor.submit(list_items, spec, root, path, inputs, scratch / str(number))
        for number, path in enumerate(paths)
    }
    return {path: future.result() for path, future in asked.items()}


def _lints(
    spec: DatasetSpec,
    decoded: Mapping[Split, Decoded],
    kept: Mapping[Split, Decoded],
    classes: tuple[str, ...],
) -> Iterator[Lint]:
    for split, one in decoded.items():
        yield from lints.lint_split(split, one.items, one.rows, spec)
    yield from lints.lint_values([row for one in kept.values() for row in one.rows], spec)
    for split in SPLITS:
        count = len(kept[split].items) if split in kept else 0
        yield from lints.lint_size(split, count, asked=split_spec(spec, split).samples != 0)
    if "evaluate" in kept and spec.task == "classification":
        yield from lints.lint_classes(kept["evaluate"].items, classes)


def _refuse(found: Iterable[Lint], root: Path) -> None:
    errors = [lint for lint in found if lint.level == "error"]
    if not errors:
        return
    lines = []
    for lint in errors:
        lines.append(lint.message)
        lines += [f"  {example}" for example in lint.examples]
    hints = {"unreadable": 'on_unreadable = "skip" leaves them out.'}
    hints["overlap"] = 'on_overlap = "drop" drops them from the lesser split.'
    hint = " ".join(hints[lint.code] for lint in errors if lint.code in hints)
    raise DatasetError("\n  ".join(lines), where=root, hint=hint)


def _split_data(split: Split, one: Decoded, workshop: Workshop) -> SplitData:
    write = workshop.executor.submit
    labels = write(decode.write_labels, one.source, one.items, workshop.directory, split).result()
    digest = hashlib.sha256()
    for item, row in zip(one.items, one.rows, strict=True):
        digest.update(f"{row.digest} {item.label}\n".encode())
    return SplitData(
        inputs={name: _bare(ref) for name, ref in one.arrays.items()},
        labels=_bare(labels) if labels else None,
        samples=len(one.items),
        digest=digest.hexdigest(),
    )


def _bare(ref: ArrayRef) -> ArrayRef:
    return ref.model_copy(update={"path": Path(ref.path).name})


def _digest(data: Mapping[Split, SplitData]) -> str:
    lines = "".join(f"{split} {one.digest}\n" for split, one in sorted(data.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
