"""TensorFlow: one float32 conversion, and the source model's own answers. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.engines.arrays import (
    create_outputs,
    open_array,
    open_outputs,
    require_rows,
    write_rows,
)
from edgepack.engines.conversion import convert_program
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.loading import batches, load
from edgepack.records.stages import Conversion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import SourceModel


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
    )


def predict(source: SourceModel, split: SplitData, directory: Path) -> Outputs:
    """Run the source model over a split and leave its outputs in `directory`.

    Raises:
        ModelError: TensorFlow cannot load it, or an output has not one row a sample.
    """
    model = load(source)
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    outputs: Outputs | None = None
    written: dict[str, NDArray[Any]] = {}
    size = model.batch_of(arrays)
    for start, batch in batches(arrays, split.samples, size):
        answer = model(batch)
        require_rows(answer, size)
        if outputs is None:
            outputs = create_outputs(answer, split.samples, directory)
            written = open_outputs(outputs)
        write_rows(answer, written, start, min(start + size, split.samples))
    assert outputs is not None  # a split of no samples never gets here
    return outputs
