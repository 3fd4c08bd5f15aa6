"""What a file asks of kernels that no operator's version says.

Runtimes that do not have it load the file and compute something else, or refuse it only when they
allocate its tensors.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from edgepack.tflite.version_rules import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgepack.tflite.graph import Graph, GraphTensor

# Places of what is fed and of the bias; weights are the second input of all.
LAYERS = {
    "BATCH_MATMUL": (0, 2),  # it has no bias
    "CONV_2D": (0, 2),
    "DEPTHWISE_CONV_2D": (0, 2),
    "FULLY_CONNECTED": (0, 2),
    "TRANSPOSE_CONV": (2, 3),
}
WEIGHTS = 1
# Of operators without weights: the place of the input whose type decides, and which types matter.
PLAIN = {
    "DIV": (0, ("int8", "int16")),
    "GELU": (0, ("int16",)),
    "SCATTER_ND": (1, ("int16",)),
    "SQUARED_DIFFERENCE": (0, ("int16",)),
    "SUM": (0, ("int8", "int16")),
    "TILE": (0, ("int16",)),
}
# Those whose kernels may spread one input over another's shape in four dimensions only.
BROADCASTS = frozenset(("ADD", "MUL", "SUB"))
MOST_RANKS = 4
# Those that spread a single value over any shape, but in int16.
SPREAD = frozenset(("ADD", "MUL"))
# By the types of what is fed and of the weights.
KINDS = {
    ("int8", "int8"): "int8",
    ("int8", "int4"): "int8x4",
    ("int16", "int8"): "int16x8",
    ("float32", "int8"): "dynamic",
    ("float32", "int4"): "dynamic4",
}
EXPANDED = {"int8": "weight-only", "int4": "weight-only4", "float16": "float16"}
DEQUANTIZE = "DEQUANTIZE"


def kernels(subgraphs: Iterable[Graph]) -> tuple[str, ...]:
    """Such as `FULLY_CONNECTED int8 per-channel`, each once."""
    return tuple(sorted({name for graph in subgraphs for name in _of(graph)}))


def _of(graph: Graph) -> Iterator[str]:
    stored = {
        node.outputs[0]: graph.tensor(node.inputs[0])
        for node in graph.operators
        if node.name == DEQUANTIZE and node.inputs and node.outputs and node.inputs[0] >= 0
    }
    for operator in graph.operators:
        if operator.name in LAYERS and len(operator.inputs) > WEIGHTS:
            yield from _of_layer(Node(operator, graph), stored)
        else:
            yield from _of_plain(Node(operator, graph))


def _of_layer(node: Node, stored: Mapping[int, GraphTensor]) -> Iterator[str]:
    """What one layer asks for; `stored` has what a DEQUANTIZE is given, by what it makes."""
    name, inputs = node.operator.name, node.operator.inputs
    place, biases = LAYERS[name]
    before = stored.get(inputs[WEIGHTS])
    kind = _kind(node.given(place), before or node.given(WEIGHTS), before is not None)
    bias = node.given(biases)
    halved = len(inputs) > biases and inputs[biases] in stored
    if kind:
        yield f"{name} {kind} float16-bias" if kind == "float16" and halved else f"{name} {kind}"
    if kind.startswith("int16x8") and bias is not None and bias.dtype == "int32":
        yield f"{name} int16x8 int32-bias"


def _of_plain(node: Node) -> Iterator[str]:
    """What an operator without weights asks for."""
    name = node.operator.name
    place, types = PLAIN.get(name, (0, ()))
    fed = node.given(place)
    if fed is None:
        return
    if fed.dtype in types:
        yield f"{name} {fed.dtype}"
    other = node.given(1)
    if name in BROADCASTS and other is not None and _broadcasts(name, fed, other):
        yield f"{name} {fed.dtype} 5-D broadcast"


def _broadcasts(name: str, one: GraphTensor, other: GraphTensor) -> bool:
    shapes = {one.shape or (), other.shape or ()}
    if len(shapes) == 1 or max(map(len, shapes)) <= MOST_RANKS:
        return False
    return min(map(prod, shapes)) != 1 or one.dtype == "int16" or name not in SPREAD


def _kind(fed: GraphTensor | None, weights: GraphTensor | None, expanded: bool) -> str:
    if fed is None or weights is None:
        return ""
    pair = (fed.dtype, weights.dtype)
    kind = EXPANDED.get(weights.dtype, "") if expanded else KINDS.get(pair, "")
    scales = weights.quantization.scales if weights.quantization else ()
    if not kind or not scales:
        return kind if kind == "float16" else ""
    return f"{kind} {'per-channel' if len(scales) > 1 else 'per-tensor'}"
