"""Arrays on disk, as the engines read samples and leave outputs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import ModelError
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


def require_rows(answer: Mapping[str, NDArray[Any]], batch: int) -> None:
    """Hold one invocation's outputs to one row of numbers a sample.

    Args:
        answer: outputs by name.
        batch: samples that were fed.

    Raises:
        ModelError: an output holds something else.
    """
    for name, rows in answer.items():
        if rows.dtype.kind not in "biufc":
            raise ModelError(
                f"the output {name!r} holds {rows.dtype.name}, not numbers",
                hint="Export a signature without it.",
            )
        if rows.shape[:1] != (batch,):
            raise ModelError(
                f"the output {name!r} has shape {list(rows.shape)} for a batch of {batch}: "
                "its first dimension must count the samples",
                hint="Export a signature whose outputs keep the batch dimension.",
            )


def write_rows(
    answer: Mapping[str, NDArray[Any]], written: Mapping[str, NDArray[Any]], start: int, stop: int
) -> None:
    """Copy the answers to samples start to stop into the files; what follows them is padding.

    Raises:
        ModelError: an output has another shape than the first answer had.
    """
    for name, rows in answer.items():
        shape = written[name].shape[1:]
        if rows.shape[1:] != shape:
            raise ModelError(
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
