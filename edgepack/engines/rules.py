"""What litert-quantizer is told to do with each operator: rules by scope, of which the last counts.

A scope is what the library calls an operator: the names of its outputs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgepack.engines.workable import scheme
from edgepack.errors import QuantizationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgepack.records.recipe import Recipe
    from edgepack.tflite.graph import Graph

EVERY_TENSOR = ".*"
EVERY_BORDER = "(?:.*)"  # another pattern: of one pattern's rules, the place of the first counts
LONGEST_SCOPE = 10_000  # characters; the library cuts what is longer


def rules(recipe: Recipe, subgraphs: Sequence[Graph], unseen: Sequence[Graph] = ()) -> Any:
    """The library's rules for a whole file.

    Args:
        recipe: what to make.
        subgraphs: of the float32 file.
        unseen: those that calibration has not seen.
    """
    manager = _manager()
    MODES[recipe.mode](manager, EVERY_TENSOR, recipe)
    if recipe.kept:
        _keep(manager, _scopes(subgraphs, recipe.kept), recipe)
    if recipe.static:
        _set_borders(manager, recipe)
        _leave_unseen(manager, unseen, recipe)
    return manager.get_quantization_recipe()


def rules_of_rest(recipe: Recipe, subgraphs: Sequence[Graph]) -> Any:
    """The library's rules for the operators that are kept, and for no other."""
    manager = _manager()
    MODES[recipe.rest](manager, _scopes(subgraphs, recipe.kept), recipe)
    return manager.get_quantization_recipe()


def _manager() -> Any:
    from litert_quantizer.recipe_manager import RecipeManager

    return RecipeManager()


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
    names = (graph.tensor(index).name for index in outputs if index >= 0)
    return "".join(f"{name};" for name in names if name)[:LONGEST_SCOPE]


def _exactly(scopes: set[str]) -> str:
    return f"^(?:{'|'.join(re.escape(scope) for scope in sorted(scopes))})$"


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


def _set_borders(manager: Any, recipe: Recipe) -> None:
    """Give inputs and outputs of the file the type that the recipe says, whatever is kept.

    An output has the scope of the operator that makes it, so that the rules above reach it, too.
    """
    from litert_quantizer.algorithm_manager import AlgorithmName
    from litert_quantizer.qtyping import TFLOperationName

    config, algorithm = None, AlgorithmName.NO_QUANTIZE
    if not recipe.float_io:
        config, algorithm = _integers(recipe, recipe.mode), AlgorithmName.MIN_MAX_UNIFORM_QUANT
    for border in (TFLOperationName.INPUT, TFLOperationName.OUTPUT):
        manager.add_quantization_config(EVERY_BORDER, border, config, algorithm)


def _integers(recipe: Recipe, mode: str) -> Any:
    """int8 weights, integer activations."""
    from litert_quantizer import qtyping

    chosen = scheme(mode, recipe)
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=chosen.bits, symmetric=chosen.symmetric
        ),
        weight_tensor_config=_weights(recipe),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        explicit_dequantize=False,
    )


def _int8(manager: Any, scopes: str, recipe: Recipe) -> None:
    manager.add_quantization_config(scopes, _every_op(), _integers(recipe, "int8"))


def _int16x8(manager: Any, scopes: str, recipe: Recipe) -> None:
    manager.add_quantization_config(scopes, _every_op(), _integers(recipe, "int16x8"))


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
