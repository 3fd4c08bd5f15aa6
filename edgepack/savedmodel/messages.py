"""The messages of a SavedModel that matter here, by field number, as plain values.

Field numbers: tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto and
tensorflow/core/framework/{graph,node_def,function,attr_value,tensor_shape,types}.proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from edgepack.records.tensors import Tensor
from edgepack.savedmodel.wire import BYTES, Message, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

DTYPES = {
    0: "",
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    15: "qint16",
    16: "quint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
    29: "int4",
    30: "uint4",
    31: "int2",
    32: "uint2",
    33: "float4_e2m1fn",
}
REFERENCE = 100  # added to a dtype's number for TensorFlow 1's reference types

# From the SavedModel down to the slot variables of its objects.
SLOT_VARIABLES = (2, 7, 1, 3)


@dataclass(frozen=True)
class MetaGraph:
    """One MetaGraphDef."""

    tags: tuple[str, ...]
    tensorflow_version: str
    tensorflow_git_version: str
    assets: tuple[str, ...]
    message: Message

    @property
    def signatures(self) -> Iterator[tuple[str, Message]]:
        """SignatureDefs by name."""
        return self.message.entries(5)

    @property
    def has_objects(self) -> bool:
        """Whether it was saved with an object graph (TensorFlow 2)."""
        return self.message.count(7) > 0

    def objects(self) -> Iterator[Message]:
        """SavedObjects of the object graph, the root first."""
        objects = self.message.message(7)
        return objects.messages(1) if objects else iter(())

    def slot_variables(self) -> int:
        """Optimizer slot variables in the object graph."""
        return sum(node.count(3) for node in self.objects())

    @cached_property
    def graph(self) -> Graph:
        """Its GraphDef, read once."""
        message = self.message.message(2) or Message(b"")
        library = message.message(2) or Message(b"")
        functions = {}
        for function in library.messages(1):
            signature = function.message(1)
            functions[signature.text(1) if signature else ""] = _nodes(function, 3)
        return Graph(nodes=_nodes(message, 1), functions=functions)


@dataclass(frozen=True)
class Node:
    """A NodeDef; its attributes stay unread until asked for."""

    name: str
    op: str
    inputs: tuple[str, ...]
    message: Message

    def attribute(self, name: str) -> Message | None:
        """An AttrValue, or None where the node has no such attribute."""
        return next((value for key, value in self.message.entries(5) if key == name), None)

    def called(self) -> Iterator[str]:
        """Names of the functions that the attributes refer to, singly (10) or in a list (1)."""
        for _, value in self.message.entries_with(5, 10 << 3 | BYTES, 9 << 3 | BYTES):
            for function in value.messages(10):
                yield function.text(1)
            for functions in value.messages(1):
                yield from (function.text(1) for function in functions.messages(9))


@dataclass(frozen=True)
class Graph:
    """A GraphDef: its own nodes, and those of each function of its library."""

    nodes: tuple[Node, ...]
    functions: dict[str, tuple[Node, ...]]


@dataclass(frozen=True)
class TensorInfo:
    """The tensor behind one input or output of a signature."""

    tensor: str
    dtype: str
    shape: tuple[int, ...] | None


def meta_graphs(data: bytes) -> list[MetaGraph]:
    """Every MetaGraphDef of a SavedModel.

    Raises:
        WireError: the bytes are no protocol buffer.
    """
    return [_meta_graph(message) for message in Message(data).messages(2)]


def _meta_graph(message: Message) -> MetaGraph:
    info = message.message(1) or Message(b"")
    return MetaGraph(
        tags=tuple(sorted(info.texts(4))),
        tensorflow_version=info.text(5),
        tensorflow_git_version=info.text(6),
        assets=tuple(asset.text(2) for asset in message.messages(6)),
        message=message,
    )


def tensor_info(message: Message) -> TensorInfo:
    """Read a TensorInfo."""
    shape, number = message.message(3), message.number(2)
    return TensorInfo(
        tensor=message.text(1),
        dtype=DTYPES.get(number % REFERENCE, f"dtype{number}"),
        shape=_shape(shape) if shape else (),
    )


def tensor_spec(message: Message) -> Tensor:
    """Read a TensorSpecProto."""
    shape = message.message(2)
    return Tensor(
        name=message.text(1),
        dtype=DTYPES.get(message.number(3), f"dtype{message.number(3)}"),
        shape=_shape(shape) if shape else (),
    )


def declared_shape(node: Node) -> tuple[int, ...] | None:
    """What a node's attribute `shape` says; None where it has none, or the rank is unknown."""
    value = node.attribute("shape")
    shape = value.message(7) if value else None
    return _shape(shape) if shape else None


def _shape(message: Message) -> tuple[int, ...] | None:
    """Dimensions with -1 for an unknown one; None where even the rank is unknown."""
    if message.number(3):
        return None
    return tuple(signed(dim.number(1)) for dim in message.messages(2))


def graph(meta: MetaGraph) -> Graph:
    """The graph of a MetaGraphDef.

    Raises:
        WireError: the bytes are no graph.
    """
    return meta.graph


def _nodes(message: Message, number: int) -> tuple[Node, ...]:
    return tuple(map(_node, message.messages(number)))


def _node(message: Message) -> Node:
    names, ops, inputs = message.texts_of(1, 2, 3)
    return Node("".join(names[-1:]), "".join(ops[-1:]), tuple(inputs), message)
