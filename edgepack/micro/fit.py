"""What stands between a file and a microcontroller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.micro.arena import WIDTHS, estimated
from edgepack.micro.operators import operators
from edgepack.micro.planner import aligned
from edgepack.records.micro import MicroFit
from edgepack.tflite import subgraphs
from edgepack.tflite.precision import float_ops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.records.micro import ArenaSize
    from edgepack.tflite.graph import Graph, GraphOperator, GraphTensor

WEIGHED = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"))
VIEWS = frozenset(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"))  # they copy, if that
STORED = frozenset(("int8", "uint8", "int4"))


def check(path: Path, arena: ArenaSize | None = None) -> MicroFit:
    """Hold a file against what TFLite Micro can run.

    Args:
        path: the .tflite.
        arena: what it was found to take; estimated by default.

    Raises:
        UsageError: it is not there or not readable.
        ModelError: it is not a whole .tflite.
    """
    graphs = subgraphs.read(path)
    used = {(node.name, node.custom) for graph in graphs for node in graph.operators}
    memory = arena or estimated(graphs)
    return MicroFit(
        flash_bytes=aligned(path.stat().st_size),
        arena=memory,
        unsupported=operators().unsupported(used),
        float_operators=float_ops(graphs),
        unaccelerated=tuple(sorted({name for one in graphs for name in _slow(one)})),
        open_shapes=tuple(_open(graphs[0])) if graphs else (),
        objections=tuple(dict.fromkeys(_objections(graphs, memory))),
    )


def _slow(graph: Graph) -> Iterator[str]:
    """Operators on int8 or int16 that have no kernel of CMSIS-NN's."""
    known = operators().cmsis_nn
    quick = {"int8": known.int8, "int16": known.int16}
    for node in graph.operators:
        made = [graph.tensor(index).dtype for index in node.outputs if index >= 0][:1]
        if node.name not in VIEWS and any(
            node.name not in quick.get(one, node.name) for one in made
        ):
            yield node.name


def _open(graph: Graph) -> Iterator[str]:
    for index in graph.inputs:
        tensor = graph.tensor(index)
        if min(tensor.shape_signature or (0,)) < 0:
            yield tensor.name


def _objections(graphs: Sequence[Graph], arena: ArenaSize) -> Iterator[str]:
    for graph in graphs:
        for tensor in graph.tensors:
            yield from _of_tensor(tensor)
        for node in graph.operators:
            yield from _of_node(node, graph)
    if arena.refused:
        yield f"it refuses the file: {arena.refused}"


def _of_tensor(tensor: GraphTensor) -> Iterator[str]:
    if tensor.dtype not in WIDTHS:
        yield f"tensor {tensor.name!r} is of type {tensor.dtype}, which has no size there"
    if min(tensor.shape or (0,)) < 0:
        yield f"tensor {tensor.name!r} has a shape that is not fixed"


def _of_node(node: GraphOperator, graph: Graph) -> Iterator[str]:
    """Float beside quantized weights, and weights that its kernels do not expand."""
    types = [graph.tensor(index).dtype if index >= 0 else "" for index in node.inputs]
    if node.name == "DEQUANTIZE" and types[:1] == ["float16"]:
        yield "its DEQUANTIZE takes no float16: weights are stored as float32 or integers"
    if node.name == "DEQUANTIZE" and len(_scales(node, graph)) > 1:
        yield "its DEQUANTIZE takes the first scale of weights for all their channels"
    if node.name in WEIGHED and types[:1] == ["float32"] and STORED.intersection(types[1:2]):
        yield f"its {node.name} takes no {types[1]} weights beside float activations"


def _scales(node: GraphOperator, graph: Graph) -> tuple[float, ...]:
    fed = graph.tensor(node.inputs[0]) if node.inputs and node.inputs[0] >= 0 else None
    return fed.quantization.scales if fed and fed.quantization else ()
