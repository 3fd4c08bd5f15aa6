"""Whether inference changes variables: what a signature reaches, followed through functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.savedmodel.messages import Graph, Node

# TensorFlow's operators on variables that write them, those of random generators included.
# ScatterNd and ScatterNdNonAliasingAdd, named alike, write nothing.
ASSIGNS = re.compile(
    r"Assign\w*"
    r"|(Resource)?(Sparse)?Apply\w+"
    r"|(Resource)?Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)"
    r"|(Resource)?StridedSliceAssign"
    r"|(Resource)?CountUpTo"
    r"|Rng(ReadAnd)?Skip"
    r"|Stateful(Uniform|StandardNormal|TruncatedNormal|RandomBinomial)\w*"
)


def assigns(graph: Graph, outputs: Iterable[str]) -> bool:
    """Whether computing `outputs` (tensor names) runs an op that changes a variable.

    Saving and restoring, which assign too, are not on the way to an output.
    """
    return any(ASSIGNS.fullmatch(node.op) for node in _reached(graph, outputs))


def _reached(graph: Graph, outputs: Iterable[str]) -> Iterator[Node]:
    """Nodes that outputs depend on, and every node of the functions these call."""
    nodes = {node.name: node for node in graph.nodes}
    waiting = [_node_name(output) for output in outputs]
    seen: set[str] = set()
    called: list[str] = []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        node = nodes[name]
        yield node
        waiting += [_node_name(source) for source in node.inputs]
        called += _called(node)
    yield from _bodies(graph, called)


def _bodies(graph: Graph, called: list[str]) -> Iterator[Node]:
    """Every node of a function counts: TensorFlow runs those with effects whatever is fetched."""
    seen: set[str] = set()
    while called:
        name = called.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in graph.functions.get(name, ()):
            yield node
            called += _called(node)


def _called(node: Node) -> Iterator[str]:
    """Functions by attribute, and by the name of the op itself, as TensorFlow 1 calls them."""
    yield node.op
    yield from node.called()


def _node_name(tensor: str) -> str:
    """`^node`, `node:0` and `node:out:0` are all node."""
    return tensor.removeprefix("^").split(":", 1)[0]
