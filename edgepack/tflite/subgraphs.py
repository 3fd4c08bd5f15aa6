"""The subgraphs of a .tflite file, the main one first."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from edgepack.tflite import mapped, schema
from edgepack.tflite.flatbuffer import CorruptError, refuse, root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.tflite.graph import Graph


def read(path: Path) -> tuple[Graph, ...]:
    """Read a file's subgraphs; every tensor that a graph or a node names is there.

    Raises:
        UsageError: it is not there or not readable.
        ModelError: it is not a whole .tflite.
    """
    return parse(mapped.view(path), str(path))


def parse(data: bytes | memoryview, path: str) -> tuple[Graph, ...]:
    """Read a buffer; `path` is what messages call it.

    Raises:
        ModelError: it is not a whole .tflite.
    """
    try:
        found = graphs(root(data, schema.IDENTIFIER))
        for graph in found:
            _hold(graph)
    except (CorruptError, RecursionError) as error:
        raise refuse(path, error) from error
    return found


def _hold(graph: Graph) -> None:
    for index in chain(graph.inputs, graph.outputs):
        graph.tensor(index)
    for node in graph.operators:
        for index in chain(node.inputs, node.outputs):
            if index != -1:
                graph.tensor(index)
