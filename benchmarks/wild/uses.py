"""What a graph does with each input, followed forward from its placeholder through functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgepack.savedmodel import messages, selection
from edgepack.savedmodel.wire import signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.tensors import Signature
    from edgepack.savedmodel.messages import Node
    from edgepack.savedmodel.wire import Message

PASSES = frozenset(
    (
        "Identity", "IdentityN", "Cast", "Reshape", "ExpandDims", "Squeeze", "Pack", "ConcatV2",
        "StridedSlice", "Transpose", "StopGradient", "Enter", "Switch", "Merge", "Tile",
        "Maximum", "Minimum", "ClipByValue", "EnsureShape", "Unpack", "Split", "Slice",
        "Placeholder", "PlaceholderWithDefault", "AddV2", "SelectV2", "ReverseV2", "FloorMod",
        "TensorListFromTensor", "TensorListGetItem", "TensorArrayScatterV3", "TensorArrayReadV3",
        "GatherV2", "Where",
    )
)  # fmt: skip
CALLS = {"PartitionedCall": 0, "StatefulPartitionedCall": 0, "While": 0, "StatelessWhile": 0,
         "If": 1, "StatelessIf": 1}  # fmt: skip
GATHERS = frozenset(("Gather", "GatherV2", "ResourceGather"))
DECODES = frozenset(("DecodeJpeg", "DecodeImage", "DecodePng", "DecodeAndCropJpeg"))
LOOKUPS = frozenset(("LookupTableFindV2", "LookupTableFind"))
LENGTHS = frozenset(("SequenceMask", "ReverseSequence", "Range"))
STEPS = 200_000
MOST_WORDS = 64
SHAPE, TENSOR = 7, 8  # fields of AttrValue
TENSOR_SHAPE, CONTENT, INTEGERS, STRINGS, LONGS = 2, 4, 7, 8, 10  # fields of TensorProto

Place = tuple[str, str]  # the function it is in, and the node or argument


@dataclass(frozen=True)
class Feature:
    """A dense feature of a tf.Example."""

    key: str
    dtype: str
    size: int


@dataclass(frozen=True)
class Use:
    """What became of an input.

    Attributes:
        rows: of the table it indexes; 0 where it indexes none.
        length: whether it says how long something is.
        decodes: whether it is an encoded picture.
        parses: whether it is a serialized tf.Example.
        words: keys of tables, where it is looked up.
        features: what is parsed out of an example.
        guess: shape of a sample, where even the rank is unknown.
    """

    rows: int = 0
    length: bool = False
    decodes: bool = False
    parses: bool = False
    words: tuple[bytes, ...] = ()
    features: tuple[Feature, ...] = ()
    guess: tuple[int, ...] = ()


def uses(path: Path, facts: SavedModelFacts, signature: Signature) -> dict[str, Use]:
    """The use of each input of a signature; empty where the graph cannot be followed."""
    file = path / "saved_model.pb"
    meta = selection.select_graph(messages.meta_graphs(file.read_bytes()), file, facts.tags)
    graph = _Graph(meta.message)
    return {
        tensor.name: graph.use(node_of(tensor.tensor))
        for tensor in signature.inputs
        if tensor.tensor
    }


class _Graph:
    """Nodes by scope, their consumers, and what the arguments of functions were given."""

    def __init__(self, meta: Message) -> None:
        from edgepack.savedmodel.wire import Message as Wire

        graph = meta.message(2) or Wire(b"")
        library = graph.message(2) or Wire(b"")
        self._arguments: dict[str, list[str]] = {}
        self._nodes: dict[Place, Node] = {}
        self._consumers: dict[Place, list[tuple[Node, int, str]]] = {}
        self._bound: dict[Place, Place] = {}
        self._take("", graph, 1)
        for function in library.messages(1):
            definition = function.message(1)
            name = definition.text(1) if definition else ""
            named = definition.messages(2) if definition else ()
            self._arguments[name] = [argument.text(1) for argument in named]
            self._take(name, function, 3)
        self._words = tuple(self._keys())

    def _take(self, scope: str, message: Message, number: int) -> None:
        for raw in message.messages(number):
            node = messages.Node(raw.text(1), raw.text(2), tuple(raw.texts(3)), raw)
            self._nodes[scope, node.name] = node
            for index, source in enumerate(node.inputs):
                if not source.startswith("^"):
                    place = (scope, node_of(source))
                    self._consumers.setdefault(place, []).append((node, index, scope))

    def _keys(self) -> Iterator[bytes]:
        """Strings of constants that are lists: what a table is filled from."""
        count = 0
        for node in self._nodes.values():
            tensor = _attribute(node, "value", TENSOR) if node.op == "Const" else None
            texts = tensor.texts(STRINGS) if tensor else []
            if len(texts) > 1 and count < MOST_WORDS and "save" not in node.name:
                for text in texts[: MOST_WORDS - count]:
                    count += 1
                    yield text.encode()

    def use(self, start: str) -> Use:
        found, waiting, seen = Use(), [("", start)], set()
        while waiting and len(seen) < STEPS:
            place = waiting.pop()
            if place in seen:
                continue
            seen.add(place)
            for node, index, scope in self._consumers.get(place, ()):
                found = self._learn(found, node, index, scope)
                waiting += self._onward(node, index, scope)
        return found

    def _onward(self, node: Node, index: int, scope: str) -> Iterator[Place]:
        if node.op in CALLS or node.op in self._arguments:
            yield from self._into(node, index, scope)
        elif node.op in PASSES and not (node.op == "GatherV2" and index):
            yield scope, node.name

    def _into(self, node: Node, index: int, scope: str) -> Iterator[Place]:
        """The arguments that an input becomes in the functions of a call."""
        first = CALLS.get(node.op, 0)
        given = [node_of(name) for name in node.inputs[first:]]
        called = [node.op] if node.op in self._arguments else list(node.called())
        for function in called:
            arguments = self._arguments.get(function, [])
            for argument, source in zip(arguments, given, strict=False):
                self._bound.setdefault((function, argument), (scope, source))
            if 0 <= index - first < len(arguments):
                yield function, arguments[index - first]

    def _learn(self, found: Use, node: Node, index: int, scope: str) -> Use:
        rows = self._limit(node, index, scope)
        if rows > 0:
            return replace(found, rows=min(found.rows or rows, rows))
        if node.op in LENGTHS and (node.op != "ReverseSequence" or index == 1):
            return replace(found, length=True)
        if node.op in LOOKUPS and index == 1:
            return replace(found, words=self._words)
        if node.op.startswith("Parse") and "Example" in node.op:
            return replace(found, parses=True, features=tuple(self._features(node, scope)))
        return replace(found, decodes=found.decodes or node.op in DECODES)

    def _features(self, node: Node, scope: str) -> Iterator[Feature]:
        """Dense features that a parser looks for."""
        types = _listed(node, "Tdense", 6)
        shapes = _listed(node, "dense_shapes", 7)
        sizes = [_size(shape) for shape in shapes.messages(7)] if shapes else []
        dtypes = [messages.DTYPES.get(number, "") for number in types.numbers(6)] if types else []
        for key, dtype, size in zip(self._dense_keys(node, scope), dtypes, sizes, strict=False):
            if dtype in {"string", "float32", "int64"}:
                yield Feature(key, dtype, size)

    def _dense_keys(self, node: Node, scope: str) -> list[str]:
        """One constant of all keys, or as older graphs have it, one for each."""
        if node.op == "ParseExampleV2":
            return self._texts(scope, node.inputs[3])
        if node.op != "ParseExample":
            return []
        sparse = _number(node, "Nsparse")
        names = node.inputs[2 + sparse : 2 + sparse + _number(node, "Ndense")]
        return [key for name in names for key in self._texts(scope, name)]

    def _texts(self, scope: str, name: str) -> list[str]:
        source = self._source(scope, name)
        tensor = _attribute(source, "value", TENSOR) if source and source.op == "Const" else None
        return tensor.texts(STRINGS) if tensor else []

    def _limit(self, node: Node, index: int, scope: str) -> int:
        """What an index must stay below; 0 where the op takes it for no index."""
        if node.op in GATHERS and index == 1:
            return self._rows(scope, node.inputs[0])
        if node.op == "OneHot" and index == 0:
            return self._integer(scope, node.inputs[1])
        return 0

    def _source(self, scope: str, name: str) -> Node | None:
        """The node behind an input, through functions' arguments and what passes it on."""
        place = (scope, node_of(name))
        for _ in range(100):
            node = self._nodes.get(place)
            if node is None:
                if place not in self._bound:
                    return None
                place = self._bound[place]
            elif node.op in {"Identity", "ReadVariableOp", "Enter", "Cast"} and node.inputs:
                place = (place[0], node_of(node.inputs[0]))
            else:
                return node
        return None

    def _rows(self, scope: str, name: str) -> int:
        node = self._source(scope, name)
        if node is None:
            return 0
        shape = _attribute(node, "shape", SHAPE)
        tensor = _attribute(node, "value", TENSOR) if node.op == "Const" else None
        shape = tensor.message(TENSOR_SHAPE) if tensor else shape
        sizes = [signed(dim.number(1)) for dim in shape.messages(2)] if shape else []
        return sizes[0] if sizes else 0

    def _integer(self, scope: str, name: str) -> int:
        node = self._source(scope, name)
        tensor = _attribute(node, "value", TENSOR) if node and node.op == "Const" else None
        if tensor is None:
            return 0
        return tensor.number(INTEGERS) or tensor.number(LONGS)


def node_of(tensor: str) -> str:
    """The node that makes a tensor: of `node:0` and `node:out:0` it is node."""
    return tensor.partition(":")[0]


def _listed(node: Node, name: str, number: int) -> Message | None:
    """The list that an attribute holds."""
    found = _attribute(node, name, 1)
    return found if found and found.count(number) else None


def _number(node: Node, name: str) -> int:
    return next((value.number(3) for key, value in node.message.entries(5) if key == name), 0)


def _size(shape: Message) -> int:
    size = 1
    for dim in shape.messages(2):
        size *= max(1, signed(dim.number(1)))
    return size


def _attribute(node: Node, name: str, kind: int) -> Message | None:
    for key, value in node.message.entries(5):
        if key == name:
            return value.message(kind)
    return None
