"""What training and custom types left in the object graph.

Field numbers: tensorflow/core/protobuf/{saved_object_graph,struct}.proto.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from edgepack.savedmodel.functions import DICT, LISTS, NAMED_TUPLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.savedmodel.messages import MetaGraph
    from edgepack.savedmodel.wire import Message

# How Keras calls its optimizers: the one of old, and the one since TensorFlow 2.9.
OPTIMIZERS = frozenset(("optimizer", "experimentalOptimizer"))
METRICS = frozenset(("_tf_keras_metric",))
TYPE_SPEC = 34
REGISTERED = 12
# TypeSpecProto.TypeSpecClass: what TensorFlow 2.21 reads by itself.
KNOWN_CLASSES = frozenset((*range(1, 11), 13))
KNOWN_PREFIX = "tf."  # of the registered TypeSpecs that are TensorFlow's own


class Training(NamedTuple):
    """Objects that only training needs."""

    optimizers: int
    metrics: int


def training(meta: MetaGraph) -> Training:
    """Optimizers and metrics in the object graph, counted."""
    kinds = Counter(user.text(1) for one in meta.objects() if (user := one.message(4)))
    return Training(sum(kinds[k] for k in OPTIMIZERS), sum(kinds[k] for k in METRICS))


def unknown_types(meta: MetaGraph) -> tuple[str, ...]:
    """Names of TypeSpecs in signatures of functions that TensorFlow alone cannot read."""
    found = {
        spec.text(3)
        for value in _values(meta)
        for spec in _type_specs(value)
        if not _is_known(spec.number(1), spec.text(3))
    }
    return tuple(sorted(found))


def _is_known(kind: int, name: str) -> bool:
    return name.startswith(KNOWN_PREFIX) if kind == REGISTERED else kind in KNOWN_CLASSES


def _values(meta: MetaGraph) -> Iterator[Message]:
    """StructuredValues of concrete functions (2), and of functions' specs (6, 8)."""
    objects = meta.message.message(7)
    if objects is None:
        return
    for _, function in objects.entries(2):
        for number in (3, 4):
            yield from function.messages(number)
    for one in objects.messages(1):
        for kind, spec_field in ((6, 2), (8, 4)):
            for function in one.messages(kind):
                for spec in function.messages(spec_field):
                    yield from (value for number in (1, 5) for value in spec.messages(number))


def _type_specs(value: Message) -> Iterator[Message]:
    """Every TypeSpecProto of a StructuredValue, however deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        for spec in one.messages(TYPE_SPEC):
            yield spec
            waiting += spec.messages(2)
        for number in LISTS:
            waiting += [item for held in one.messages(number) for item in held.messages(1)]
        waiting += [item for held in one.messages(DICT) for _, item in held.entries(1)]
        for held in one.messages(NAMED_TUPLE):
            waiting += [item for pair in held.messages(2) for item in pair.messages(2)]
