"""Where the name of a file comes from: the model's own assets, the saver, or elsewhere."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
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
        for key, value in source.message.entries(5):
            tensor = value.message(8) if key == "value" else None
            if tensor:
                return tensor.text(8)
        return None

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
        if node is None or node.op not in PASSES or not node.inputs:
            return None
        return [(scope, node_name(node.inputs[0]))]

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
        scopes = {"": self._graph.nodes, **self._graph.functions}
        return {scope: {node.name: node for node in nodes} for scope, nodes in scopes.items()}

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
        nodes = [self._constant_of(node) for node in objects.messages(1)]
        found: dict[tuple[str, int], list[str]] = {}
        for function, concrete in objects.entries(2):
            bound = concrete.numbers(2)
            for place, number in enumerate(bound):
                name = nodes[number] if number < len(nodes) else UNKNOWN
                found[function, len(bound) - place] = [name]
        return found

    def _constant_of(self, node: Message) -> str:
        """The graph's node behind a SavedAsset (5) or a SavedConstant (9)."""
        for asset in node.messages(5):
            number = asset.number(1)
            return self._asset_nodes[number] if number < len(self._asset_nodes) else UNKNOWN
        return next((constant.text(1) for constant in node.messages(9)), UNKNOWN)

    @cached_property
    def _asset_nodes(self) -> list[str]:
        """The graph's node of each AssetFileDef; none where its file lies outside assets/."""
        return [
            node_name(info.text(1)) if _inside(asset.text(2)) and info else UNKNOWN
            for asset in self._meta.message.messages(6)
            for info in [asset.message(1)]
        ]

    @cached_property
    def _assets(self) -> frozenset[str]:
        return frozenset(self._asset_nodes) - {UNKNOWN}

    @cached_property
    def _saver(self) -> frozenset[str]:
        return frozenset(node_name(saver.text(1)) for saver in self._meta.message.messages(3))


def _inside(name: str) -> bool:
    """Whether a file's name stays in assets/, wherever that is."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    return (
        bool(name) and ".." not in windows.parts and not posix.is_absolute() | windows.is_absolute()
    )


def _data(node: Node) -> list[str]:
    return [name for name in node.inputs if not name.startswith("^")]
