"""TensorFlow: one float32 conversion, and the source model's own answers. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import (
    create_outputs,
    open_array,
    open_outputs,
    rows,
    write_rows,
)
from edgepack.engines.conversion import convert_program
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.loading import batches, load
from edgepack.errors import ModelError
from edgepack.records.stages import Conversion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.engines.loading import LoadedModel
    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import SourceModel

    Answer = tuple[int, dict[str, NDArray[Any]]]

ALIKE = 1e-3  # relative: batched arithmetic may round otherwise


def convert(
    source: SourceModel, target: Path, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Conversion:
    """Convert the signatures that are built to one float32 .tflite.

    Args:
        source: the prepared copy of the model.
        target: where the file goes.
        shapes: dimensions to pin by input name, the batch first; -1 for one that stays open.

    Raises:
        ModelError: TensorFlow cannot load the model, or its converter refuses it.
    """
    tf = import_tensorflow()
    loaded = load(source)
    made = convert_program(loaded.program, source, shapes or {})
    target.write_bytes(made.content)
    return Conversion(
        engine="tf.lite.TFLiteConverter",
        tensorflow_version=tf.version.VERSION,
        tensorflow_git_version=tf.version.GIT_VERSION,
        repairs=(*loaded.repairs, *made.repairs),
        select_ops=made.select_ops,
        prepared=made.prepared,
        shapes=dict(shapes or {}),
    )


def prepare_inputs(
    source: SourceModel, conversion: Conversion, split: SplitData, directory: Path
) -> Outputs:
    """Compute what an app has to prepare for the file, for every sample of a split.

    Raises:
        ModelError: the source fails on a sample.
    """
    tensors = {one.name: one.tensor for one in conversion.prepared}
    model = load(source)
    prepare = model.program.preparation(conversion.shapes, tensors)
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    answers = ((row, model.run(prepare, batch)) for row, batch in batches(arrays, split.samples, 1))
    return _written(answers, split.samples, directory, 1)


def predict(source: SourceModel, split: SplitData, directory: Path) -> Outputs:
    """Run the source model over a split and leave its outputs in `directory`.

    Raises:
        ModelError: TensorFlow cannot load it, or an output has not one row a sample.
    """
    model = load(source)
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    size = _batch(model, arrays, split.samples)
    answers = ((start, model(batch)) for start, batch in batches(arrays, split.samples, size))
    return _written(answers, split.samples, directory, size)


def _batch(model: LoadedModel, arrays: Mapping[str, NDArray[Any]], samples: int) -> int:
    """How many samples to ask at a time: one, where an answer depends on the others'."""
    size = model.batch_of(arrays)
    if size == 1 or model.has_fixed_batch:
        return size
    _, several = next(batches(arrays, samples, size))
    alone = rows(model({name: array[:1] for name, array in several.items()}), 1)
    try:
        together = rows(model(several), size)
    except ModelError:  # made for one sample, whatever its signature says
        return 1
    alike = (
        together[name].shape[1:] == row.shape[1:]
        and np.allclose(together[name][:1], row, rtol=ALIKE, atol=ALIKE * _largest(row))
        for name, row in alone.items()
        if row.dtype.kind in "fc"
    )
    return size if all(alike) else 1


def _largest(row: NDArray[Any]) -> float:
    return float(np.abs(row).max(initial=0.0))


def _written(answers: Iterator[Answer], samples: int, directory: Path, size: int) -> Outputs:
    """Answers to `size` samples at a time, on disk as they come."""
    outputs: Outputs | None = None
    written: dict[str, NDArray[Any]] = {}
    for start, values in answers:
        answer = rows(values, size)
        if outputs is None:
            outputs = create_outputs(answer, samples, directory)
            written = open_outputs(outputs)
        write_rows(answer, written, start, min(start + size, samples))
    assert outputs is not None  # a split of no samples never gets here
    return outputs
