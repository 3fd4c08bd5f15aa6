"""TFLiteConverter's own quantizer, on the float32 file. Runs in the TensorFlow worker.

TFLiteConverter converts to float32, calibrates that, and hands it to the quantizer that is called
here: with the same ranges its answers are the same, and a file takes milliseconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.engines import quantizer
from edgepack.engines.calibrated import calibrated
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.ranges import ranges
from edgepack.engines.refusals import first_line
from edgepack.engines.states import can_observe, lstms, observed
from edgepack.errors import QuantizationError

if TYPE_CHECKING:
    from edgepack.records.recipe import Recipe
    from edgepack.records.stages import QuantizeJob


def quantize(job: QuantizeJob) -> None:
    """Write an int8 file.

    Raises:
        QuantizationError: the engine has no such recipe, or refuses the model.
    """
    recipe = job.recipe
    _require_able(recipe)
    limits = ranges(job.statistics, recipe.clipping)
    try:
        content, kept = _prepared(job)
        made = _quantized(calibrated(content, limits, kept), recipe, kept)
    except QuantizationError:
        raise
    except Exception as error:
        what = f"TFLiteConverter's quantizer refuses it: {first_line(error)}"
        raise QuantizationError(what) from error
    Path(job.target).write_bytes(made)
    if recipe.kept and recipe.rest != "float32":
        quantizer.cast(job.target, recipe)


def _require_able(recipe: Recipe) -> None:
    """Refuse what this engine does not make.

    Raises:
        QuantizationError: the quantizer's file would not load, or not be what was asked for.
    """
    lacks = {
        f"mode {recipe.mode}": recipe.mode != "int8",
        "symmetric activations": recipe.symmetric,
        f"layers kept as {recipe.rest}": bool(recipe.kept) and recipe.rest == "int16x8",
    }
    for what, wanted in lacks.items():
        if wanted:
            raise QuantizationError(
                f"TFLiteConverter's quantizer makes no {what} of a converted model",
                hint='Set engine = "quantizer" under [quantize].',
            )


def _prepared(job: QuantizeJob) -> tuple[bytes, frozenset[str]]:
    """The float32 file, and the names of what stays float in it.

    That is what the recipe says, and LSTM kernels of whose states nobody knows the ranges.
    """
    content, kept = Path(job.float_model).read_bytes(), frozenset(job.recipe.kept)
    blind = lstms(content) - kept
    if not blind:
        return content, kept
    if job.samples and can_observe(content):
        return observed(content, job.samples), kept
    return content, kept | blind


def _quantized(content: bytes, recipe: Recipe, kept: frozenset[str]) -> bytes:
    tf = import_tensorflow()
    from tensorflow.lite.python.convert import mlir_quantize

    border: Any = tf.float32 if recipe.float_io else tf.int8
    made: bytes = mlir_quantize(
        content,
        disable_per_channel=recipe.granularity == "tensor",
        fully_quantize=not recipe.float_io and not kept,
        input_data_type=border,
        output_data_type=border,
        denylisted_nodes=set(kept) or None,
    )
    return made
