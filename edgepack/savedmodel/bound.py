"""Which stored value each variable of the object graph has.

TensorFlow 2 loads a model by its objects, not by the graph's own restoring: a function of the
library is bound to objects, and the checkpoint says where the value of each lies. Keras 3 writes
graphs whose own restoring fills copies of the variables that the signatures read.
Field numbers: tensorflow/core/protobuf/{trackable_object_graph,saved_object_graph}.proto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.savedmodel import checkpoint
from edgepack.savedmodel.reach import node_name
from edgepack.savedmodel.restored import Stored
from edgepack.savedmodel.wire import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.savedmodel.canonical import Canon
    from edgepack.savedmodel.checkpoint import Checkpoint
    from edgepack.savedmodel.messages import MetaGraph

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"


def bound(meta: MetaGraph) -> dict[str, list[int]]:
    """Numbers of the objects that each function is bound to by its last arguments."""
    objects = meta.message.message(7)
    return {name: one.numbers(2) for name, one in objects.entries(2)} if objects else {}


def values(found: Checkpoint) -> dict[int, Stored]:
    """Where the checkpoint has the value of each variable, by its object's number.

    Raises:
        DamagedModelError: the checkpoint's objects cannot be read.
        WireError: they are no message.
    """
    stored = [one for one in found.tensors if one.name == OBJECT_GRAPH]
    if not stored:
        return {}
    objects = Message(checkpoint.string(found, stored[0])).messages(1)
    return {
        number: Stored(attribute.text(3), "")
        for number, one in enumerate(objects)
        for attribute in one.messages(2)
        if attribute.text(1) == VALUE
    }


def handles(meta: MetaGraph, canon: Canon) -> Iterator[tuple[str, int]]:
    """Nodes of the graph that functions are called with, and the objects these stand for."""
    numbers = bound(meta)
    for node in meta.graph.nodes:
        data = [name for name in node.inputs if not name.startswith("^")]
        for name in canon.called(node):
            last = numbers.get(name, [])
            if 0 < len(last) <= len(data):
                yield from zip(map(node_name, data[-len(last) :]), last, strict=True)
