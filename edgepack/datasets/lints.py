"""What a person should know of the samples, one clear message for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from edgepack.records.dataset import Lint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgepack.datasets.decode import Row
    from edgepack.datasets.pool import Item
    from edgepack.records.dataset import DatasetSpec, Split

EXAMPLES = 5
FEW_TO_CALIBRATE = 10
FEW_TO_EVALUATE = 100
BYTE_RANGE = 128.0  # floats beyond it look like unscaled pixels
TINY = 1e-3
SINGULAR = {
    "files": "file",
    "samples": "sample",
    "classes": "class",
    "are": "is",
    "hold": "holds",
    "have": "has",
}


def lint_split(
    split: Split, items: Sequence[Item], rows: Sequence[Row], spec: DatasetSpec
) -> Iterator[Lint]:
    """Lints of one split's readable samples, and of those that are not readable."""
    pairs = list(zip(items, rows, strict=True))
    readable = [(item, row) for item, row in pairs if not row.unreadable]
    unreadable = [f"{item.name}: {row.unreadable}" for item, row in pairs if row.unreadable]
    level = "warning" if spec.on_unreadable == "skip" else "error"
    yield from _named(level, "unreadable", f"{{}} files of {split} cannot be read", unreadable)
    broken = [item.name for item, row in readable if not row.finite]
    yield from _named(
        "error", "non-finite", f"{{}} samples of {split} hold NaN or infinity", broken
    )
    clipped = [item.name for item, row in readable if row.clipped]
    what = f"{{}} samples of {split} hold values that the input's type cannot"
    yield from _named("error", "out-of-range", what, clipped)
    constant = [item.name for item, row in readable if row.constant]
    what = f"{{}} samples of {split} are one value throughout"
    yield from _named("warning", "constant-sample", what, constant)
    yield from _duplicates(split, readable)


def lint_size(split: Split, count: int, *, asked: bool) -> Iterator[Lint]:
    """A split that has too few samples to say something, or none where some were asked for."""
    few = {"calibrate": FEW_TO_CALIBRATE, "evaluate": FEW_TO_EVALUATE}.get(split, 0)
    if 0 < count < few:
        effect = "ranges" if split == "calibrate" else "accuracy"
        samples = "one sample" if count == 1 else f"{count} samples"
        message = f"{split} has {samples}: {effect} of fewer than {few} say little"
        yield Lint(level="warning", code="few-samples", message=message)
    elif not count and (asked or split == "evaluate"):
        level = "error" if split == "evaluate" else "warning"
        yield Lint(level=level, code="no-samples", message=f"{split} has no sample")


def lint_values(rows: Sequence[Row], spec: DatasetSpec) -> Iterator[Lint]:
    """Lints of the range that all samples span."""
    low = min((row.low for row in rows), default=0.0)
    high = max((row.high for row in rows), default=0.0)
    floats = all(p.dtype.startswith("float") for p in spec.inputs.values())
    span = f"values run from {low:g} to {high:g}"
    if floats and spec.kind.startswith("image") and high > BYTE_RANGE and low >= 0:
        message = f"{span}: pixels go in unscaled; if the model wants 0 to 1, set scale = {1 / 255}"
        yield Lint(level="warning", code="unscaled-pixels", message=message)
    if floats and rows and max(abs(low), abs(high)) < TINY:
        message = f"{span}: so small that scale looks wrong"
        yield Lint(level="warning", code="tiny-values", message=message)


def lint_classes(items: Sequence[Item], classes: tuple[str, ...]) -> Iterator[Lint]:
    """Classes that the evaluation never sees."""
    seen = {item.label for item in items}
    if None in seen or not items:
        return
    absent = [name for index, name in enumerate(classes) if index not in seen]
    yield from _named("warning", "absent-class", "{} classes have no evaluation sample", absent)


def lint_overlap(overlap: Mapping[str, str], *, error: bool) -> Iterator[Lint]:
    """Samples of one split whose content another has too."""
    pairs = [f"{mine} = {other}" for mine, other in overlap.items()]
    what = "{} samples are in two splits by content" + ("" if error else "; the lesser loses them")
    yield from _named("error" if error else "warning", "overlap", what, pairs)


def lint_copies(copies: Mapping[str, str]) -> Iterator[Lint]:
    """Copies of what a split with a count took, which no other split may have."""
    pairs = [f"{copy} = {taken}" for copy, taken in copies.items()]
    what = "{} samples are left out: another split took their content"
    yield from _named("warning", "overlap", what, pairs)


def _named(level: str, code: str, message: str, examples: list[str]) -> Iterator[Lint]:
    if not examples:
        return
    count = str(len(examples)) if len(examples) > 1 else "one"
    text = message.format(count)
    if count == "one":
        for many, one in SINGULAR.items():
            text = text.replace(f" {many} ", f" {one} ")
    yield Lint(level=level, code=code, message=text, examples=tuple(examples[:EXAMPLES]))


def _duplicates(split: Split, readable: list[tuple[Item, Row]]) -> Iterator[Lint]:
    counts = Counter(row.digest for _, row in readable)
    if len(counts) == 1 and len(readable) > 1:
        message = f"all {len(readable)} samples of {split} are the same"
        yield Lint(level="error", code="all-identical", message=message)
        return
    again = [item.name for item, row in readable if counts[row.digest] > 1]
    what = f"{{}} samples of {split} are not the only ones of their content"
    yield from _named("warning", "duplicate", what, again)
    labels: dict[str, set[object]] = defaultdict(set)
    for item, row in readable:
        labels[row.digest].add(item.label)
    unlike = [item.name for item, row in readable if len(labels[row.digest]) > 1]
    what = f"{{}} samples of {split} have the content of another, and another label"
    yield from _named("warning", "conflicting-labels", what, unlike)
