"""Weights stored as float16: what delegates see that read such constants themselves.

The converter puts a DEQUANTIZE behind each. Delegates that read float16 look past it, and leave it
where it is unless they take all the rest.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from edgepack.tflite.graph import Graph


def widened(graph: Graph) -> dict[int, int]:
    """By place of a node that widens a float16 constant, the constant."""
    found = {}
    for place, node in enumerate(graph.operators):
        source = node.inputs[0] if node.name == "DEQUANTIZE" and node.inputs else -1
        if source < 0 or node.custom:
            continue
        tensor = graph.tensor(source)
        if tensor.constant and tensor.dtype == "float16":
            found[place] = source
    return found


def direct(graph: Graph, nodes: Collection[int]) -> Graph:
    """The graph in which these nodes read float16 constants past the nodes that widen them."""
    sources = {
        index: source
        for place, source in widened(graph).items()
        for index in graph.operators[place].outputs
    }
    operators = (
        replace(node, inputs=tuple(sources.get(index, index) for index in node.inputs))
        if place in nodes
        else node
        for place, node in enumerate(graph.operators)
    )
    return replace(graph, operators=tuple(operators))
