"""Labels the nodes of one graph, or function body, that lead to given tensors.

A graph of TensorFlow 1 may run in circles, always through NextIteration. Those nodes are labelled
again and again, each round from what led to them in the round before, until no round tells more of
them apart than the last.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edgepack.savedmodel.messages import Node

AGAIN = frozenset(("NextIteration", "RefNextIteration"))
MOST_LABELS = 2_000_000  # over all rounds; some seconds
NOWHERE = hashlib.sha256(b"no such node").digest()
CIRCLE = hashlib.sha256(b"a circle").digest()


class Edge(NamedTuple):
    """One input of a node: which of whose outputs; none for a control input."""

    name: str
    slot: str


def edge(text: str) -> Edge:
    """`^node`, `node`, `node:1` or, in a function, `node:output:1`."""
    if text.startswith("^"):
        return Edge(text[1:], "")
    name, _, slot = text.partition(":")
    return Edge(name, slot or "0")


class Part:
    """The labels of the nodes that some tensors are computed from.

    Attributes:
        nodes: these nodes, each after its inputs.
        loops: a digest of the labels of all loops' ends.
        unfollowed: what could not be followed.
    """

    def __init__(self, known: Mapping[str, bytes], fed: Mapping[Edge, bytes]) -> None:
        self._known, self._fed = known, fed
        self._labels: dict[str, bytes] = {}
        self.nodes: tuple[Node, ...] = ()
        self.loops = b""
        self.unfollowed: frozenset[str] = frozenset()

    def label(self, name: str) -> bytes:
        """A node's label."""
        return self._known.get(name) or self._labels.get(name) or self._fed_node(name)

    def _fed_node(self, name: str) -> bytes:
        return self._fed.get(Edge(name, "0"), NOWHERE)

    def tensor(self, text: str) -> bytes:
        """A tensor's label: its node's, and which of its outputs it is."""
        return self._tensor(edge(text))

    def _tensor(self, one: Edge) -> bytes:
        return self._fed.get(one) or self.label(one.name) + one.slot.encode() + b"\0"

    def stops(self, one: Edge) -> bool:
        """Whether nothing before this input is needed."""
        return one in self._fed or one.name in self._known

    def add(self, node: Node, what: bytes, edges: Iterable[Edge]) -> None:
        """Label a node from its inputs' labels; control inputs have no order."""
        data = [self._tensor(one) for one in edges if one.slot]
        after = sorted({self.label(one.name) for one in edges if not one.slot})
        self._labels[node.name] = _hash(what, len(data).to_bytes(4, "big"), *data, *after)

    def set(self, labels: Mapping[str, bytes]) -> None:
        """Set labels of nodes."""
        self._labels.update(labels)


class Walk:
    """One graph, or function body, and how its nodes are labelled."""

    def __init__(self, nodes: Iterable[Node], what: Callable[[Node], bytes]) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._what = what
        self._own: dict[str, bytes] = {}
        self._edges: dict[str, tuple[Edge, ...]] = {}

    def part(
        self,
        tensors: Iterable[str],
        known: Mapping[str, bytes] | None = None,
        fed: Mapping[Edge, bytes] | None = None,
    ) -> Part:
        """Label all that these tensors are computed from.

        Args:
            tensors: names of tensors, or of nodes.
            known: labels of nodes that are given.
            fed: labels of tensors that are given.
        """
        part = Part(known or {}, fed or {})
        order, circles = self._order([edge(one) for one in tensors], part)
        part.nodes = tuple(order)
        part.unfollowed = frozenset(("nodes that wait for themselves",) if circles else ())
        part.set(dict.fromkeys(circles, CIRCLE))
        again = [node for node in order if node.op in AGAIN]
        part.set({node.name: self._of(node) for node in again})
        plain = [node for node in order if node.op not in AGAIN]
        self._round(part, plain)
        if again:
            self._repeat(part, plain, again)
        return part

    def edges(self, node: Node) -> tuple[Edge, ...]:
        """A node's inputs."""
        if node.name not in self._edges:
            self._edges[node.name] = tuple(map(edge, node.inputs))
        return self._edges[node.name]

    def node(self, name: str) -> Node | None:
        """The node of this name."""
        return self._nodes.get(name)

    def _of(self, node: Node) -> bytes:
        if node.name not in self._own:
            self._own[node.name] = self._what(node)
        return self._own[node.name]

    def _round(self, part: Part, nodes: list[Node]) -> None:
        for node in nodes:
            part.add(node, self._of(node), self.edges(node))

    def _repeat(self, part: Part, plain: list[Node], again: list[Node]) -> None:
        told = rounds = 0
        while (apart := len({part.label(node.name) for node in again})) > told:
            told, rounds = apart, rounds + 1
            if rounds * len(plain) > MOST_LABELS:
                part.unfollowed |= {"loops that are too large"}
                break
            before = [(node, part.tensor(node.inputs[0])) for node in again if node.inputs]
            part.set({node.name: _hash(self._of(node), one) for node, one in before})
            self._round(part, plain)
        ends = sorted(part.label(node.name) for node in again)
        part.loops = _hash(rounds.to_bytes(4, "big"), *ends)

    def _order(self, roots: list[Edge], part: Part) -> tuple[list[Node], list[str]]:
        """Nodes after their inputs; and those that a circle without NextIteration leads to."""
        order: list[Node] = []
        circles: list[str] = []
        state: dict[str, bool] = {}  # whether all inputs of a node have been seen to
        later = [one.name for one in reversed(roots) if not part.stops(one)]
        while later:
            stack = [(later.pop(), False)]
            while stack:
                name, done = stack.pop()
                node = self._nodes.get(name)
                if node is None or (not done and name in state):
                    continue
                state[name] = done
                if done:
                    order.append(node)
                    continue
                stack.append((name, True))
                before = [one.name for one in self.edges(node) if not part.stops(one)]
                if node.op in AGAIN:
                    later += before
                else:
                    circles += [other for other in before if state.get(other) is False]
                    stack += [(other, False) for other in before]
        return order, circles


def _hash(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()
