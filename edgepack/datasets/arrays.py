"""Samples that are arrays already: .npz, .npy, or what a user's function yields. In a worker."""

from __future__ import annotations

import sys
import zipfile
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.datasets.pool import Item, Pool
from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import DatasetSpec

LABELS = ("label", "labels", "y")
Arrays = dict[str, "NDArray[Any]"]


def list_rows(spec: DatasetSpec, root: Path, path: str) -> Pool:
    """One item a row of the arrays at `path`."""
    arrays = load(spec, root, path)
    labels = labels_of(spec, arrays, root / path)
    count = _count(arrays, root / path)
    scalar = labels is not None and labels.ndim == 1
    values = labels.tolist() if labels is not None and scalar else [None] * count
    width = len(str(count))
    items = tuple(Item(f"{row:0{width}}", values[row], row) for row in range(count))
    return Pool(str(root / path), items, _classes(spec, labels, root / path))


def load(spec: DatasetSpec, root: Path, path: str) -> Arrays:
    """Every array by its name; a .npy has one, called x.

    Raises:
        DatasetError: not readable, or pickled objects.
    """
    if spec.kind == "function":
        return _called(spec, root)
    where = root / path
    try:
        return _opened(where)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(
            f"not a readable .npy or .npz file: {error}",
            where=where,
            hint="Save it with numpy.savez, without object arrays.",
        ) from error


def _opened(where: Path) -> Arrays:
    magic = np.lib.format.MAGIC_PREFIX
    with where.open("rb") as file:
        if file.read(len(magic)) == magic:
            return {"x": np.load(where, mmap_mode="r", allow_pickle=False)}
        file.seek(0)
        return dict(np.load(file, allow_pickle=False).items())


def labels_of(spec: DatasetSpec, arrays: Arrays, where: Path) -> NDArray[Any] | None:
    """The labels among the arrays: the one the spec names, else label, labels or y."""
    if spec.task == "none":
        return None
    name = spec.labels or next((name for name in LABELS if name in arrays), "label")
    if name not in arrays:
        raise DatasetError(
            f"has no array {name!r} with labels",
            where=where,
            hint=f'Its arrays: {", ".join(arrays)}. Set labels, or task = "none".',
        )
    labels = arrays[name]
    if labels.dtype.kind not in "biuf":
        raise DatasetError(f"{name!r} holds {labels.dtype.name}, not numbers", where=where)
    if not np.isfinite(labels).all():
        raise DatasetError(f"{name!r} holds NaN or infinity", where=where)
    return _indices(labels, name, where) if spec.task == "classification" else labels


def _indices(labels: NDArray[Any], name: str, where: Path) -> NDArray[Any]:
    """Class indices, [n]; Keras's own datasets have them as [n, 1]."""
    if labels.shape[1:] == (1,):
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DatasetError(
            f"{name!r} has shape {list(labels.shape)}, class indices have one dimension",
            where=where,
            hint="Of one-hot labels, store the argmax.",
        )
    if np.issubdtype(labels.dtype, np.integer):
        return labels
    if not np.array_equal(labels, np.rint(labels)):
        raise DatasetError(f"{name!r} holds {labels.dtype.name}, not class indices", where=where)
    return labels.astype(np.int64)


def array_for(spec: DatasetSpec, arrays: Arrays, name: str, where: Path) -> NDArray[Any]:
    """The array that makes the input `name`: the one its spec names, its own name, or the only."""
    wanted = spec.preprocess(name).array or name
    labels = spec.labels or next((label for label in LABELS if label in arrays), "")
    others = [other for other in arrays if other != labels]
    if wanted not in arrays and len(others) == 1 and not spec.preprocess(name).array:
        wanted = others[0]
    if wanted not in arrays:
        raise DatasetError(
            f"has no array {wanted!r} for the input {name!r}",
            where=where,
            hint=f"Its arrays: {', '.join(arrays)}. Set inputs.{name}.array.",
        )
    return arrays[wanted]


def require_same(spec: DatasetSpec, items: Iterable[Item], arrays: Arrays, where: Path) -> None:
    """A function is called once a worker, and must yield the same samples each time.

    Raises:
        DatasetError: the labels are not those that were listed.
    """
    labels = labels_of(spec, arrays, where)
    if labels is None or labels.ndim != 1:
        return
    if any(item.row >= len(labels) or labels[item.row] != item.label for item in items):
        raise DatasetError(
            f"{spec.function} yields other samples each time it is called",
            where=where,
            hint="Seed what it shuffles or draws.",
        )


def _count(arrays: Arrays, where: Path) -> int:
    counts = {name: len(array) for name, array in arrays.items() if array.ndim}
    if len(set(counts.values())) != 1:
        raise DatasetError(f"its arrays differ in their first dimension: {counts}", where=where)
    return next(iter(counts.values()))


def _classes(spec: DatasetSpec, labels: NDArray[Any] | None, where: Path) -> tuple[str, ...]:
    if spec.task != "classification" or labels is None or not labels.size:
        return spec.classes
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (spec.classes and high >= len(spec.classes)):
        known = f", classes from 0 to {len(spec.classes) - 1}" if spec.classes else ""
        raise DatasetError(
            f"labels run from {low} to {high}{known}",
            where=where,
            hint="Labels are indices into classes.",
        )
    return spec.classes or tuple(str(number) for number in range(high + 1))


def _called(spec: DatasetSpec, root: Path) -> Arrays:
    module, _, name = spec.function.partition(":")
    sys.path.insert(0, str(root))
    try:
        samples = list(getattr(import_module(module), name)())
    except Exception as error:
        raise DatasetError(
            f"{spec.function} failed: {type(error).__name__}: {error}", where=root
        ) from error
    finally:
        sys.path.remove(str(root))
    return _stacked(samples, spec.function)


def _stacked(samples: Iterable[Any], function: str) -> Arrays:
    """What a function yielded: arrays, dicts of arrays, or (either, label) pairs."""
    columns: dict[str, list[Any]] = {}
    for sample in samples:
        inputs, label = sample if isinstance(sample, tuple) else (sample, None)
        named = inputs if isinstance(inputs, dict) else {"x": inputs}
        for key, value in (*named.items(), *([("label", label)] if label is not None else ())):
            columns.setdefault(key, []).append(np.asarray(value))
    if not columns:
        raise DatasetError(f"{function} yielded no sample")
    try:
        return {name: np.stack(values) for name, values in columns.items()}
    except ValueError as error:
        raise DatasetError(f"{function} yielded samples of different shapes: {error}") from error
