"""What a file asks of kernels that no operator's version says.

Runtimes that do not have it load the file, and take the scale of the first channel for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.tflite.graph import Graph, GraphOperator

WEIGHTS = 1  # place among the inputs of a fully connected layer
KINDS = {"int8": "int8", "float32": "dynamic"}  # by the type of what it is fed


def kernels(subgraphs: Iterable[Graph]) -> tuple[str, ...]:
    """Such as `FULLY_CONNECTED int8 per-channel`, each once."""
    found = (name for graph in subgraphs for node in graph.operators for name in _of(node, graph))
    return tuple(sorted(set(found)))


def _of(node: GraphOperator, graph: Graph) -> Iterator[str]:
    if node.name != "FULLY_CONNECTED" or len(node.inputs) <= WEIGHTS:
        return
    fed, weights = graph.tensor(node.inputs[0]), graph.tensor(node.inputs[WEIGHTS])
    scales = weights.quantization.scales if weights.quantization else ()
    if weights.dtype == "int8" and len(scales) > 1 and fed.dtype in KINDS:
        yield f"{node.name} {KINDS[fed.dtype]} per-channel"
