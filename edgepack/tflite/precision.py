"""The real precision of a .tflite, from the types of what its compute operators consume."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

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
INDICES = frozenset(("int32", "int64"))
RESTORING = ("DEQUANTIZE", "DENSIFY")
BORDERS = ("QUANTIZE", "DEQUANTIZE", "DENSIFY", "CAST")
LOOKUPS = ("GATHER", "GATHER_ND")


def precision(graphs: Sequence[Graph]) -> Precision:
    """Name the precision that the compute operators have in common, or `mixed`.

    For each compute operator, activations and weights decide: float with float weights is
    float32, or float16 where the weights are float16 constants behind a DEQUANTIZE; float with
    integer weights is dynamic where the kernel takes them as they are, weight-only where they are
    dequantized first; integer with integer is int8; int16 activations are int16x8. Borders of the
    graph (QUANTIZE, DEQUANTIZE, CAST), biases, the state that recurrent kernels keep (int16 in
    int8 ones) and the remaining operators do not count. A model without a compute operator goes
    by all its operators in the same way, of which those on indices, shapes and conditions do not
    count beside numbers. A file of which only a part is float16 or dynamic, as the tools leave
    the smallest weights alone, is named after that part.
    """
    found = {kind for graph in graphs for kind in _kinds(graph, COMPUTE)}
    found = found or {kind for graph in graphs for kind in _kinds(graph)}
    found = found - {"other"} or found
    for part in ("float16", "dynamic", "weight-only"):
        if found == {part, "float32"}:
            found = {part}
    return found.pop() if len(found) == 1 else ("mixed" if found else "other")


def _kinds(graph: Graph, names: Collection[str] = ()) -> Iterator[Precision]:
    """What each operator is, of those called `names`, or of all but the borders."""
    restored = _restored(graph)
    for node, activations in zip(graph.operators, _activations(graph, restored), strict=True):
        if node.name in names if names else node.name not in BORDERS:
            yield _kind(graph, node, activations, restored)


def _restored(graph: Graph) -> dict[int, str]:
    """Constants made float or dense by operators: the results' indices, and the types stored."""
    restored: dict[int, str] = {}
    for node in graph.operators:
        if node.name in RESTORING and node.inputs and node.outputs:
            stored = graph.tensor(node.inputs[0])
            if stored.constant or node.inputs[0] in restored:
                restored[node.outputs[0]] = restored.get(node.inputs[0], stored.dtype)
    return restored


def _activations(graph: Graph, restored: dict[int, str]) -> Iterator[set[str]]:
    """Types of what changes with the sample, for each operator.

    A lookup in a table takes indices: there it is what it gives, once dequantized.
    """
    dequantized = {
        node.inputs[0]: node.outputs[0]
        for node in graph.operators
        if node.name == "DEQUANTIZE" and node.inputs and node.outputs
    }
    for node in graph.operators:
        used = node.inputs
        if node.name in LOOKUPS:
            used = tuple(dequantized.get(index, index) for index in node.outputs)
        found = (graph.tensor(i) for i in used if i >= 0 and i not in restored)
        yield {t.dtype for t in found if not (t.constant or t.variable)} - INDICES


def _kind(
    graph: Graph, node: GraphOperator, activations: set[str], restored: dict[int, str]
) -> Precision:
    used = [index for index in node.inputs if index >= 0]
    stored = {graph.tensor(i).dtype for i in used if graph.tensor(i).constant} - INDICES
    expanded = {restored[index] for index in used if index in restored}
    if "int16" in activations:
        return "int16x8"
    if activations & INTEGERS:
        return "int8" if not stored & FLOATS else "mixed"
    if expanded & INTEGERS:
        return "weight-only"
    if "float16" in activations | expanded | stored:
        return "float16"
    if stored & INTEGERS:
        return "dynamic"
    return "float32" if (activations | stored | expanded) & FLOATS else "other"


def float_ops(graphs: Sequence[Graph]) -> tuple[str, ...]:
    """Names of the operators that compute in float, sorted; borders between precisions are none.

    What tells a full integer file from one of which only the compute operators are integer.
    """
    return tuple(sorted({name for graph in graphs for name in _computing_in_float(graph)}))


def _computing_in_float(graph: Graph) -> Iterator[str]:
    restored = _restored(graph)
    for node, activations in zip(graph.operators, _activations(graph, restored), strict=True):
        if node.name not in BORDERS and activations & FLOATS:
            yield node.name
