"""Arrays on disk, as the engines read samples and leave outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
    """
    refs = {}
    for number, (name, rows) in enumerate(first.items()):
        path, shape = directory / f"{number}.npy", (samples, *rows.shape[1:])
        np.lib.format.open_memmap(path, "w+", rows.dtype, shape).flush()  # type: ignore[no-untyped-call]
        refs[name] = ArrayRef(path=str(path), dtype=rows.dtype.name, shape=shape)
    return Outputs(arrays=refs, samples=samples)


def open_outputs(outputs: Outputs) -> dict[str, NDArray[Any]]:
    """Memory-map the files of `create_outputs` for writing."""
    return {
        name: np.load(ref.path, mmap_mode="r+", allow_pickle=False)
        for name, ref in outputs.arrays.items()
    }
