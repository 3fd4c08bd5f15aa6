"""Functions that a SavedModel's object graph offers, for models saved without a signature.

Field numbers: tensorflow/core/protobuf/{saved_object_graph,struct}.proto.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.records.tensors import Signature, Tensor
from edgepack.savedmodel.messages import tensor_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.savedmodel.messages import MetaGraph
    from edgepack.savedmodel.wire import Message

FUNCTION = "function"  # stands where a signature names the method it serves
ROOT = "__call__"  # the root object called as a function
TENSOR_SPECS = (33, 35)
LISTS = (51, 52)
DICT, NAMED_TUPLE = 53, 54


def functions(meta: MetaGraph) -> tuple[Signature, ...]:
    """Every function of the root object that takes and gives tensors, as if it were a signature.

    A function that was traced more than once has an entry a trace: `call`, `call#1`, ... Inputs
    stand in the order the function takes them. Outputs have the keys of the dictionary that it
    returns, else output_0, output_1, ...
    """
    objects = meta.message.message(7)
    if objects is None:
        return ()
    traces = dict(objects.entries(2))
    found = (
        _signature(name, traces[trace]) for name, trace in bodies(meta).items() if trace in traces
    )
    return tuple(one for one in found if one.inputs and one.outputs)


def bodies(meta: MetaGraph) -> dict[str, str]:
    """What `functions` names, and the root's other functions, as the graph's library calls them."""
    return {
        name if not index else f"{name}#{index}": trace
        for name, names in _named(list(meta.objects()))
        for index, trace in enumerate(names)
    }


def _named(nodes: list[Message]) -> Iterator[tuple[str, list[str]]]:
    """Attributes of the root that are functions, with the names of their traces."""
    if not nodes:
        return
    if traces := _traces(nodes[0]):
        yield ROOT, traces
    for child in nodes[0].messages(1):
        node = child.number(1)
        if node and node < len(nodes) and (traces := _traces(nodes[node])):
            yield child.text(2), traces


def _traces(node: Message) -> list[str]:
    """Concrete functions of an object: of a function (6), or one that stands bare (8)."""
    if function := node.message(6):
        return function.texts(1)
    bare = node.message(8)
    return [bare.text(1)] if bare else []


def _signature(name: str, trace: Message) -> Signature:
    given, taken = trace.message(4), trace.message(3)
    inputs = tuple(map(_argument, _specs(taken))) if taken else ()
    outputs = tuple(_outputs(given)) if given else ()
    return Signature(name=name, inputs=inputs, outputs=outputs, method=FUNCTION)


def _argument(spec: Tensor) -> Tensor:
    """With a name that Python takes as a keyword: `inputs/0` becomes inputs_0."""
    return spec.model_copy(update={"name": re.sub(r"\W", "_", spec.name)})


def _outputs(given: Message) -> Iterator[Tensor]:
    fields = given.message(DICT)
    if fields is None:
        for index, spec in enumerate(_specs(given)):
            yield spec.model_copy(update={"name": f"output_{index}"})
        return
    for key, value in sorted(fields.entries(1), key=lambda pair: pair[0]):
        yield from (spec.model_copy(update={"name": key}) for spec in _specs(value))


def _specs(value: Message) -> Iterator[Tensor]:
    """Tensors of a StructuredValue, in the order TensorFlow flattens it."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        for number in TENSOR_SPECS:
            yield from (tensor_spec(spec) for spec in one.messages(number))
        waiting += reversed(list(_parts(one)))


def _parts(value: Message) -> Iterator[Message]:
    for number in LISTS:
        for items in value.messages(number):
            yield from items.messages(1)
    for fields in value.messages(DICT):
        yield from (part for _, part in sorted(fields.entries(1), key=lambda pair: pair[0]))
    for named in value.messages(NAMED_TUPLE):
        yield from (part for pair in named.messages(2) if (part := pair.message(2)))
