"""Whether inference changes variables: what a signature reaches, followed through functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.savedmodel.messages import Graph, Node

ASSIGNS = ("Assign", "ResourceScatter", "Scatter", "ResourceApply", "Apply", "ResourceStridedSlice")


def assigns(graph: Graph, outputs: Iterable[str]) -> bool:
    """Whether computing `outputs` (tensor names) runs an op that changes a variable.

    Saving and restoring, which assign too, are not on the way to an output.
    """
    return any(node.op.startswith(ASSIGNS) for node in _reached(graph, outputs))


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
        called += node.called()
    yield from _bodies(graph, called)


def _bodies(graph: Graph, called: list[str]) -> Iterator[Node]:
    seen: set[str] = set()
    while called:
        name = called.pop()
        if name in seen:
            continue
        seen.add(name)
        for node in graph.functions.get(name, ()):
            yield node
            called += node.called()


def _node_name(tensor: str) -> str:
    """`^node`, `node:0` and `node:out:0` are all node."""
    return tensor.removeprefix("^").split(":", 1)[0]
