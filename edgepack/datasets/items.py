"""Lists what a dataset holds, with labels, before anything is decoded. Runs in a worker."""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

from edgepack.datasets.pool import Item, Pool
from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.datasets.pool import Label
    from edgepack.records.dataset import DatasetSpec

IMAGES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm"))
SOUNDS = frozenset((".wav",))


def list_items(spec: DatasetSpec, root: Path, path: str) -> Pool:
    """List the pool at `path`, relative to `root`.

    Raises:
        DatasetError: nothing there, or a label that is none.
    """
    from edgepack.datasets import arrays

    where = root / path
    if spec.kind in {"arrays", "function"}:
        return arrays.list_rows(spec, root, path)
    if spec.kind == "table":
        pool = _table(spec, where)
    elif where.is_dir():
        pool = _folders(spec, where)
    else:
        pool = _listed(spec, where)
    if not pool.items:
        flat = spec.task != "none" and where.is_dir()
        hint = 'Each class has a folder of its own here; without labels, set task = "none".'
        raise DatasetError(
            f"holds no sample of kind {spec.kind}", where=where, hint=hint if flat else ""
        )
    return pool


def _folders(spec: DatasetSpec, where: Path) -> Pool:
    """One folder a class; without labels (task none) every file below."""
    suffixes = SOUNDS if spec.kind == "audio" else IMAGES
    files = sorted(
        (path.relative_to(where).as_posix(), path)
        for path in where.rglob("*")
        if path.suffix.lower() in suffixes and path.is_file()
    )
    if spec.task == "none":
        return Pool(str(where), tuple(Item(name) for name, _ in files), spec.classes)
    found = sorted({name.partition("/")[0] for name, _ in files if "/" in name})
    classes = spec.classes or tuple(found)
    for folder in found:
        class_index(folder, classes, where / folder)
    indices = {name: index for index, name in enumerate(classes)}
    items = [Item(name, indices[name.partition("/")[0]]) for name, _ in files if "/" in name]
    return Pool(str(where), tuple(items), classes)


def class_index(text: str, classes: Sequence[str], where: str | Path) -> int:
    """The index of a class given by name, or by the index itself.

    Raises:
        DatasetError: it is neither.
    """
    if text in classes:
        return classes.index(text)
    if text.isdecimal() and int(text) < len(classes):
        return int(text)
    near = difflib.get_close_matches(text, classes, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise DatasetError(
        f"{text!r} is not among the dataset's classes",
        where=where,
        hint=f"{hint}classes = [{', '.join(classes)}]",
    )


def _rows(where: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file by column, with their line numbers."""
    try:
        with where.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    raise DatasetError(
                        "has another number of cells than the header",
                        where=f"{where}:{reader.line_num}",
                    )
                yield reader.line_num, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise DatasetError(f"not a readable CSV file: {error}", where=where) from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", where=where) from error


def listed_files(spec: DatasetSpec, where: Path) -> Iterator[Path]:
    """The files that a CSV at `where` names."""
    for line, row in _rows(where):
        yield where.parent / _cell(row, spec.image_column, f"{where}:{line}")


def _cell(row: dict[str, str], column: str, where: str) -> str:
    if column not in row:
        raise DatasetError(
            f"has no column {column!r}", where=where, hint=f"Its columns: {', '.join(row)}."
        )
    return row[column].strip()


def _listed(spec: DatasetSpec, where: Path) -> Pool:
    """A CSV of file paths, relative to it, and labels."""
    rows = [(line, row, f"{where}:{line}") for line, row in _rows(where)]
    labels = _labels(spec, rows)
    items = [
        Item(_cell(row, spec.image_column, at), label)
        for (_, row, at), label in zip(rows, labels.values, strict=True)
    ]
    return Pool(str(where.parent), tuple(sorted(items, key=lambda i: i.name)), labels.classes)


def _table(spec: DatasetSpec, where: Path) -> Pool:
    rows = [(line, row, f"{where}:{line}") for line, row in _rows(where)]
    labels = _labels(spec, rows)
    columns = [column for preprocess in spec.inputs.values() for column in preprocess.columns]
    items = [
        Item(
            f"{where.name}:{line}",
            label,
            line,
            tuple(_number(_cell(row, column, at), column, at) for column in columns),
        )
        for (line, row, at), label in zip(rows, labels.values, strict=True)
    ]
    return Pool(str(where.parent), tuple(items), labels.classes)


def _number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise DatasetError(f"{text!r} in column {column} is not a number", where=where)
    return number


@dataclass(frozen=True)
class _Labels:
    values: tuple[Label, ...]
    classes: tuple[str, ...]


def _labels(spec: DatasetSpec, rows: list[tuple[int, dict[str, str], str]]) -> _Labels:
    if spec.task == "none":
        return _Labels((None,) * len(rows), spec.classes)
    column = spec.labels or "label"
    texts = [(_cell(row, column, at), at) for _, row, at in rows]
    if spec.task == "regression":
        return _Labels(tuple(_number(text, column, at) for text, at in texts), ())
    classes = spec.classes or _found_classes([text for text, _ in texts])
    return _Labels(tuple(class_index(text, classes, at) for text, at in texts), classes)


def _found_classes(texts: list[str]) -> tuple[str, ...]:
    """Numbers stand for themselves, up to the largest; names are sorted."""
    if all(text.isdecimal() for text in texts):
        return tuple(str(number) for number in range(max(map(int, texts), default=-1) + 1))
    return tuple(sorted(set(texts)))
