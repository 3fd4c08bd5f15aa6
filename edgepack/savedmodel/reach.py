"""What runs when: the nodes and functions that loading, each signature and saving lead to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.savedmodel.messages import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.savedmodel.messages import Graph, MetaGraph
    from edgepack.savedmodel.wire import Message

Place = tuple[str, Node]  # the function it stands in, or "" for the graph itself; the node

LOADING = "loading"
SAVING = "saving"
SIGNATURE = "signature "
METHOD = "function "
INIT_SIGNATURE = "__saved_model_init_op"
# tensorflow/python/saved_model/constants.py; the last is what tables_initializer() runs
INIT_COLLECTIONS = frozenset(("saved_model_main_op", "legacy_init_op", "table_initializer"))
# Functions that the loader itself calls: tensorflow/python/trackable/resource.py
RESOURCE_FUNCTIONS = frozenset(("_create_resource", "_initialize", "_destroy_resource"))


@dataclass(frozen=True)
class Reach:
    """What one occasion runs.

    Attributes:
        name: "loading", "saving", "signature NAME", or "function NAME" of the model object.
        nodes: names of nodes of the graph itself.
        functions: names of functions; all of a function's nodes count.
    """

    name: str
    nodes: frozenset[str]
    functions: frozenset[str]

    def holds(self, place: Place) -> bool:
        """Whether it runs this node."""
        scope, node = place
        return scope in self.functions if scope else node.name in self.nodes


@dataclass
class _Roots:
    """Where one occasion begins: tensors or ops that are fetched, what is fed, what is called."""

    fetched: list[str]
    fed: set[str]
    called: list[str]


def reaches(meta: MetaGraph, graph: Graph) -> tuple[Reach, ...]:
    """Everything that runs something, by the occasion."""
    roots: defaultdict[str, _Roots] = defaultdict(lambda: _Roots([], set(), []))
    _from_signatures(meta, roots)
    _from_collections(meta, roots)
    _from_saver(meta, roots)
    _from_objects(meta, roots)
    followed = _Followed(graph)
    return tuple(_reach(name, root, followed) for name, root in sorted(roots.items()))


def _from_signatures(meta: MetaGraph, roots: defaultdict[str, _Roots]) -> None:
    for name, message in dict(meta.signatures).items():  # the last of a name counts
        root = roots[LOADING if name == INIT_SIGNATURE else SIGNATURE + name]
        root.fetched += [tensor for _, info in message.entries(2) for tensor in _tensors(info)]
        if name != INIT_SIGNATURE:
            root.fed.update(_fed(info) for info in dict(message.entries(1)).values())


def _tensors(info: Message) -> Iterator[str]:
    """Names in a TensorInfo: of a tensor, of a sparse one's parts, of a composite's components."""
    waiting = [info]  # a hostile file may nest them deeper than Python calls go
    while waiting:
        one = waiting.pop()
        yield from one.texts(1)
        for sparse in one.messages(4):
            yield from (name for number in (1, 2, 3) for name in sparse.texts(number))
        for composite in one.messages(5):
            waiting += composite.messages(2)


def _fed(info: Message) -> str:
    """The tensor that an input replaces, so that nothing before it runs; none if it may be more."""
    plain = info.count(1) == 1 and not info.count(4) and not info.count(5)
    return _indexed(info.text(1)) if plain else ""


def _from_collections(meta: MetaGraph, roots: defaultdict[str, _Roots]) -> None:
    for key, collection in meta.message.entries(4):
        if key in INIT_COLLECTIONS:
            for listed in collection.messages(1):
                roots[LOADING].fetched += listed.texts(1)


def _from_saver(meta: MetaGraph, roots: defaultdict[str, _Roots]) -> None:
    if saver := meta.message.message(3):
        roots[SAVING].fetched += saver.texts(2)
        roots[LOADING].fetched += saver.texts(3)


def _from_objects(meta: MetaGraph, roots: defaultdict[str, _Roots]) -> None:
    """SavedObjectGraph: children (1) by name (2), functions (6, 8), savers (11) of each object."""
    objects = meta.message.message(7)
    nodes = list(objects.messages(1)) if objects else []
    for number, node in enumerate(nodes):
        for name, child in _children(node, nodes):
            if name in RESOURCE_FUNCTIONS:
                roots[LOADING].called += _functions(child)
            elif number == 0 and name == "signatures":
                for signature, function in _children(child, nodes):
                    roots[SIGNATURE + signature].called += _functions(function)
            elif number == 0 and (functions := _functions(child)):
                roots[METHOD + name].called += functions
        for save, restore in _saveables(node):
            roots[SAVING].called += _function_of(nodes, save)
            roots[LOADING].called += _function_of(nodes, restore)


def _children(node: Message, nodes: list[Message]) -> Iterator[tuple[str, Message]]:
    for reference in node.messages(1):
        if reference.number(1) < len(nodes):
            yield reference.text(2), nodes[reference.number(1)]


def _saveables(node: Message) -> Iterator[tuple[int, int]]:
    for entry in node.messages(11):
        for saveable in entry.messages(2):
            yield saveable.number(2), saveable.number(3)


def _function_of(nodes: list[Message], number: int) -> list[str]:
    return _functions(nodes[number]) if number < len(nodes) else []


def _functions(node: Message) -> list[str]:
    """Concrete functions of a SavedFunction (6) or SavedBareConcreteFunction (8)."""
    found = [name for function in node.messages(6) for name in function.texts(1)]
    return found + [name for function in node.messages(8) for name in function.texts(1)]


class _Followed:
    """What each node and each function calls, read once however many occasions run it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.nodes = {node.name: node for node in graph.nodes}
        self._by_node: dict[str, set[str]] = {}
        self._by_function: dict[str, set[str]] = {}

    def of_node(self, node: Node) -> set[str]:
        if node.name not in self._by_node:
            self._by_node[node.name] = self._known([node])
        return self._by_node[node.name]

    def of_function(self, name: str) -> set[str]:
        if name not in self._by_function:
            self._by_function[name] = self._known(self._graph.functions[name])
        return self._by_function[name]

    def _known(self, nodes: Iterable[Node]) -> set[str]:
        return {name for node in nodes for name in calls(node) if name in self._graph.functions}

    def closure(self, called: Iterable[str]) -> frozenset[str]:
        """Functions that are called, directly or by others."""
        waiting = [name for name in called if name in self._graph.functions]
        seen: set[str] = set()
        while waiting:
            if (name := waiting.pop()) not in seen:
                seen.add(name)
                waiting += self.of_function(name)
        return frozenset(seen)


def _reach(name: str, root: _Roots, followed: _Followed) -> Reach:
    seen: set[str] = set()
    called, waiting = set(root.called), list(root.fetched)
    while waiting:
        tensor = waiting.pop()
        node = followed.nodes.get(node_name(tensor))
        if node is None or node.name in seen or _indexed(tensor) in root.fed:
            continue
        seen.add(node.name)
        waiting += node.inputs
        called |= followed.of_node(node)
    return Reach(name, frozenset(seen), followed.closure(called))


def calls(node: Node) -> Iterable[str]:
    """Functions by attribute, and by the name of the op itself, as TensorFlow 1 calls them."""
    yield node.op
    yield from node.called()


def node_name(tensor: str) -> str:
    """`^node`, `node:0` and `node:out:0` are all node."""
    return tensor.removeprefix("^").split(":", 1)[0]


def _indexed(tensor: str) -> str:
    return tensor if ":" in tensor else f"{tensor}:0"
