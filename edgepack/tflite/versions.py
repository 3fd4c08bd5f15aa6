"""The versions of operators that a file's nodes ask for, whatever version it states.

The quantizer states version 1 of every operator it changes, so that an old runtime takes the file
and computes something else.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edgepack.records.tensors import OpUse
from edgepack.tflite.version_rules import Node, version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.tflite.graph import Graph, GraphOperator


def asked(subgraphs: Sequence[Graph]) -> tuple[OpUse, ...]:
    """Operators by the higher of two versions: what the file states, and what its nodes ask for."""
    counts = Counter(
        (node.name, _version(node, graph), node.custom)
        for graph in subgraphs
        for node in graph.operators
    )
    return tuple(
        OpUse(name=name, version=version, custom=custom, count=count)
        for (name, version, custom), count in sorted(counts.items())
    )


def _version(node: GraphOperator, graph: Graph) -> int:
    return node.version if node.custom else max(node.version, version(Node(node, graph)))
