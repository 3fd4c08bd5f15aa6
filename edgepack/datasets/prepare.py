"""A dataset spec into a `SampleSet`: listed, dealt, decoded in shards, checked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.datasets import decode, lints, splits
from edgepack.datasets.decode import Row, Source
from edgepack.datasets.items import list_items
from edgepack.datasets.pool import shared_classes
from edgepack.datasets.spec import split_spec
from edgepack.errors import DatasetError
from edgepack.records.dataset import SPLITS, ArrayRef, SampleSet, SplitData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from edgepack.datasets.pool import Item, Pool
    from edgepack.records.dataset import DatasetSpec, Lint, Split
    from edgepack.records.tensors import Tensor

NUMBERS = ("float", "int", "uint", "bool")
WORTH: tuple[Split, ...] = ("evaluate", "tune", "calibrate")  # who keeps a sample that two have


@dataclass(frozen=True)
class Workshop:
    """Where the work is done and left."""

    executor: Executor
    directory: Path
    shards: int


@dataclass(frozen=True)
class _Decoded:
    """One split after decoding: readable or not, each item has its row."""

    source: Source
    items: tuple[Item, ...]
    rows: tuple[Row, ...]
    arrays: dict[str, ArrayRef]

    def unreadable(self) -> Iterator[str]:
        pairs = zip(self.items, self.rows, strict=True)
        return (item.name for item, row in pairs if row.unreadable)

    def keeping(self, workshop: Workshop, wanted: Iterable[bool]) -> _Decoded:
        keep = tuple(index for index, kept in enumerate(wanted) if kept)
        if len(keep) == len(self.items):
            return self
        arrays = workshop.executor.submit(decode.compact, self.arrays, keep).result()
        items, rows = tuple(self.items[i] for i in keep), tuple(self.rows[i] for i in keep)
        return replace(self, items=items, rows=rows, arrays=arrays)


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
    _check_inputs(spec, root, inputs)
    pools = _pools(spec, root, workshop)
    decoded = {
        split: _decode(split, Source(spec, root, path, pools[path].path, inputs), items, workshop)
        for split, items in splits.assign(spec, pools).items()
        if items and (path := split_spec(spec, split).path) in pools
    }
    readable = {
        split: one.keeping(workshop, [not row.unreadable for row in one.rows])
        for split, one in decoded.items()
    }
    overlap = _overlap(readable)
    kept = {
        split: one.keeping(workshop, [item.name not in overlap[split] for item in one.items])
        for split, one in readable.items()
    }
    classes = shared_classes(pools, root)
    found = (*_lints(spec, decoded, kept, classes), *_overlap_lints(spec, overlap))
    _refuse(found, root)
    return SampleSet(
        spec_digest=hashlib.sha256(spec.model_dump_json().encode()).hexdigest(),
        digest=_digest(data := {s: _split_data(s, one, workshop) for s, one in kept.items()}),
        seed=spec.seed,
        classes=classes,
        splits=data,
        lints=found,
        skipped=tuple(name for one in decoded.values() for name in one.unreadable()),
    )


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


def _check_inputs(spec: DatasetSpec, root: Path, inputs: tuple[Tensor, ...]) -> None:
    """Every input of the spec is one of the model, and of its type."""
    known = {tensor.name for tensor in inputs}
    if unknown := sorted(spec.inputs.keys() - known - {"*"}):
        raise DatasetError(
            f"the model has no input {unknown[0]!r}",
            where=root,
            hint=f"Its inputs: {', '.join(sorted(known))}. Rename [inputs.{unknown[0]}].",
        )
    if len(known) > 1 and spec.kind in {"image-folder", "image-list", "audio"}:
        raise DatasetError(
            f"kind {spec.kind} feeds one input, and the model has {', '.join(sorted(known))}",
            where=root,
            hint="Use kind arrays, table or function.",
        )
    for tensor in inputs:
        if not tensor.dtype.startswith(NUMBERS):
            raise DatasetError(
                f"the input {tensor.name!r} takes {tensor.dtype}, and samples are numbers",
                where=root,
                hint="Export a signature that takes numbers.",
            )
        mine = spec.preprocess(tensor.name).dtype
        if mine != tensor.dtype:
            raise DatasetError(
                f"the input {tensor.name!r} is {tensor.dtype}, the spec makes {mine}",
                where=root,
                hint=f'Set inputs.{tensor.name}.dtype = "{tensor.dtype}".',
            )


def _pools(spec: DatasetSpec, root: Path, workshop: Workshop) -> dict[str, Pool]:
    wanted = [split_spec(spec, split) for split in SPLITS]
    paths = dict.fromkeys(part.path for part in wanted if part.samples != 0)
    asked = {path: workshop.executor.submit(list_items, spec, root, path) for path in paths}
    return {path: future.result() for path, future in asked.items()}


def _decode(split: Split, source: Source, items: tuple[Item, ...], workshop: Workshop) -> _Decoded:
    submit = workshop.executor.submit
    arrays = submit(decode.create, source, items, workshop.directory, split).result()
    bounds = [len(items) * n // workshop.shards for n in range(workshop.shards + 1)]
    parts = [
        submit(decode.fill, source, items[start:stop], arrays, start)
        for start, stop in pairwise(bounds)
        if stop > start
    ]
    rows = tuple(row for part in parts for row in part.result())
    return _Decoded(source, items, rows, arrays)


Overlap = dict["Split", dict[str, tuple[str, "Split"]]]


def _overlap(decoded: Mapping[Split, _Decoded]) -> Overlap:
    """By split, its samples whose content a worthier split has: that sample and its split."""
    owners: dict[str, tuple[str, Split]] = {}
    found: Overlap = {split: {} for split in decoded}
    for split in (split for split in WORTH if split in decoded):
        mine = decoded[split]
        pairs = list(zip(mine.items, mine.rows, strict=True))
        for item, row in pairs:
            if row.digest in owners:
                found[split][item.name] = owners[row.digest]
        owners.update({row.digest: (item.name, split) for item, row in pairs})
    return found


def _overlap_lints(spec: DatasetSpec, overlap: Overlap) -> Iterator[Lint]:
    """Within one path the lesser split loses the sample; across paths the spec decides."""
    within: dict[str, str] = {}
    across: dict[str, str] = {}
    for split, pairs in overlap.items():
        for name, (other, owner) in pairs.items():
            same = split_spec(spec, split).path == split_spec(spec, owner).path
            (within if same else across)[f"{split} {name}"] = f"{owner} {other}"
    yield from lints.lint_overlap(within, error=False)
    yield from lints.lint_overlap(across, error=spec.on_overlap == "error")


def _lints(
    spec: DatasetSpec,
    decoded: Mapping[Split, _Decoded],
    kept: Mapping[Split, _Decoded],
    classes: tuple[str, ...],
) -> Iterator[Lint]:
    for split, one in decoded.items():
        yield from lints.lint_split(split, one.items, one.rows, spec)
    yield from lints.lint_values([row for one in kept.values() for row in one.rows], spec)
    if "evaluate" not in kept:
        yield from lints.lint_split("evaluate", (), (), spec)
    elif spec.task == "classification":
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


def _split_data(split: Split, one: _Decoded, workshop: Workshop) -> SplitData:
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
