"""Arrays on disk, as the engines read samples and leave outputs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import RunError, ShapeError
from edgepack.records.dataset import ArrayRef, Outputs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import SplitData


def open_array(ref: ArrayRef) -> NDArray[Any]:
    """Memory-map an array of samples for reading."""
    array: NDArray[Any] = np.load(ref.path, mmap_mode="r", allow_pickle=False)
    return array


def first_batch(split: SplitData, batch: int) -> dict[str, NDArray[Any]]:
    """The first sample `batch` times, in memory, by input name."""
    return {n: open_array(ref)[:1].repeat(batch, axis=0) for n, ref in split.inputs.items()}


def rows_of(arrays: Mapping[str, NDArray[Any]], start: int, batch: int) -> dict[str, NDArray[Any]]:
    """`batch` samples from `start` by name, the last one repeated where the data ends."""
    if batch == 1:
        return {name: array[start : start + 1] for name, array in arrays.items()}
    return {
        name: array[np.minimum(np.arange(start, start + batch), len(array) - 1)]
        for name, array in arrays.items()
    }


def single_value(name: str, rows: NDArray[Any]) -> NDArray[Any]:
    """The one value, [], that a batch of samples [batch] has for an input without dimensions.

    Raises:
        ShapeError: the samples differ in it, and so cannot go in together.
    """
    if not np.array_equal(rows, rows[:1].repeat(len(rows), axis=0)):
        raise ShapeError(
            f"the input {name!r} takes one value for all of a batch of {len(rows)}, "
            "and the samples' differ",
            hint="Give every sample the same value, or export the model without a fixed batch.",
        )
    value: NDArray[Any] = np.asarray(rows[0])
    return value


def create_outputs(first: Mapping[str, NDArray[Any]], samples: int, directory: Path) -> Outputs:
    """Make a .npy file an output, with room for all samples, shaped like the first answer.

    Args:
        first: outputs of one invocation by name, [batch, ...].
        samples: rows that every file gets.
        directory: where the files go; their names there are numbers, as an output's may not do.

    Raises:
        OSError: the disk has no room for them. A memory map alone would find that out by SIGBUS.
    """
    refs = {}
    for number, (name, rows) in enumerate(first.items()):
        path, shape = directory / f"{number}.npy", (samples, *rows.shape[1:])
        np.lib.format.open_memmap(path, "w+", rows.dtype, shape).flush()  # type: ignore[no-untyped-call]
        _reserve(path)
        refs[name] = ArrayRef(path=str(path), dtype=rows.dtype.name, shape=shape)
    return Outputs(arrays=refs, samples=samples)


def _reserve(path: Path) -> None:
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def rows(answer: Mapping[str, NDArray[Any]], batch: int) -> dict[str, NDArray[Any]]:
    """One invocation's outputs as one row of numbers a sample, [batch, ...] by name.

    Where a single sample was fed, an output without a batch dimension is that sample's row.

    Args:
        answer: outputs by name.
        batch: samples that were fed.

    Raises:
        RunError: an output holds something else than numbers.
        ShapeError: an output has not one row a sample.
    """
    return {name: _rows(name, values, batch) for name, values in answer.items()}


def _rows(name: str, values: NDArray[Any], batch: int) -> NDArray[Any]:
    if values.dtype.kind not in "biufc":
        what = "strings" if values.dtype.kind in "SUO" else values.dtype.name
        raise RunError(
            f"the output {name!r} holds {what}, not numbers, and cannot be compared",
            hint="Export a signature without it.",
        )
    if values.shape[:1] == (batch,):
        return values
    if batch == 1:
        return values[np.newaxis]
    raise ShapeError(
        f"the output {name!r} has shape {list(values.shape)} for a batch of {batch}: "
        "its first dimension must count the samples",
        hint="Export a signature whose outputs keep the batch dimension.",
    )


def write_rows(
    answer: Mapping[str, NDArray[Any]], written: Mapping[str, NDArray[Any]], start: int, stop: int
) -> None:
    """Copy the answers to samples start to stop into the files; what follows them is padding.

    Raises:
        ShapeError: an output has another shape than the first answer had.
    """
    for name, rows in answer.items():
        shape = written[name].shape[1:]
        if rows.shape[1:] != shape:
            raise ShapeError(
                f"the shape of the output {name!r} depends on the sample: "
                f"{list(shape)} for the first, {list(rows.shape[1:])} for sample {start}",
                hint="Export a signature whose outputs have one shape, padded where need be.",
            )
        written[name][start:stop] = rows[: stop - start]


def open_outputs(outputs: Outputs) -> dict[str, NDArray[Any]]:
    """Memory-map the files of `create_outputs` for writing."""
    return {
        name: np.load(ref.path, mmap_mode="r+", allow_pickle=False)
        for name, ref in outputs.arrays.items()
    }
