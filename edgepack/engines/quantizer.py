"""litert-quantizer on the float32 file. Runs in any worker; needs no TensorFlow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines import workable
from edgepack.engines.mending import mended
from edgepack.engines.ranges import ranges
from edgepack.engines.rules import rules, rules_of_rest
from edgepack.errors import QuantizationError
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edgepack.records.recipe import Recipe
    from edgepack.records.stages import QuantizeJob
    from edgepack.tflite.graph import Graph

    Values = dict[str, dict[str, Any]]


def quantize(job: QuantizeJob) -> tuple[str, ...]:
    """Write one quantized file of the float32 one.

    Returns:
        What was done to ranges that calibration gave, or to scales, for the file to work.

    Raises:
        QuantizationError: the quantizer refuses the model.
    """
    recipe, content = job.recipe, Path(job.float_model).read_bytes()
    subgraphs = graphs(root(content, schema.IDENTIFIER))
    values: Values | None = None
    notes: tuple[str, ...] = ()
    unseen: tuple[Graph, ...] = ()
    if recipe.static:
        limits = ranges(job.statistics, recipe.clipping, workable.scheme(recipe.mode, recipe))
        values, notes = _values(content, subgraphs, limits, recipe)
        unseen = tuple(one for one in subgraphs if not _seen(one, limits))
    made = _run(job.float_model, rules(recipe, subgraphs, unseen), values)
    Path(job.target).write_bytes(mended(made))
    return notes


def cast(model: str, recipe: Recipe) -> None:
    """Give the kept operators of a file that is quantized already what the recipe says, in place.

    Raises:
        QuantizationError: the quantizer refuses the file.
    """
    subgraphs = graphs(root(Path(model).read_bytes(), schema.IDENTIFIER))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is quantized in part is known
        made = _run(model, rules_of_rest(recipe, subgraphs), None)
    Path(model).write_bytes(mended(made))


def _run(model: str, wanted: Any, values: Values | None) -> bytes:
    from litert_quantizer import quantizer

    try:
        engine = quantizer.Quantizer(model, wanted)
        result = engine.quantize(values, enable_progress_bar=False, enable_progress_report=False)
        return bytes(result.quantized_model)
    except Exception as error:
        what = f"litert-quantizer refuses it: {type(error).__name__}: {error}"
        raise QuantizationError(what) from error


def _values(
    content: bytes,
    subgraphs: Sequence[Graph],
    limits: Mapping[str, tuple[float, float]],
    recipe: Recipe,
) -> tuple[Values, tuple[str, ...]]:
    """Ranges in the library's form, extremes by tensor name, each of the tensor's rank; notes.

    Of constants the library takes the extremes itself, where none are given.
    """
    schemes = workable.schemes(subgraphs, recipe)
    found = workable.activations(content, subgraphs, limits, schemes)
    layers = workable.layers(subgraphs, schemes)
    channelwise = recipe.granularity == "channel"
    enlarged = workable.weights(content, subgraphs, layers, found, channelwise=channelwise)
    values: Values = {name: {"min": -bound, "max": bound} for name, bound in enlarged.items()}
    for tensor in (one for graph in subgraphs for one in graph.tensors if one.name in found):
        shape, (low, high) = (1,) * len(tensor.shape or ()), found[tensor.name]
        values[tensor.name] = {
            "min": np.full(shape, low, np.float32),
            "max": np.full(shape, high, np.float32),
        }
    return values, _notes(limits, found, enlarged)


def _notes(
    limits: Mapping[str, tuple[float, float]],
    found: Mapping[str, tuple[float, float]],
    enlarged: Iterable[str],
) -> tuple[str, ...]:
    narrow = (name for name in limits if found[name] != limits[name])
    return (
        *(f"{name}: was 0 or nearly so in calibration, its range is wider" for name in narrow),
        *(f"{name}: scales are larger than the weights, for biases to fit" for name in enlarged),
    )


def _seen(graph: Graph, limits: Mapping[str, tuple[float, float]]) -> bool:
    return any(tensor.name in limits for tensor in graph.tensors)
