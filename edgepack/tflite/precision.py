"""The real precision of a .tflite, from the types of what its compute operators consume."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.records.facts import Precision
    from edgepack.tflite.graph import Graph, GraphOperator

# Operators that multiply activations by weights: what a model spends its time and size on.
COMPUTE = frozenset(
    (
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "TRANSPOSE_CONV",
        "CONV_3D",
        "CONV_3D_TRANSPOSE",
        "BATCH_MATMUL",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "EMBEDDING_LOOKUP",
        "STABLEHLO_CONVOLUTION",
        "STABLEHLO_DOT_GENERAL",
    )
)
FLOATS = frozenset(("float32", "float16", "bfloat16", "float64"))
INTEGERS = frozenset(("int8", "uint8", "int4", "uint4", "int2"))
RESTORING = ("DEQUANTIZE", "DENSIFY")
BORDERS = ("QUANTIZE", "DEQUANTIZE")


def precision(graphs: Sequence[Graph]) -> Precision:
    """Name the precision that the compute operators have in common, or `mixed`.

    For each compute operator, activations and weights decide: float with float weights is
    float32, or float16 where the weights are float16 constants behind a DEQUANTIZE; float with
    integer weights is dynamic where the kernel takes them as they are, weight-only where they are
    dequantized first; integer with integer is int8; int16 activations are int16x8. Borders of the
    graph (QUANTIZE, DEQUANTIZE), biases and the remaining operators do not count. A model without
    a compute operator goes by the activations of all its operators, among which indices, shapes
    and conditions do not count beside numbers. A file of which only a part
    is float16 or dynamic, as the tools leave the smallest weights alone, is named after that part.
    """
    found = {kind for graph in graphs for kind in _kinds(graph)}
    for part in ("float16", "dynamic", "weight-only"):
        if found == {part, "float32"}:
            found = {part}
    if not found:
        found = {kind for graph in graphs for kind in _activations(graph)}
        found = found - {"other"} or found
    return found.pop() if len(found) == 1 else ("mixed" if found else "other")


def _kinds(graph: Graph) -> Iterator[Precision]:
    restored = {
        node.outputs[0]: graph.tensor(node.inputs[0]).dtype
        for node in graph.operators
        if node.name in RESTORING and node.outputs and node.inputs and _is_stored(graph, node)
    }
    for node in graph.operators:
        if node.name in COMPUTE:
            yield _kind(graph, node, restored)


def _is_stored(graph: Graph, node: GraphOperator) -> bool:
    return graph.tensor(node.inputs[0]).constant


def _kind(graph: Graph, node: GraphOperator, restored: dict[int, str]) -> Precision:
    used = [index for index in node.inputs if index >= 0]
    floating = [i for i in used if not graph.tensor(i).constant and i not in restored]
    activations = {graph.tensor(index).dtype for index in floating}
    stored = {graph.tensor(i).dtype for i in used if graph.tensor(i).constant} - {"int32", "int64"}
    expanded = {restored[index] for index in used if index in restored}
    if "int16" in activations:
        return "int16x8"
    if activations & INTEGERS:
        return "int8" if not stored & FLOATS else "mixed"
    if expanded & INTEGERS:
        return "weight-only"
    if "float16" in expanded | stored:
        return "float16"
    return "dynamic" if stored & INTEGERS else "float32"


def _activations(graph: Graph) -> Iterator[Precision]:
    for node in graph.operators:
        for index in () if node.name in BORDERS else node.inputs:
            if index >= 0 and not (tensor := graph.tensor(index)).constant:
                yield _named(tensor.dtype)


def _named(dtype: str) -> Precision:
    if dtype in FLOATS:
        return "float16" if dtype == "float16" else "float32"
    if dtype == "int16":
        return "int16x8"
    return "int8" if dtype in INTEGERS else "other"
