"""How nodes that a delegate takes are gathered into partitions.

The rules are the runtimes' own, read in google-ai-edge/LiteRT at
f67457790c9c2ab67347d6fe53270e8d3df20868: tflite/graph_info.cc and, for LiteRT's compiler plugins,
GroupPartitionsV2 in litert/compiler/plugin/algo.cc. The first is held against an interpreter by a
test.
"""

from __future__ import annotations

from collections import defaultdict
from heapq import heappop, heappush
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from edgepack.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from edgepack.tflite.graph import Graph

Nodes = tuple[int, ...]
# What keeps its order among its like, beside all that touches a resource.
ORDERED = frozenset(("IF", "WHILE", "CALL_ONCE"))


def gathered(graph: Graph, taken: Collection[int]) -> tuple[Nodes, ...]:
    """The partitions that TFLite's interpreter makes of a delegate's nodes.

    Nodes are gathered as long as any is ready whose like is being gathered, past others that come
    first in the file: branches that do not need each other share a partition.

    Args:
        graph: one subgraph.
        taken: places of the nodes that the delegate takes.

    Raises:
        ModelError: some nodes wait for each other.
    """
    return tuple(nodes for ours, nodes in _subsets(graph, taken) if ours)


def runs(graph: Graph, taken: Collection[int]) -> tuple[Nodes, ...]:
    """The partitions that LiteRT's compiler makes: neighbours in the file's order."""
    places = range(len(graph.operators))
    grouped = groupby(places, key=lambda place: place in taken)
    return tuple(tuple(nodes) for ours, nodes in grouped if ours)


def _subsets(graph: Graph, taken: Collection[int]) -> Iterator[tuple[bool, Nodes]]:
    schedule = _Schedule(graph, taken)
    while any(schedule.ready.values()):
        ours = schedule.next_is_taken()
        yield ours, schedule.drain(taken=ours)
    if schedule.left:
        raise ModelError("nodes of the graph wait for each other")


class _Schedule:
    """Which nodes can run, and what the others wait for."""

    def __init__(self, graph: Graph, taken: Collection[int]) -> None:
        self.graph, self.taken, self.left = graph, taken, len(graph.operators)
        self.missing = {index for node in graph.operators for index in node.outputs}
        self.readers = defaultdict[int, list[int]](list)
        self.ready: dict[bool, list[int]] = {True: [], False: []}  # heaps of places
        ordered = [place for place in range(self.left) if self._is_ordered(place)]
        self.behind = dict(pairwise(ordered))
        self.waits = [len(self._needed(place)) for place in range(self.left)]
        for place in self.behind.values():
            self.waits[place] += 1
        for place, count in enumerate(self.waits):
            self._release(place, count)

    def next_is_taken(self) -> bool:
        """Whether the first node that can run is the delegate's."""
        return not self.ready[False] or (
            bool(self.ready[True]) and self.ready[True][0] < self.ready[False][0]
        )

    def drain(self, *, taken: bool) -> Nodes:
        """Run what can run, or can by then, among the nodes of one kind."""
        done: list[int] = []
        while self.ready[taken]:
            place = heappop(self.ready[taken])
            done.append(place)
            self._run(place)
        return tuple(done)

    def _run(self, place: int) -> None:
        self.left -= 1
        if place in self.behind:
            self._done_for(self.behind[place])
        for index in set(self.graph.operators[place].outputs) & self.missing:
            self.missing.discard(index)
            for reader in self.readers[index]:
                self._done_for(reader)

    def _done_for(self, place: int) -> None:
        self.waits[place] -= 1
        self._release(place, self.waits[place])

    def _release(self, place: int, waits: int) -> None:
        if not waits:
            heappush(self.ready[place in self.taken], place)

    def _needed(self, place: int) -> set[int]:
        """Tensors that the node reads and another gives; notes the node with them."""
        needed = set(self.graph.operators[place].inputs) & self.missing
        for index in needed:
            self.readers[index].append(place)
        return needed

    def _is_ordered(self, place: int) -> bool:
        node = self.graph.operators[place]
        touched = (index for index in (*node.inputs, *node.outputs) if index >= 0)
        return node.name in ORDERED or any(
            self.graph.tensor(index).dtype == "resource" for index in touched
        )
