"""Ranges that the kernels' integers can compute with, where calibration alone gives none.

Dead layers and channels are the reason. An output that was always 0 has no range; the library then
takes the smallest scale it knows, in which a kernel's bounds, such as the 6 of a RELU6, overflow,
and the file does not load. And a bias is stored in 32 bits in steps of its input's times its
weights' scale: beside weights of nearly nothing, as batch normalization leaves them in a channel
that is constant, it saturates, and the channel answers nearly 0 instead. TensorFlow's quantizer
enlarges the weights' scale then, until the bias takes half of its integers; so does this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.ranges import Scheme

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from edgepack.engines.ranges import Range
    from edgepack.records.recipe import Recipe
    from edgepack.tflite.graph import Graph, GraphOperator

BITS = {"int8": 8, "int16x8": 16}  # of activations, by mode
FLOAT32 = 0  # TensorType.FLOAT32
UNKNOWN = (0.0, 1.0)  # of a tensor that was always 0
LARGEST = 2**30  # of biases and bounds: half of 32 bits, as an input's scale is known but roughly
BOUNDS = {2: 1.0, 3: 6.0}  # of ActivationFunctionType: RELU_N1_TO_1, RELU6
LARGEST_WEIGHT = 127


def scheme(mode: str, recipe: Recipe) -> Scheme:
    """Of a static mode; 16 bits are always around 0, as their kernels need."""
    return Scheme(BITS[mode], recipe.symmetric or mode != "int8")


def schemes(subgraphs: Sequence[Graph], recipe: Recipe) -> dict[str, Scheme]:
    """Of the operators whose activations become integers, by their first outputs' names."""
    kept = set(recipe.kept)
    modes = {
        name: recipe.rest if name in kept else recipe.mode
        for graph in subgraphs
        for node in graph.operators
        if node.outputs
        for name in (graph.tensor(node.outputs[0]).name,)
    }
    return {name: scheme(mode, recipe) for name, mode in modes.items() if mode in BITS}


@dataclass(frozen=True)
class Operands:
    """Where a kernel has its input, weights and bias, and the weights' dimension of channels."""

    input: int
    weights: int
    bias: int
    channels: int


KERNELS = {
    "CONV_2D": Operands(0, 1, 2, 0),
    "DEPTHWISE_CONV_2D": Operands(0, 1, 2, 3),
    "FULLY_CONNECTED": Operands(0, 1, 2, 0),
    "TRANSPOSE_CONV": Operands(2, 1, 3, 0),
}


@dataclass(frozen=True)
class Layer:
    """A kernel with weights whose activations are integers: its place, and its tensors by index."""

    graph: int
    scheme: Scheme
    source: int
    weights: int
    bias: int
    channels: int


def layers(subgraphs: Sequence[Graph], schemes: Mapping[str, Scheme]) -> tuple[Layer, ...]:
    """The kernels with weights, of the operators that have a scheme.

    Args:
        subgraphs: of the float32 file.
        schemes: by the name of an operator's first output.
    """
    return tuple(
        layer
        for number, graph in enumerate(subgraphs)
        for node in graph.operators
        if node.name in KERNELS and node.outputs
        for scheme in (schemes.get(graph.tensor(node.outputs[0]).name),)
        if scheme
        for layer in _layer(number, node, scheme)
    )


def _layer(number: int, node: GraphOperator, scheme: Scheme) -> Iterator[Layer]:
    place = KERNELS[node.name]
    if len(node.inputs) <= max(place.input, place.weights):
        return
    yield Layer(
        graph=number,
        scheme=scheme,
        source=node.inputs[place.input],
        weights=node.inputs[place.weights],
        bias=node.inputs[place.bias] if len(node.inputs) > place.bias else -1,
        channels=place.channels,
    )


def activations(
    content: bytes,
    subgraphs: Sequence[Graph],
    limits: Mapping[str, Range],
    schemes: Mapping[str, Scheme],
) -> dict[str, Range]:
    """Ranges of activations by tensor name, none of them too narrow.

    Args:
        content: the float32 file.
        subgraphs: its graphs.
        limits: as calibration found them; each holds 0.
        schemes: by the name of an operator's first output.
    """
    made = {name: one if any(one) else UNKNOWN for name, one in limits.items()}
    for name, bound in _bounds(content, subgraphs):
        if name in schemes and name in made:
            low, high = made[name]
            factor = max(1.0, bound / LARGEST / schemes[name].step(made[name]))
            made[name] = low * factor, high * factor
    return made


def _bounds(content: bytes, subgraphs: Sequence[Graph]) -> Iterator[tuple[str, float]]:
    """What outputs are held within by a function that is part of their operator."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    kinds = {number: name for name, number in vars(schema.BuiltinOptions).items()}
    for number, graph in enumerate(subgraphs):
        for place, node in enumerate(graph.operators):
            operator = model.Subgraphs(number).Operators(place)
            table = operator.BuiltinOptions()
            options: Any = getattr(schema, kinds.get(operator.BuiltinOptionsType(), ""), object)()
            if table is None or not hasattr(options, "FusedActivationFunction"):
                continue
            options.Init(table.Bytes, table.Pos)
            bound = BOUNDS.get(options.FusedActivationFunction())
            if bound and node.outputs:
                yield graph.tensor(node.outputs[0]).name, bound


@dataclass(frozen=True)
class _Weights:
    """Constant weights; the largest of each channel, and what its bias asks the scale to hold."""

    name: str
    buffer: int
    largest: NDArray[np.float32]
    needed: NDArray[np.float32]


def weights(
    content: bytes,
    subgraphs: Sequence[Graph],
    found: Sequence[Layer],
    limits: Mapping[str, Range],
    *,
    channelwise: bool,
) -> dict[str, NDArray[np.float32]]:
    """The largest weights that scales have to hold, where that is more than the weights are.

    Args:
        content: the float32 file.
        subgraphs: its graphs.
        found: its kernels with weights.
        limits: of the activations, by tensor name, none of them empty.
        channelwise: each channel has a scale of its own.

    Returns:
        By tensor name; of the weights' rank, with 1 for each dimension that shares a scale.
    """
    known = list(_constants(content, subgraphs, found, limits, channelwise=channelwise))
    together: dict[tuple[int, tuple[int, ...]], NDArray[np.float32]] = {}
    for one in known:  # what shares a buffer is quantized once
        key = one.buffer, one.largest.shape
        together[key] = np.maximum(together.get(key, one.largest), one.needed)
    chosen = ((one, together[one.buffer, one.largest.shape]) for one in known)
    return {one.name: bound for one, bound in chosen if (bound > one.largest).any()}


def _constants(
    content: bytes,
    subgraphs: Sequence[Graph],
    found: Sequence[Layer],
    limits: Mapping[str, Range],
    *,
    channelwise: bool,
) -> Iterator[_Weights]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    for layer in found:
        graph, stored = subgraphs[layer.graph], model.Subgraphs(layer.graph)
        source = limits.get(graph.tensor(layer.source).name)
        values, bias = (_data(model, stored, one) for one in (layer.weights, layer.bias))
        if source is None or values is None or bias is None or not _fit(values, bias, layer):
            continue
        kept = layer.channels if channelwise else None
        axes = tuple(axis for axis in range(values.ndim) if axis != kept)
        largest = np.abs(values).max(axis=axes, keepdims=True)
        needed = np.abs(bias) * LARGEST_WEIGHT / LARGEST / layer.scheme.step(source)
        yield _Weights(
            name=graph.tensor(layer.weights).name,
            buffer=stored.Tensors(layer.weights).Buffer(),
            largest=largest,
            needed=np.float32(needed if channelwise else needed.max()).reshape(largest.shape),
        )


def _fit(values: NDArray[np.float32], bias: NDArray[np.float32], layer: Layer) -> bool:
    """Whether there is a bias for each channel; the runtime refuses files where there is not."""
    return values.ndim > layer.channels and values.shape[layer.channels] == bias.size > 0


def _data(model: Any, stored: Any, index: int) -> NDArray[np.float32] | None:
    """The values of a float32 constant."""
    tensor = stored.Tensors(index) if index >= 0 else None
    if tensor is None or tensor.Type() != FLOAT32:
        return None
    buffer = model.Buffers(tensor.Buffer())
    if not buffer.DataLength():
        return None
    values: NDArray[np.float32] = buffer.DataAsNumpy().view(np.float32)
    return values.reshape(tensor.ShapeAsNumpy())
