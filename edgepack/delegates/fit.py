"""Which nodes of a file a delegate takes, which it leaves and why, and in how many partitions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from edgepack.delegates import halves, terms
from edgepack.delegates.partitions import gathered, runs
from edgepack.records.delegates import DelegateFit, Fallback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.delegates.partitions import Nodes
    from edgepack.records.delegates import Delegate
    from edgepack.tflite.graph import Graph

HALVES = "it widens a float16 constant"
BEHIND = "behind the first node that is not taken"
ELSEWHERE = "not in the main subgraph"


def fit(graphs: Sequence[Graph], delegate: Delegate) -> DelegateFit:
    """What a delegate would do with a file.

    Every subgraph is gone through on its own, as the interpreter does: a node of control flow falls
    back, and what lies in its branches may be taken. Coral's compiler takes from the main one only.

    Raises:
        ModelError: nodes of a subgraph wait for each other.
    """
    parts = [_part(graph, delegate, main=not place) for place, graph in enumerate(graphs)]
    left = sum((part.left(graph) for part, graph in zip(parts, graphs, strict=True)), Counter())
    taken = chain.from_iterable(
        (graph.operators[place].name for place in chain(*part.pieces))
        for part, graph in zip(parts, graphs, strict=True)
    )
    return DelegateFit(
        delegate=delegate.name,
        nodes=sum(len(graph.operators) for graph in graphs),
        delegated=sum(len(piece) for part in parts for piece in part.pieces),
        partitions=sum(len(part.pieces) for part in parts),
        fallback=tuple(
            Fallback(operator=operator, count=count, why=why)
            for (operator, why), count in sorted(left.items())
        ),
        unchecked=_unchecked(set(taken), delegate),
        note=delegate.note,
        source=delegate.source.what,
        at=delegate.source.at,
        read_on=delegate.source.read_on,
    )


def _unchecked(taken: set[str], delegate: Delegate) -> tuple[str, ...]:
    asked = ((name, delegate.operators.get(name)) for name in sorted(taken))
    return tuple(f"{name}: {found.note}" for name, found in asked if found and found.note)


@dataclass(frozen=True)
class _Part:
    """One subgraph: what runs on the delegate, and by place why the rest does not."""

    pieces: tuple[Nodes, ...] = ()
    why: dict[int, str] = field(default_factory=dict)

    def left(self, graph: Graph) -> Counter[tuple[str, str]]:
        """Nodes that stay behind, by operator and reason."""
        return Counter((graph.operators[place].name, why) for place, why in self.why.items())


def _part(graph: Graph, delegate: Delegate, *, main: bool) -> _Part:
    seen = halves.direct(graph, range(len(graph.operators))) if delegate.float16_weights else graph
    refused = {
        place: why
        for place, node in enumerate(seen.operators)
        if (why := terms.refusal(seen, node, delegate))
    }
    if delegate.rule == "edgetpu":
        return _leading(graph, refused) if main else _elsewhere(graph)
    if delegate.rule == "litert":
        taken = set(range(len(graph.operators))) - refused.keys()
        return _Part(runs(graph, taken), refused)
    return _interpreted(graph, delegate, refused)


def _interpreted(graph: Graph, delegate: Delegate, refused: dict[int, str]) -> _Part:
    everything = tuple(range(len(graph.operators)))
    widening = halves.widened(graph) if delegate.float16_weights else {}
    if everything and refused.keys() <= widening.keys():
        return _Part(gathered(graph, everything))  # one partition, or an error
    refused = dict.fromkeys(widening, HALVES) | {
        place: why for place, why in refused.items() if place not in widening
    }
    pieces = gathered(graph, set(everything) - refused.keys())
    chosen = sorted(pieces, key=len, reverse=True)[: delegate.most_partitions]
    kept = {place for piece in chosen if len(piece) >= delegate.least_nodes for place in piece}
    spared = dict.fromkeys(chain(*pieces), _limits(delegate))
    why = refused | {place: why for place, why in spared.items() if place not in kept}
    reading = halves.direct(graph, kept) if widening else graph
    return _Part(gathered(reading, kept), dict(sorted(why.items())))


def _limits(delegate: Delegate) -> str:
    limits, most = [], delegate.most_partitions
    if most is not None:
        largest = "largest partition" if most == 1 else f"{most} largest partitions"
        limits.append(f"beyond the {largest}")
    if delegate.least_nodes > 1:
        limits.append(f"in a partition of fewer than {delegate.least_nodes} nodes")
    return " or ".join(limits)


def _leading(graph: Graph, refused: dict[int, str]) -> _Part:
    """Up to the first node that is not taken; nodes that quantize a float input may precede."""
    begin = _entering(graph, refused)
    end = next((n for n in sorted(refused) if n >= begin), len(graph.operators))
    piece = tuple(range(begin, end))
    rest = (*range(begin), *range(end, len(graph.operators)))
    return _Part((piece,) if piece else (), {n: refused.get(n, BEHIND) for n in rest})


def _entering(graph: Graph, refused: dict[int, str]) -> int:
    """How many nodes at the beginning do nothing but quantize inputs of the graph."""
    for place, node in enumerate(graph.operators):
        enters = node.name == "QUANTIZE" and set(node.inputs) <= set(graph.inputs)
        if not (enters and place in refused):
            return place
    return len(graph.operators)


def _elsewhere(graph: Graph) -> _Part:
    return _Part((), dict.fromkeys(range(len(graph.operators)), ELSEWHERE))
