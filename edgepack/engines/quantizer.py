"""litert-quantizer on the float32 file. Runs in any worker; needs no TensorFlow."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.ranges import ranges
from edgepack.errors import QuantizationError
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgepack.records.recipe import Recipe
    from edgepack.records.stages import QuantizeJob
    from edgepack.tflite.graph import Graph

EVERY_TENSOR = ".*"
BITS = {"int8": 8, "int16x8": 16}


def quantize(job: QuantizeJob) -> None:
    """Write one quantized file of the float32 one.

    Raises:
        QuantizationError: the quantizer refuses the model.
    """
    recipe, subgraphs = job.recipe, _subgraphs(job.float_model)
    manager = _manager()
    MODES[recipe.mode](manager, EVERY_TENSOR, recipe)
    if recipe.static and recipe.float_io:
        _leave_borders(manager)
    if recipe.kept:
        _keep(manager, _scopes(subgraphs, recipe.kept), recipe)
    values = None
    if recipe.static:
        limits = ranges(job.statistics, recipe.clipping)
        values = _values(subgraphs, limits)
        _leave_unseen(manager, [one for one in subgraphs if not _seen(one, limits)], recipe)
    Path(job.target).write_bytes(_run(job.float_model, manager, values))


def cast(model: str, recipe: Recipe) -> None:
    """Give the kept operators of a file that is quantized already what the recipe says, in place.

    Raises:
        QuantizationError: the quantizer refuses the file.
    """
    manager = _manager()
    MODES[recipe.rest](manager, _scopes(_subgraphs(model), recipe.kept), recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is quantized in part is known
        made = _run(model, manager, None)
    Path(model).write_bytes(made)


def _subgraphs(model: str) -> tuple[Graph, ...]:
    return graphs(root(Path(model).read_bytes(), schema.IDENTIFIER))


def _manager() -> Any:
    from litert_quantizer.recipe_manager import RecipeManager

    return RecipeManager()


def _run(model: str, manager: Any, values: dict[str, dict[str, Any]] | None) -> bytes:
    from litert_quantizer import quantizer

    try:
        engine = quantizer.Quantizer(model, manager.get_quantization_recipe())
        result = engine.quantize(values, enable_progress_bar=False, enable_progress_report=False)
        return bytes(result.quantized_model)
    except Exception as error:
        what = f"litert-quantizer refuses it: {type(error).__name__}: {error}"
        raise QuantizationError(what) from error


def _values(
    subgraphs: Sequence[Graph], limits: Mapping[str, tuple[float, float]]
) -> dict[str, dict[str, Any]]:
    """Ranges in the library's form: extremes by tensor name, each of the tensor's rank."""
    return {
        tensor.name: {
            "min": np.full((1,) * len(tensor.shape or ()), limits[tensor.name][0], np.float32),
            "max": np.full((1,) * len(tensor.shape or ()), limits[tensor.name][1], np.float32),
        }
        for graph in subgraphs
        for tensor in graph.tensors
        if tensor.name in limits
    }


def _scopes(subgraphs: Sequence[Graph], kept: Sequence[str]) -> str:
    """A pattern of exactly the operators whose first outputs these are."""
    wanted = set(kept)
    found = {
        _scope(graph, node.outputs)
        for graph in subgraphs
        for node in graph.operators
        if node.outputs and graph.tensor(node.outputs[0]).name in wanted
    }
    return _exactly(found)


def _scope(graph: Graph, outputs: Sequence[int]) -> str:
    """What the library calls an operator: the names of its outputs, a semicolon after each."""
    return "".join(f"{graph.tensor(index).name};" for index in outputs if index >= 0)


def _exactly(scopes: set[str]) -> str:
    return f"^(?:{'|'.join(re.escape(scope) for scope in sorted(scopes))})$"


def _seen(graph: Graph, limits: Mapping[str, tuple[float, float]]) -> bool:
    return any(tensor.name in limits for tensor in graph.tensors)


def _leave_unseen(manager: Any, subgraphs: Sequence[Graph], recipe: Recipe) -> None:
    """Leave loops and branches float, or dynamic: calibration cannot look into them.

    The library has an operator for all inputs of a graph, and one for all its outputs.
    """
    from litert_quantizer.algorithm_manager import AlgorithmName

    found = set()
    for graph in subgraphs:
        for made in (graph.inputs, graph.outputs, *(node.outputs for node in graph.operators)):
            found.add(_scope(graph, made))
    if found:
        pattern = _exactly(found)
        manager.add_quantization_config(pattern, _every_op(), None, AlgorithmName.NO_QUANTIZE)
        if recipe.rest == "dynamic":
            _dynamic(manager, f"(?:{pattern})", recipe)


def _keep(manager: Any, scopes: str, recipe: Recipe) -> None:
    """Take operators out, then give them the precision of what is kept, where they can have it."""
    from litert_quantizer.algorithm_manager import AlgorithmName

    manager.add_quantization_config(scopes, _every_op(), None, AlgorithmName.NO_QUANTIZE)
    if recipe.rest != "float32":
        # Another pattern of the same operators: rules of one pattern replace each other.
        MODES[recipe.rest](manager, f"(?:{scopes})", recipe)


def _leave_borders(manager: Any) -> None:
    """Inputs and outputs of the file stay float32."""
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName

    for border in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        manager.add_quantization_config(EVERY_TENSOR, border, None, AlgorithmName.NO_QUANTIZE)


def _static(manager: Any, scopes: str, recipe: Recipe, bits: int) -> None:
    """int8 weights, integer activations; of 16 bits always around 0, as their kernels need."""
    from litert_quantizer import qtyping

    activations = qtyping.TensorQuantizationConfig(
        num_bits=bits, symmetric=recipe.symmetric or bits != BITS["int8"]
    )
    config = qtyping.OpQuantizationConfig(
        activation_tensor_config=activations,
        weight_tensor_config=_weights(recipe),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )
    manager.add_quantization_config(scopes, _every_op(), config)


def _int8(manager: Any, scopes: str, recipe: Recipe) -> None:
    _static(manager, scopes, recipe, BITS["int8"])


def _int16x8(manager: Any, scopes: str, recipe: Recipe) -> None:
    _static(manager, scopes, recipe, BITS["int16x8"])


def _dynamic(manager: Any, scopes: str, recipe: Recipe) -> None:
    """int8 weights; activations are quantized by the kernels as they run.

    Raises:
        QuantizationError: one scale a tensor is asked for. The runtime's convolutions then answer
            at chance: 7 % agreement on the keyword model, by XNNPACK and reference kernels alike.
    """
    if recipe.mode == "dynamic" and recipe.granularity == "tensor":
        raise QuantizationError("the runtime's dynamic kernels need one scale a channel")
    manager.add_dynamic_config(scopes, _every_op(), num_bits=8)


def _weight_only(manager: Any, scopes: str, recipe: Recipe) -> None:
    """int8 weights, expanded to float32 before they are used."""
    granularity = _weights(recipe).granularity
    manager.add_weight_only_config(scopes, _every_op(), num_bits=8, granularity=granularity)


def _float16(manager: Any, scopes: str, _: Recipe) -> None:
    """float16 weights, expanded to float32 when the file is loaded."""
    from litert_quantizer import qtyping
    from litert_quantizer.algorithm_manager import AlgorithmName

    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights,
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    manager.add_quantization_config(scopes, _every_op(), config, AlgorithmName.FLOAT_CASTING)


def _weights(recipe: Recipe) -> Any:
    """int8 weights around 0, one scale a channel or a tensor."""
    from litert_quantizer import qtyping

    granularity = qtyping.QuantGranularity
    return qtyping.TensorQuantizationConfig(
        num_bits=8,
        symmetric=True,
        granularity=granularity.TENSORWISE
        if recipe.granularity == "tensor"
        else granularity.CHANNELWISE,
    )


def _every_op() -> Any:
    from litert_quantizer.qtyping import TFLOperationName

    return TFLOperationName.ALL_SUPPORTED


MODES: dict[str, Callable[[Any, str, Recipe], None]] = {
    "float16": _float16,
    "dynamic": _dynamic,
    "weight-only": _weight_only,
    "int8": _int8,
    "int16x8": _int16x8,
}
