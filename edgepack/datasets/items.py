"""Lists what a dataset holds, with labels, before anything is decoded. Runs in a worker."""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING

from edgepack.datasets.listing import require_path, sample_files
from edgepack.datasets.pool import Item, Pool, numbered_classes
from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.datasets.pool import Cell, Label
    from edgepack.records.dataset import DatasetSpec
    from edgepack.records.tensors import Tensor

TRUTH = {"true": True, "false": False}
WHOLE = re.compile(r"[+-]?[0-9]{1,40}")  # Python itself refuses to read thousands of digits


def list_items(
    spec: DatasetSpec, root: Path, path: str, inputs: tuple[Tensor, ...], scratch: Path
) -> Pool:
    """List the pool at `path`, relative to `root`; arrays are unpacked to `scratch`.

    Raises:
        DatasetError: nothing there, or a label that is none.
    """
    from edgepack.datasets import arrays

    where = root / path
    require_path(where)
    if spec.kind in {"arrays", "function"}:
        return arrays.list_rows(spec, root, path, inputs, scratch)
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
    files = sample_files(spec, where)
    if spec.task == "none":
        return Pool(str(where), tuple(map(Item, files)), spec.classes)
    found = sorted({name.partition("/")[0] for name in files if "/" in name})
    classes = spec.classes or tuple(found)
    for folder in found:
        class_index(folder, classes, where / folder)
    indices = {name: index for index, name in enumerate(classes)}
    items = [Item(name, indices[name.partition("/")[0]]) for name in files if "/" in name]
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
            _require_unique(reader.fieldnames or (), where)
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


def _require_unique(columns: Sequence[str], where: Path) -> None:
    twice = [name for name, count in Counter(columns).items() if name and count > 1]
    if twice:
        raise DatasetError(f"names the column {twice[0]!r} twice", where=f"{where}:1")


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
        Item(_file_name(row, spec.image_column, at), label)
        for (_, row, at), label in zip(rows, labels.values, strict=True)
    ]
    return Pool(str(where.parent), tuple(sorted(items, key=lambda i: i.name)), labels.classes)


def _file_name(row: dict[str, str], column: str, where: str) -> str:
    name = _cell(row, column, where)
    if not name:
        raise DatasetError(f"names no file in column {column}", where=where)
    return name


def _table(spec: DatasetSpec, where: Path) -> Pool:
    rows = [(line, row, f"{where}:{line}") for line, row in _rows(where)]
    labels = _labels(spec, rows)
    columns = [(column, one.dtype) for one in spec.inputs.values() for column in one.columns]
    items = [
        Item(
            f"{where.name}:{line}",
            label,
            line,
            tuple(_parsed(row, column, dtype, at) for column, dtype in columns),
        )
        for (line, row, at), label in zip(rows, labels.values, strict=True)
    ]
    return Pool(str(where.parent), tuple(items), labels.classes)


def _parsed(row: dict[str, str], column: str, dtype: str, where: str) -> Cell:
    """A cell as its input takes it: text as it stands, a truth value, a number."""
    text = _cell(row, column, where)
    if dtype == "string":
        return row[column]
    if dtype == "bool" and text.lower() in TRUTH:
        return TRUTH[text.lower()]
    if "int" in dtype and WHOLE.fullmatch(text):
        return int(text)
    return _number(text, column, where)


def _number(text: str, column: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number) or "_" in text:  # Python's own way of writing 1_000
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
    classes = spec.classes or _found_classes(texts)
    return _Labels(tuple(class_index(text, classes, at) for text, at in texts), classes)


def _found_classes(texts: list[tuple[str, str]]) -> tuple[str, ...]:
    """Numbers stand for themselves, up to the largest; names are sorted."""
    names = {text for text, _ in texts}
    if all(name.isdecimal() for name in names):
        return numbered_classes(max(map(int, names), default=-1), texts[0][1] if texts else "")
    for text, at in texts:
        if _is_number(text) and not text.isdecimal():  # sorted as text, 10.0 precedes 2.0
            raise DatasetError(
                f"the label {text!r} is a number, but no class index",
                where=at,
                hint='Write whole numbers from 0, or set classes, or task = "regression".',
            )
    return tuple(sorted(names))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
