"""How each kind of dataset gets the raw array of a sample for an input. Runs in a worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.datasets import arrays as stored
from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgepack.datasets.decode import Source
    from edgepack.datasets.pool import Cell, Item
    from edgepack.records.tensors import Tensor


def decoder_of(source: Source) -> Callable[[Item, Tensor], NDArray[Any]]:
    """What gets the raw array of an item for an input.

    Raises:
        DatasetError: the spec does not say enough for its kind.
    """
    spec, base = source.spec, Path(source.base)
    if spec.kind in {"arrays", "function"}:
        files = source.files
        by_name = {t.name: stored.array_for(spec, files, t.name, base) for t in source.inputs}
        return lambda item, tensor: np.asarray(by_name[tensor.name][item.row])
    if spec.kind == "table":
        return _table_decoder(source)
    if spec.kind == "audio":
        return _audio_decoder(source)
    from edgepack.datasets.images import decode_image

    return lambda item, tensor: decode_image(base / item.name, spec.preprocess(tensor.name))


def _audio_decoder(source: Source) -> Callable[[Item, Tensor], NDArray[Any]]:
    from edgepack.datasets.audio import decode_audio

    windows = {}
    for tensor in source.inputs:
        window = source.spec.preprocess(tensor.name).audio
        if window is None:
            raise DatasetError(
                f"kind audio needs inputs.{tensor.name}.audio with sample_rate and duration_ms",
                where=source.base,
            )
        windows[tensor.name] = window
    base = Path(source.base)
    return lambda item, tensor: decode_audio(base / item.name, windows[tensor.name])


def _table_decoder(source: Source) -> Callable[[Item, Tensor], NDArray[Any]]:
    """Cells are listed input after input, in the order of the spec's inputs."""
    spans, start = {}, 0
    for name, preprocess in source.spec.inputs.items():
        spans[name] = slice(start, start := start + len(preprocess.columns))
    for tensor in source.inputs:
        if not source.spec.preprocess(tensor.name).columns:
            raise DatasetError(f"kind table needs inputs.{tensor.name}.columns", where=source.base)
    return lambda item, tensor: _cells(
        item.cells[spans.get(tensor.name, spans.get("*", slice(0)))], tensor
    )


def _cells(cells: tuple[Cell, ...], tensor: Tensor) -> NDArray[Any]:
    """Cells as an array: integers such as identifiers stay exact, which floats would round."""
    if tensor.dtype == "string":
        return np.asarray(cells, object)
    if all(isinstance(cell, int) for cell in cells):
        whole = np.asarray(cells)
        if whole.dtype.kind in "biu":  # else beyond 64 bits
            return whole
    return np.asarray(cells, np.float64)
