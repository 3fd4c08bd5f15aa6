"""Where the name of a file comes from: the model's own assets, the saver, or elsewhere."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from edgepack.savedmodel.reach import calls, node_name

if TYPE_CHECKING:
    from edgepack.savedmodel.messages import Graph, MetaGraph, Node
    from edgepack.savedmodel.reach import Place
    from edgepack.savedmodel.wire import Message

UNKNOWN = "?"  # no node has this name
# Inputs before those that become the function's arguments.
ARGUMENTS_FROM = {
    "PartitionedCall": 0,
    "StatefulPartitionedCall": 0,
    "While": 0,
    "StatelessWhile": 0,
    "If": 1,
    "StatelessIf": 1,
    "Case": 1,
    "StatelessCase": 1,
}
MOST_STEPS = 200  # published models take five; what a longer way leads to is not known
ASSET_COLLECTION = "saved_model_assets"  # tensorflow/python/saved_model/constants.py
PLAIN_USES = frozenset(("AssignVariableOp", "ReadVariableOp", "VarIsInitializedOp"))
PASSES = frozenset(("Identity", "StopGradient"))


class Sources:
    """Follows an input back to the nodes of the graph that it can come from."""

    def __init__(self, meta: MetaGraph, graph: Graph) -> None:
        self._meta, self._graph = meta, graph

    def from_own_assets(self, place: Place, index: int) -> bool:
        """Whether an input is always the path of one of the model's assets."""
        return self._origins(place, index) <= self._assets

    def from_saver(self, place: Place, index: int) -> bool:
        """Whether an input is always the path that the loader hands the saver."""
        return self._origins(place, index) <= self._saver

    def constant(self, place: Place, index: int) -> str | None:
        """The string that an input is, where a constant beside the node says it."""
        scope, node = place
        inputs = _data(node)
        source = self._nodes[scope].get(node_name(inputs[index])) if index < len(inputs) else None
        if source is None or source.op != "Const":
            return None
        values = [value.message(8) for key, value in source.message.entries(5) if key == "value"]
        texts = [text for tensor in values if tensor for text in tensor.texts(8)]
        return texts[0] if len(texts) == len(values) == 1 else None

    def _origins(self, place: Place, index: int) -> frozenset[str]:
        scope, node = place
        inputs = _data(node)
        if index >= len(inputs):
            return frozenset((UNKNOWN,))
        found: set[str] = set()
        waiting, seen = [(scope, node_name(inputs[index]))], set[tuple[str, str]]()
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            if len(seen) == MOST_STEPS:
                return frozenset((UNKNOWN,))
            seen.add(at)
            further = self._before(*at)
            waiting += further or ()
            if further is None:
                found.add(UNKNOWN if at[0] else at[1])
        return frozenset(found) or frozenset((UNKNOWN,))

    def _before(self, scope: str, name: str) -> list[tuple[str, str]] | None:
        """Where the value at a name comes from; None where it begins."""
        arguments = self._arguments.get(scope, [])
        if name in arguments:
            return self._given(scope, arguments.index(name), len(arguments))
        node = self._nodes[scope].get(name)
        if node is None or not node.inputs:
            return None
        if node.op == "ReadVariableOp" and not scope:
            return self._assigned(node_name(node.inputs[0]))
        return [(scope, node_name(node.inputs[0]))] if node.op in PASSES else None

    def _assigned(self, variable: str) -> list[tuple[str, str]] | None:
        """What a variable of the graph is set to; None where more than plain ops may set it.

        TensorFlow 2 hands an asset's path to the graph's own initialiser through a variable.
        """
        users = self._users[variable]
        alone = self._handles[_shared_name(self._nodes[""].get(variable))] == 1
        if not alone or any(user.op not in PLAIN_USES for user in users):
            return None
        values = [_data(user)[1:2] for user in users if user.op == "AssignVariableOp"]
        return [("", node_name(value[0]) if value else UNKNOWN) for value in values] or None

    def _given(self, function: str, index: int, count: int) -> list[tuple[str, str]]:
        """What callers give as an argument: nodes, and objects bound to the last ones."""
        found = [("", name) for name in self._bound.get((function, count - index), ())]
        for scope, node in self._callers[function]:
            inputs = _data(node)
            first = 0 if node.op == function else ARGUMENTS_FROM.get(node.op)
            given = inputs[first + index :] if first is not None else []
            found.append((scope, node_name(given[0]) if given else UNKNOWN))
        return found or [("", UNKNOWN)]

    @cached_property
    def _nodes(self) -> dict[str, dict[str, Node]]:
        scopes = {**self._graph.functions, "": self._graph.nodes}
        return {scope: {node.name: node for node in nodes} for scope, nodes in scopes.items()}

    @cached_property
    def _users(self) -> defaultdict[str, list[Node]]:
        """Nodes of the graph by the nodes whose values they take."""
        users: defaultdict[str, list[Node]] = defaultdict(list)
        for node in self._graph.nodes:
            for name in {node_name(tensor) for tensor in _data(node)}:
                users[name].append(node)
        return users

    @cached_property
    def _handles(self) -> Counter[str]:
        """Variables by the name that the nodes of one variable share."""
        everywhere = (node for nodes in self._nodes.values() for node in nodes.values())
        return Counter(_shared_name(node) for node in everywhere if node.op == "VarHandleOp")

    @cached_property
    def _arguments(self) -> dict[str, list[str]]:
        """Arguments of each function, in order: FunctionDef.signature (1), its input_arg (2)."""
        graph = self._meta.message.message(2)
        library = graph.message(2) if graph else None
        signatures = [f.message(1) for f in library.messages(1)] if library else []
        return {s.text(1): [arg.text(1) for arg in s.messages(2)] for s in signatures if s}

    @cached_property
    def _callers(self) -> defaultdict[str, list[Place]]:
        callers: defaultdict[str, list[Place]] = defaultdict(list)
        for scope, nodes in self._nodes.items():
            for node in nodes.values():
                for function in calls(node):
                    if function in self._graph.functions:
                        callers[function].append((scope, node))
        return callers

    @cached_property
    def _bound(self) -> dict[tuple[str, int], list[str]]:
        """Nodes bound to a function's arguments, counted from the last, by the object graph."""
        objects = self._meta.message.message(7)
        if objects is None:
            return {}
        nodes = [self._asset_of(node) for node in objects.messages(1)]
        found: dict[tuple[str, int], list[str]] = {}
        for function, concrete in objects.entries(2):
            bound = concrete.numbers(2)
            for place, number in enumerate(bound):
                name = nodes[number] if number < len(nodes) else UNKNOWN
                found[function, len(bound) - place] = [name]
        return found

    def _asset_of(self, node: Message) -> str:
        """The graph's node behind a SavedAsset (5); a constant may hold any path."""
        number = next((asset.number(1) for asset in node.messages(5)), len(self._asset_nodes))
        return self._asset_nodes[number] if number < len(self._asset_nodes) else UNKNOWN

    @cached_property
    def _asset_nodes(self) -> list[str]:
        """The graph's node of each AssetFileDef; none where its file lies outside assets/."""
        return [
            node_name(info.text(1)) if _inside(asset.text(2)) and info else UNKNOWN
            for asset in list(self._meta.message.messages(6)) or self._old_asset_files()
            for info in [asset.message(1)]
        ]

    def _old_asset_files(self) -> list[Message]:
        """AssetFileDefs where TensorFlow 1 put them: CollectionDef.any_list (5), Any.value (2)."""
        collections = self._meta.message.entries(4)
        lists = [c.messages(5) for key, c in collections if key == ASSET_COLLECTION]
        found = (message for listed in lists for each in listed for message in each.messages(1))
        return [asset for message in found for asset in message.messages(2)]

    @cached_property
    def _assets(self) -> frozenset[str]:
        return frozenset(self._asset_nodes) - {UNKNOWN}

    @cached_property
    def _saver(self) -> frozenset[str]:
        saver = self._meta.message.message(3)
        return frozenset((node_name(saver.text(1)),)) if saver else frozenset()


def _inside(name: str) -> bool:
    """Whether a file's name stays in assets/, wherever that is."""
    path = PurePosixPath(name)
    return bool(name) and ".." not in path.parts and not path.is_absolute()


def _shared_name(node: Node | None) -> str:
    attributes = node.message.entries(5) if node else ()
    return next((value.text(2) for key, value in attributes if key == "shared_name"), "")


def _data(node: Node) -> list[str]:
    return [name for name in node.inputs if not name.startswith("^")]
