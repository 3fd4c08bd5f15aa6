"""Samples that are arrays already: .npz, .npy, or what a user's function yields. In a worker."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.datasets.functions import write_samples
from edgepack.datasets.pool import Item, Pool, numbered_classes
from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import DatasetSpec
    from edgepack.records.tensors import Tensor

LABELS = ("label", "labels", "y")
DAMAGE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def list_rows(
    spec: DatasetSpec, root: Path, path: str, inputs: tuple[Tensor, ...], scratch: Path
) -> Pool:
    """One item a row of the arrays at `path`, which are unpacked to `scratch`.

    Raises:
        DatasetError: not readable, not those that the inputs need, or not of one length.
    """
    where = root / path
    scratch.mkdir(parents=True)
    if spec.kind == "function":
        files = write_samples(spec, root, scratch)
    else:
        files = _unpacked(where, scratch)
    labels = labels_of(spec, files, where)
    count = _count(spec, files, labels, inputs, where)
    values = labels.tolist() if labels is not None and labels.ndim == 1 else [None] * count
    width = len(str(count))
    items = tuple(Item(f"{row:0{width}}", values[row], row) for row in range(count))
    return Pool(str(where), items, _classes(spec, labels, where), files)


def _unpacked(where: Path, scratch: Path) -> dict[str, str]:
    """The .npy itself, whose array is called x, or the members of the .npz as files."""
    magic = np.lib.format.MAGIC_PREFIX
    try:
        with where.open("rb") as file:
            if file.read(len(magic)) == magic:
                return {"x": str(where)}
        with zipfile.ZipFile(where) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            return {
                name.removesuffix(".npy"): _extracted(archive, name, scratch / f"{number}.npy")
                for number, name in enumerate(names)
            }
    except DAMAGE as error:
        raise _unreadable(error, where) from error


def _extracted(archive: zipfile.ZipFile, name: str, target: Path) -> str:
    with archive.open(name) as member, target.open("wb") as file:
        shutil.copyfileobj(member, file)
    return str(target)


def _unreadable(error: Exception, where: Path) -> DatasetError:
    return DatasetError(
        f"not a readable .npy or .npz file: {error}",
        where=where,
        hint="Save it with numpy.savez, without object arrays; strings as dtype U or S.",
    )


def opened(files: Mapping[str, str], name: str, where: Path) -> NDArray[Any]:
    """One array, mapped into memory.

    Raises:
        DatasetError: damaged, or pickled objects.
    """
    try:
        array: NDArray[Any] = np.load(files[name], mmap_mode="r", allow_pickle=False)
    except DAMAGE as error:
        raise _unreadable(error, where) from error
    return array


def labels_of(spec: DatasetSpec, files: Mapping[str, str], where: Path) -> NDArray[Any] | None:
    """The labels among the arrays: the one the spec names, else label, labels or y."""
    if spec.task == "none":
        return None
    name = spec.labels or next((name for name in LABELS if name in files), "label")
    if name not in files:
        raise DatasetError(
            f"has no array {name!r} with labels",
            where=where,
            hint=f'Its arrays: {", ".join(files)}. Set labels, or task = "none".',
        )
    labels = opened(files, name, where)
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


def array_for(spec: DatasetSpec, files: Mapping[str, str], name: str, where: Path) -> NDArray[Any]:
    """The array that makes the input `name`: the one its spec names, its own name, or the only."""
    wanted = spec.preprocess(name).array or name
    labels = spec.labels or next((label for label in LABELS if label in files), "")
    others = [other for other in files if other != labels]
    if wanted not in files and len(others) == 1 and not spec.preprocess(name).array:
        wanted = others[0]
    if wanted not in files:
        raise DatasetError(
            f"has no array {wanted!r} for the input {name!r}",
            where=where,
            hint=f"Its arrays: {', '.join(files)}. Set inputs.{name}.array.",
        )
    return opened(files, wanted, where)


def _count(
    spec: DatasetSpec,
    files: Mapping[str, str],
    labels: NDArray[Any] | None,
    inputs: tuple[Tensor, ...],
    where: Path,
) -> int:
    """How many samples there are; arrays that nothing uses may have any length."""
    used = {tensor.name: array_for(spec, files, tensor.name, where) for tensor in inputs}
    if labels is not None:
        used["labels"] = labels
    if single := [name for name, array in used.items() if not array.ndim]:
        raise DatasetError(f"the array for {single[0]!r} is a single number", where=where)
    counts = {name: len(array) for name, array in used.items()}
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
    return spec.classes or numbered_classes(high, where)
