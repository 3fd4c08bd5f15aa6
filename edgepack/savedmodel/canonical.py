"""What a node or function computes, as a hash that no name, order or tool's note goes into.

Nodes are labelled from their inputs on: a label covers the op, its attributes and the labels of
all inputs, so that two tensors with one label are computed in the same way from the same values.
Field numbers: tensorflow/core/framework/{node_def,attr_value,function,op_def}.proto.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from edgepack.savedmodel.effects import UNSAFE_OPS
from edgepack.savedmodel.ops import BUILTIN, NEITHER, SELECT, STRUCTURE, TABLES, VARIABLES
from edgepack.savedmodel.reach import calls
from edgepack.savedmodel.state import assigns
from edgepack.savedmodel.walk import Part, Walk
from edgepack.savedmodel.wire import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.savedmodel.messages import MetaGraph, Node

# Attributes that only name something, or say how to run a function.
NAMES = frozenset(
    ("container", "debug_name", "frame_name", "shared_name", "stack_name", "tensor_array_name")
)
HOW_TO_RUN = frozenset(("config", "config_proto", "executor_type"))
CALLS = frozenset(("PartitionedCall", "StatefulPartitionedCall", "TPUPartitionedCall"))
IMPLEMENTS = "_implements"  # the one note that says what a function means
FOLLOWED_STATE = VARIABLES | TABLES
KNOWN = BUILTIN | STRUCTURE | SELECT | NEITHER
# Ops that give what outlasts a run, or comes from another one.
OTHER_STATE = re.compile(
    r"(?!TensorList)\w*(Handle(Op|V2)?|Queue(V2)?|Iterator(V\d)?|SeedGenerator|SessionTensor|Recv"
    r"|Barrier|Accumulator|Stack|StackV2|TensorMap|Resource|MapUnstage|Unstage)"
)
UNTRACED = hashlib.sha256(b"a function that calls itself").digest()


class Body(NamedTuple):
    """A function of the library: its arguments and results, by name, in order."""

    arguments: tuple[str, ...]
    types: tuple[int, ...]
    returned: tuple[str, ...]
    effects: tuple[str, ...]
    means: bytes
    nodes: tuple[Node, ...]


def digest(*parts: bytes) -> bytes:
    """SHA-256 over parts, each with its length, so that none runs into the next."""
    return hashlib.sha256(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).digest()


class Canon:
    """Labels nodes and functions of one graph.

    Attributes:
        unfollowed: what could not be followed, by the function it is in.
        assigning: functions that change variables, themselves or by what they call.
    """

    def __init__(self, meta: MetaGraph) -> None:
        self._meta = meta
        self._bodies = dict(_bodies(meta))
        self._digests: dict[str, bytes] = {}
        self._attributes: dict[bytes, tuple[str, bytes]] = {}
        self._calls: dict[str, frozenset[str]] = {}
        self.unfollowed: dict[str, frozenset[str]] = {}
        self.assigning: set[str] = set()

    def body(self, name: str) -> Body | None:
        """A function of the library."""
        return self._bodies.get(name)

    def called(self, node: Node) -> frozenset[str]:
        """Functions of the library that a node runs."""
        return frozenset(name for name in calls(node) if name in self._bodies)

    def label(self, node: Node) -> bytes:
        """What a node is, apart from its inputs."""
        for name in self.called(node):
            self.function(name)
        op = self._digests.get(node.op) or node.op.encode()
        kept = sorted(self._kept(node))
        return digest(op, *(part for key, value in kept for part in (key.encode(), value)))

    def _kept(self, node: Node) -> Iterator[tuple[str, bytes]]:
        for raw in node.message.raw(5):
            key, value = self._attributes.get(raw) or self._attribute(raw)
            if key[:1] == "_" or key in NAMES or (key in HOW_TO_RUN and node.op in CALLS):
                continue
            yield key, value

    def _attribute(self, raw: bytes) -> tuple[str, bytes]:
        """Key and value; in values functions stand by what they compute."""
        entry = Message(raw)
        value = entry.message(2) or Message(b"")
        functions = [*value.messages(10)]
        for listed in value.messages(1):
            functions += listed.messages(9)
        if functions:
            told = digest(*(part for one in functions for part in self._reference(one)))
        else:
            told = b"".join(entry.raw(2))
        self._attributes[raw] = entry.text(1), told
        return self._attributes[raw]

    def _reference(self, function: Message) -> Iterator[bytes]:
        name = function.text(1)
        yield self._digests.get(name) or name.encode()
        yield from sorted(
            raw for raw in function.raw(2) if not Message(raw).text(1).startswith("_")
        )

    def function(self, name: str) -> bytes:
        """What a function of the library computes."""
        waiting, open_ = [name], set[str]()
        while waiting:
            one = waiting[-1]
            if one in self._digests:
                waiting.pop()
                continue
            missing = [other for other in self._callees(one) if other not in self._digests]
            if open_.intersection(missing):
                self._refuse(one)
            elif missing:
                open_.add(one)
                waiting += missing
            else:
                self._finish(one)
        return self._digests[name]

    def _callees(self, name: str) -> frozenset[str]:
        if name not in self._calls:
            nodes = self._bodies[name].nodes
            self._calls[name] = frozenset(called for node in nodes for called in self.called(node))
        return self._calls[name]

    def _refuse(self, name: str) -> None:
        self._digests[name] = UNTRACED
        self.unfollowed[name] = frozenset(("a function that calls itself",))

    def _finish(self, name: str) -> None:
        body = self._bodies[name]
        callees = self._callees(name)
        inner = frozenset(note for one in callees for note in self.unfollowed.get(one, ()))
        if self.assigning & callees or assigns({node.op for node in body.nodes}):
            self.assigning.add(name)
        walk = Walk(body.nodes, self.label)
        arguments = {
            argument: digest(b"argument", bytes((place >> 8 & 255, place & 255)), b"%d" % kind)
            for place, (argument, kind) in enumerate(zip(body.arguments, body.types, strict=True))
        }
        effects = [*body.effects, *(n.name for n in body.nodes if assigns((n.op,)))]
        part = walk.part([*body.returned, *effects], known=arguments)
        results = [part.tensor(one) for one in body.returned]
        done = sorted({part.label(one) for one in effects})
        types = b",".join(b"%d" % kind for kind in body.types)
        self._digests[name] = digest(
            b"function", types, digest(*results), *done, body.means, part.loops
        )
        self.unfollowed[name] = inner | self.notes(part, inside=True)

    def notes(self, part: Part, *, inside: bool = False) -> frozenset[str]:
        """What of these nodes, or of the functions they run, could not be followed."""
        found = {name for node in part.nodes for name in self.called(node)}
        notes = {note for name in found for note in self.unfollowed.get(name, ())} | part.unfollowed
        ops = {node.op for node in part.nodes} - self._bodies.keys()
        notes |= {f"{op}, which {UNSAFE_OPS[op]}" for op in ops & UNSAFE_OPS.keys()}
        notes |= {f"custom op {op}" for op in ops - KNOWN}
        notes |= {f"{op} inside a function" for op in ops & FOLLOWED_STATE if inside}
        return frozenset(notes | {f"what {op} holds" for op in ops if OTHER_STATE.fullmatch(op)})

    def changes_state(self, nodes: Iterable[Node]) -> bool:
        """Whether one of these nodes changes a variable."""
        return any(assigns((n.op,)) or self.assigning & self.called(n) for n in nodes)


def _bodies(meta: MetaGraph) -> Iterator[tuple[str, Body]]:
    graph = meta.message.message(2)
    library = graph.message(2) if graph else None
    for function in library.messages(1) if library else ():
        if signature := function.message(1):
            name = signature.text(1)
            yield name, _body(function, signature, meta.graph.functions.get(name, ()))


def _body(function: Message, signature: Message, nodes: tuple[Node, ...]) -> Body:
    taken = list(signature.messages(2))
    returned = {entry.text(1): entry.text(2) for entry in function.messages(4)}
    names = [argument.text(1) for argument in signature.messages(3)]
    means = [raw for raw in function.raw(5) if Message(raw).text(1) == IMPLEMENTS]
    return Body(
        arguments=tuple(argument.text(1) for argument in taken),
        types=tuple(argument.number(3) for argument in taken),
        returned=tuple(returned.get(name, name) for name in names),
        effects=tuple(sorted(entry.text(2) for entry in function.messages(6))),
        means=b"".join(means),
        nodes=nodes,
    )
