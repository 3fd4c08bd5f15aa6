"""Which values of the checkpoint each variable, and table, of a graph is filled with on loading."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from edgepack.savedmodel.reach import LOADING, node_name, reaches
from edgepack.savedmodel.sources import ARGUMENTS_FROM, PASSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edgepack.savedmodel.canonical import Canon
    from edgepack.savedmodel.messages import MetaGraph, Node
    from edgepack.savedmodel.wire import Message

RESTORES = "RestoreV2"  # inputs: the file's name, names of tensors, what part of each
ASSIGNS = frozenset(("Assign", "AssignVariableOp"))
FILLS = frozenset(
    (
        "InitializeTable",
        "InitializeTableV2",
        "InitializeTableFromTextFile",
        "InitializeTableFromTextFileV2",
        "LookupTableImport",
        "LookupTableImportV2",
    )
)
MOST_CALLS = 10_000  # calls of functions, of which loading needs a handful


class Stored(NamedTuple):
    """A tensor of the checkpoint, and what part of it; all where nothing is said."""

    name: str
    part: str


class Use(NamedTuple):
    """A node of the graph that fills a table, and as which of its inputs it takes the table."""

    node: Node
    place: int


@dataclass
class Filled:
    """What loading puts where, by the name of the graph's node.

    Attributes:
        stored: values of the checkpoint.
        assigned: tensors of the graph, for variables that no value of the checkpoint is for.
        used: nodes that fill tables.
    """

    stored: defaultdict[str, list[Stored]] = field(default_factory=lambda: defaultdict(list))
    assigned: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    used: defaultdict[str, list[Use]] = field(default_factory=lambda: defaultdict(list))


class _Scope(NamedTuple):
    """The graph, or a function as one call of it: what nodes of the graph its arguments are."""

    nodes: Mapping[str, Node]
    bound: Mapping[str, str]
    call: Node | None
    inputs: tuple[str, ...]


def filled(meta: MetaGraph, canon: Canon) -> Filled:
    """Follow everything that loading runs.

    Raises:
        WireError: the bytes are no graph.
    """
    found, nodes = Filled(), {node.name: node for node in meta.graph.nodes}
    loading = [reach.nodes for reach in reaches(meta, meta.graph) if reach.name == LOADING]
    ran = [node for node in meta.graph.nodes if any(node.name in names for names in loading)]
    scope = _Scope(nodes, {}, None, ())
    waiting = _scan(found, scope, ran, canon)
    for _ in range(MOST_CALLS):
        if not waiting:
            break
        inner = waiting.pop()
        waiting += _scan(found, inner, inner.nodes.values(), canon)
    _initial(found, nodes)
    return found


def _scan(found: Filled, scope: _Scope, ran: Iterable[Node], canon: Canon) -> list[_Scope]:
    """Note what these nodes fill, and give the calls among them."""
    calls = []
    for node in ran:
        data = [name for name in node.inputs if not name.startswith("^")]
        if node.op in ASSIGNS:
            _assign(found, scope, data)
        elif node.op in FILLS:
            _fill(found, scope, node, data)
        elif len(called := canon.called(node)) == 1:
            calls += _called(scope, node, data, *called, canon=canon)
    return calls


def _assign(found: Filled, scope: _Scope, data: list[str]) -> None:
    target = _origin(scope, data[0]) if data else ""
    if target and (value := _value(scope, data[1])):
        found.stored[target].append(value)


def _fill(found: Filled, scope: _Scope, node: Node, data: list[str]) -> None:
    target = _origin(scope, data[0]) if data else ""
    values = [value for one in data[1:] if (value := _value(scope, one))]
    found.stored[target] += values
    outer = scope.call or node
    places = [p for p, one in enumerate(scope.inputs or data) if node_name(one) == target]
    if not values:
        found.used[target] += [Use(outer, place) for place in places]


def _called(scope: _Scope, node: Node, data: list[str], name: str, *, canon: Canon) -> list[_Scope]:
    body, first = canon.body(name), 0 if node.op == name else ARGUMENTS_FROM.get(node.op)
    if body is None or first is None:
        return []
    bound = {
        argument: origin
        for argument, given in zip(body.arguments, data[first:], strict=False)
        if (origin := _origin(scope, given))
    }
    nodes = {one.name: one for one in body.nodes}
    return [_Scope(nodes, bound, scope.call or node, scope.inputs or tuple(data))] if bound else []


def _through(scope: _Scope, tensor: str) -> str:
    """The tensor that this one is a copy of."""
    for _ in range(len(scope.nodes)):
        node = scope.nodes.get(node_name(tensor))
        if node is None or node.op not in PASSES or not node.inputs:
            break
        tensor = node.inputs[0]
    return tensor


def _origin(scope: _Scope, tensor: str) -> str:
    """The node of the graph itself that a tensor comes from; nothing where it is a function's."""
    name = node_name(_through(scope, tensor))
    if scope.call is None:
        return name
    return scope.bound.get(name, "")


def _value(scope: _Scope, tensor: str) -> Stored | None:
    """What of the checkpoint a tensor is."""
    tensor = _through(scope, tensor)
    node = scope.nodes.get(node_name(tensor))
    if node is None or node.op != RESTORES:
        return None
    number = tensor.rpartition(":")[2]
    index = int(number) if ":" in tensor and number.isdecimal() else 0
    names, parts = (_strings(scope, node, place) for place in (1, 2))
    return Stored(names[index], parts[index]) if index < min(len(names), len(parts)) else None


def _strings(scope: _Scope, node: Node, place: int) -> list[str]:
    """Strings of a constant: TensorProto.string_val (8), the last of which may stand for more."""
    source = scope.nodes.get(node_name(node.inputs[place])) if place < len(node.inputs) else None
    value = source.attribute("value") if source and source.op == "Const" else None
    tensor = value.message(8) if value else None
    if tensor is None:
        return []
    texts = tensor.texts(8)
    return texts + texts[-1:] * (_length(tensor) - len(texts))


def _length(tensor: Message) -> int:
    """Strings in a list, by its shape; never more than a checkpoint has tensors."""
    shape = tensor.message(2)
    sizes = [size.number(1) for size in shape.messages(2)] if shape else []
    return min(sizes[0], 1 << 20) if len(sizes) == 1 else 0


def _initial(found: Filled, nodes: Mapping[str, Node]) -> None:
    """Values that the graph itself assigns to variables that are in no checkpoint."""
    for node in nodes.values():
        data = [name for name in node.inputs if not name.startswith("^")]
        if node.op in ASSIGNS and len(data) > 1:
            target = node_name(data[0])
            if target not in found.stored:
                found.assigned[target].append(data[1])
