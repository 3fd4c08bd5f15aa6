"""Decodes a shard of a split into the split's arrays. Runs in a worker."""

from __future__ import annotations

import hashlib
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.datasets import arrays as stored
from edgepack.datasets import strings
from edgepack.datasets.decoders import decoder_of
from edgepack.datasets.preprocess import Prepared, preprocess_sample
from edgepack.datasets.unreadable import UnreadableError
from edgepack.errors import DatasetError
from edgepack.records.dataset import ArrayRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from edgepack.datasets.pool import Item
    from edgepack.records.dataset import DatasetSpec
    from edgepack.records.tensors import Tensor


@dataclass(frozen=True)
class Source:
    """Where one split's samples come from, and what they must become.

    Attributes:
        base: the folder that the samples' names are relative to, or their file.
        files: of arrays, the .npy file of each by the array's name.
    """

    spec: DatasetSpec
    base: str
    files: dict[str, str]
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Row:
    """What was seen of one sample.

    Attributes:
        digest: SHA-256 over its preprocessed inputs, empty where it cannot be read.
        unreadable: why not, else empty.
        low, high: range over its inputs that are numbers.
        finite, constant: whether all values are finite, or all the same.
        clipped: values that the input's type could not hold.
    """

    digest: str = ""
    unreadable: str = ""
    low: float = 0.0
    high: float = 0.0
    finite: bool = True
    constant: bool = False
    clipped: int = 0


def create(
    source: Source, items: tuple[Item, ...], directory: Path, split: str
) -> dict[str, ArrayRef]:
    """Make the arrays of a split, shaped like its first readable sample.

    Raises:
        DatasetError: no sample can be read, or the first does not fit the model.
    """
    decoder = decoder_of(source)
    reason = ""
    for item in items:
        try:
            with _quiet():
                first = _prepared(source, decoder, item)
        except UnreadableError as error:
            reason = reason or f"{item.name}: {error}"
            continue
        widths = _widths(source, decoder, items)
        return {
            name: _new_array(
                prepared, len(items), directory / f"{split}-{number}.npy", widths.get(name, 0)
            )
            for number, (name, prepared) in enumerate(first.items())
        }
    raise DatasetError(f"no sample of {split} can be read; the first: {reason}", where=source.base)


def _widths(
    source: Source, decoder: Callable[[Item, Tensor], NDArray[Any]], items: tuple[Item, ...]
) -> dict[str, int]:
    """Of each input that takes strings, the bytes of the longest one among the items."""
    texts = [tensor for tensor in source.inputs if tensor.dtype == "string"]
    widths = dict.fromkeys((tensor.name for tensor in texts), 1)
    for item in items if texts else ():
        for name, one in _prepared(source, decoder, item).items():
            if name in widths:
                widths[name] = max(widths[name], strings.width_of(one.array))
    return widths


def _new_array(prepared: Prepared, rows: int, path: Path, width: int) -> ArrayRef:
    """Room for all rows; strings, whose `width` is not 0, are bytes of that width."""
    shape, dtype = (rows, *prepared.array.shape), prepared.array.dtype
    stored_as = np.dtype((np.bytes_, width)) if width else dtype
    np.lib.format.open_memmap(path, "w+", stored_as, shape).flush()  # type: ignore[no-untyped-call]
    return ArrayRef(path=str(path), dtype="string" if width else dtype.name, shape=shape)


def fill(
    source: Source, items: tuple[Item, ...], arrays: dict[str, ArrayRef], start: int
) -> tuple[Row, ...]:
    """Decode items into rows `start` and following; what was seen of each.

    Raises:
        DatasetError: a sample does not fit the model, or not the first sample's shape.
    """
    decoder = decoder_of(source)
    maps = {name: np.load(ref.path, mmap_mode="r+") for name, ref in arrays.items()}
    with _quiet():
        return tuple(_fill_rows(source, decoder, items, maps, start))


@contextmanager
def _quiet() -> Iterator[None]:
    """Pillow, SciPy and NumPy warn of oddities that the lints tell of, or that do not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _fill_rows(
    source: Source,
    decoder: Callable[[Item, Tensor], NDArray[Any]],
    items: tuple[Item, ...],
    maps: dict[str, NDArray[Any]],
    start: int,
) -> Iterator[Row]:
    for row, item in enumerate(items, start):
        try:
            prepared = _prepared(source, decoder, item)
        except UnreadableError as error:
            yield Row(unreadable=str(error))
            continue
        for name, one in prepared.items():
            if one.array.shape != maps[name].shape[1:]:
                raise DatasetError(
                    f"has shape {list(one.array.shape)}, others have {list(maps[name].shape[1:])}",
                    where=Path(source.base) / item.name,
                    hint=f"Set inputs.{name}.resize (or audio.duration_ms) in the spec.",
                )
            maps[name][row] = one.array
        yield _seen(prepared)


def _prepared(
    source: Source, decoder: Callable[[Item, Tensor], NDArray[Any]], item: Item
) -> dict[str, Prepared]:
    try:
        return {
            tensor.name: preprocess_sample(
                decoder(item, tensor), source.spec.preprocess(tensor.name), tensor
            )
            for tensor in source.inputs
        }
    except DatasetError as error:
        where = error.where or str(Path(source.base) / item.name)
        raise DatasetError(error.message, where=where, hint=error.hint) from error


def _seen(prepared: dict[str, Prepared]) -> Row:
    digest = hashlib.sha256()
    values = [one.array for one in prepared.values()]
    for array in values:
        text = array.dtype.kind == "S"
        digest.update(strings.content(array) if text else np.ascontiguousarray(array).data)
    filled = [array for array in values if array.size and array.dtype.kind != "S"]
    lows, highs = [float(a.min()) for a in filled], [float(a.max()) for a in filled]
    return Row(
        digest=digest.hexdigest(),
        low=min(lows, default=0.0),
        high=max(highs, default=0.0),
        finite=all(map(isfinite, (*lows, *highs))),  # NaN and infinity reach minimum or maximum
        constant=bool(filled) and all(a.size > 1 for a in filled) and lows == highs,
        clipped=sum(one.clipped for one in prepared.values()),
    )


def compact(arrays: dict[str, ArrayRef], keep: tuple[int, ...]) -> dict[str, ArrayRef]:
    """The arrays with only the rows to keep, in their order."""
    kept = {}
    for name, ref in arrays.items():
        whole = np.load(ref.path, mmap_mode="r")
        rows = whole[list(keep)]
        np.save(ref.path, rows)
        kept[name] = ref.model_copy(update={"shape": rows.shape})
    return kept


def write_labels(
    source: Source, items: tuple[Item, ...], directory: Path, split: str
) -> ArrayRef | None:
    """The labels of a split as an array: int64 indices, float32 targets, or the rows stored."""
    if source.spec.task == "none" or not items:
        return None
    if items[0].label is not None:
        dtype = np.float32 if source.spec.task == "regression" else np.int64
        labels = np.asarray([item.label for item in items], dtype)
    else:
        rows = stored.labels_of(source.spec, source.files, Path(source.base))
        assert rows is not None  # only task none has no labels
        labels = np.asarray(rows)[[item.row for item in items]]
    path = directory / f"{split}-labels.npy"
    np.save(path, labels)
    return ArrayRef(path=str(path), dtype=labels.dtype.name, shape=labels.shape)
