"""How much memory TFLite Micro will take for a file, by its rules and without running it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import tomlfile
from edgepack.micro.planner import ALIGNMENT, Buffer, aligned, extent
from edgepack.micro.scratch import elements, kept, scratch
from edgepack.records.base import Record
from edgepack.records.micro import ArenaSize
from edgepack.tflite import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.tflite.graph import Graph, GraphTensor

TABLE = Path(__file__).parent / "sizes.toml"
DETAIL = (
    "tensors and scratch by the greedy planner, structures as where a pointer has 8 bytes, "
    "TFLite Micro's own kernels"
)
# Bytes of an element; of what is not here TFLite Micro has no size.
WIDTHS = {
    "bool": 1,
    "int4": 1,
    "int8": 1,
    "uint8": 1,
    "bfloat16": 2,
    "float16": 2,
    "int16": 2,
    "uint16": 2,
    "float32": 4,
    "int32": 4,
    "resource": 4,
    "uint32": 4,
    "complex64": 8,
    "float64": 8,
    "int64": 8,
    "uint64": 8,
    "complex128": 16,
}


class Sizes(Record):
    """Bytes of what is kept: `sizes.toml`."""

    source: str
    commit: str
    read: str
    pointer: int
    fixed: int
    subgraph: int
    tensor: int
    node: int
    border: int
    quantization: int
    request: int
    requests: int
    information: int
    requirement: int
    other_options: int
    other_data: int
    options: dict[str, int]
    data: dict[str, int]


@cache
def sizes() -> Sizes:
    """The table."""
    return tomlfile.load(TABLE, Sizes)


@dataclass
class Tail:
    """What is kept, from the arena's end down."""

    used: int = 0

    def take(self, size: int, alignment: int = ALIGNMENT) -> None:
        """Put one more thing below the others."""
        self.used = aligned(self.used + size, alignment)


def estimate(path: Path, reason: str = "") -> ArenaSize:
    """What a file will take, by the planner's rules.

    Args:
        path: the .tflite.
        reason: why it is not measured.

    Raises:
        UsageError: it is not there or not readable.
        ModelError: it is not a whole .tflite.
    """
    return estimated(subgraphs.read(path), reason)


def estimated(graphs: Sequence[Graph], reason: str = "") -> ArenaSize:
    """What a file with these subgraphs will take.

    Subgraphs of control flow are planned on their own, and count in full.
    """
    plans = tuple(tuple(buffers(graph)) for graph in graphs)
    planned, tail = sum(map(extent, plans)), _kept(graphs)
    needed = aligned(tail.used) + _planning(graphs, sum(map(len, plans)))
    for indices in (graphs[0].inputs, graphs[0].outputs) if graphs else ():
        _borders(tail, graphs[0], indices)
    starting = max(0, needed - planned - tail.used)
    return ArenaSize(
        bytes=planned + tail.used + starting,
        method="estimated",
        planned=planned,
        kept=tail.used,
        starting=starting,
        detail=DETAIL,
        reason=reason,
    )


def buffers(graph: Graph) -> Iterator[Buffer]:
    """What is planned: tensors that are neither in the file nor variables, and scratch.

    Inputs live from step 0 on, the nodes are steps 1, 2 and so on, outputs live to the last.
    """
    first, last = _lives(graph)
    for index, tensor in enumerate(graph.tensors):
        size = _bytes(tensor)
        if size and not (tensor.constant or tensor.variable):
            yield Buffer(size, first.get(index, -1), last.get(index, -1))
    for step, node in enumerate(graph.operators, 1):
        for size in scratch(node, graph):
            yield Buffer(size, step, step)


def _lives(graph: Graph) -> tuple[dict[int, int], dict[int, int]]:
    """By tensor, the step that makes it and the last that uses it."""
    first, last = dict.fromkeys(graph.inputs, 0), dict.fromkeys(graph.inputs, 0)
    for step, node in enumerate(graph.operators, 1):
        for index in node.outputs:
            first.setdefault(index, step)
        last |= dict.fromkeys((*node.inputs, *node.outputs), step)
    for index in graph.outputs:
        first.setdefault(index, len(graph.operators))
    return first, last | dict.fromkeys(graph.outputs, len(graph.operators))


def _bytes(tensor: GraphTensor) -> int:
    return elements(tensor) * WIDTHS.get(tensor.dtype, 0)


def _planning(graphs: Sequence[Graph], planned: int) -> int:
    """What lies below the tail while so many buffers are planned."""
    known, scratches = sizes(), sum(map(_scratches, graphs))
    infos = scratches + sum(len(graph.tensors) for graph in graphs)
    offsets = known.pointer * len(graphs)
    requests = known.request * (scratches + known.requests)
    return aligned(requests + offsets + known.information * infos) + aligned(
        known.requirement * planned
    )


def _kept(graphs: Sequence[Graph]) -> Tail:
    """What is kept when the plan is made: all but inputs and outputs as the app sees them."""
    known, tail = sizes(), Tail()
    tail.take(known.fixed + known.subgraph * len(graphs), known.pointer)
    for each in (known.tensor * len(graph.tensors) for graph in graphs):
        tail.take(each, known.pointer)
    for each in (known.node * len(graph.operators) for graph in graphs):
        tail.take(each, known.pointer)
    for size in (size for graph in graphs for size in _options(graph)):
        tail.take(size, 4)
    for size in (size for graph in graphs for size in _data(graph)):
        tail.take(size)
    tail.take(known.pointer * sum(map(_scratches, graphs)), known.pointer)
    for size in (_bytes(tensor) for graph in graphs for tensor in graph.tensors if tensor.variable):
        tail.take(size)
    return tail


def _options(graph: Graph) -> Iterator[int]:
    known = sizes()
    for node in graph.operators:
        yield known.options.get(node.name, known.other_options)


def _data(graph: Graph) -> Iterator[int]:
    """What each kernel has of its own, then what each has for its channels."""
    known = sizes()
    for node in graph.operators:
        yield known.data.get(node.name, known.other_data)
    for node in graph.operators:
        yield from kept(node, graph)


def _scratches(graph: Graph) -> int:
    return sum(len(scratch(node, graph)) for node in graph.operators)


def _borders(tail: Tail, graph: Graph, indices: Sequence[int]) -> None:
    """The inputs, or the outputs, as the app sees them."""
    known = sizes()
    tail.take(known.pointer * len(indices))
    for index in indices:
        tail.take(known.border, known.pointer)
        if scales := graph.tensor(index).quantization:
            tail.take(known.quantization, known.pointer)
            tail.take(4 + 4 * len(scales.scales), 4)
