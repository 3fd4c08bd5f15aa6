"""What each signature makes TensorFlow compute: the ops it reaches, and what they give away."""

from __future__ import annotations

import re
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from edgepack.records.facts import Computation
from edgepack.records.tensors import OpUse
from edgepack.savedmodel import ops
from edgepack.savedmodel.functions import FUNCTION, bodies
from edgepack.savedmodel.messages import REFERENCE, declared_shape
from edgepack.savedmodel.ragged import pads_to_longest
from edgepack.savedmodel.reach import SIGNATURE, calls, reaches
from edgepack.savedmodel.recurrence import recurrent
from edgepack.savedmodel.state import assigns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from edgepack.records.tensors import Signature, Tensor
    from edgepack.savedmodel.messages import Graph, MetaGraph, Node

OPEN = -1
MAX_RANK = 254  # tensorflow/core/framework/tensor_shape.h
MAX_SIZE = 2**63 - 1
PLACEHOLDERS = frozenset(("Placeholder", "PlaceholderV2", "PlaceholderWithDefault"))
CPU = re.compile(r".*device:CPU:\d+", re.IGNORECASE)


class Part(NamedTuple):
    """What one signature reaches: its nodes, and the functions that some of them stand in."""

    nodes: tuple[Node, ...]
    functions: frozenset[str]

    def of(self, names: Iterable[str]) -> list[Node]:
        """Nodes whose op is one of these."""
        wanted = frozenset(names)
        return [node for node in self.nodes if node.op in wanted]


def computations(meta: MetaGraph, graph: Graph, called: Iterable[Signature]) -> list[Computation]:
    """What computing each of these signatures, or functions, involves."""
    reached = {reach.name: reach for reach in reaches(meta, graph)}
    traces = bodies(meta)
    nodes = {node.name: node for node in graph.nodes}
    found = []
    for signature in called:
        if signature.method == FUNCTION:
            outer, functions = frozenset[str](), _closure(graph, traces[signature.name])
        elif reach := reached.get(SIGNATURE + signature.name):
            outer, functions = reach.nodes, reach.functions
        else:  # what initialises a model is run on loading
            continue
        inner = [node for name in sorted(functions) for node in graph.functions[name]]
        part = Part((*(nodes[name] for name in sorted(outer)), *inner), functions)
        found.append(_computation(signature, part, graph.functions.keys()))
    return found


def _closure(graph: Graph, name: str) -> frozenset[str]:
    """A function, and every one that it leads to."""
    waiting, seen = [name], set[str]()
    while waiting:
        one = waiting.pop()
        if one not in seen and one in graph.functions:
            seen.add(one)
            waiting += [called for node in graph.functions[one] for called in calls(node)]
    return frozenset(seen)


def _computation(signature: Signature, part: Part, functions: AbstractSet[str]) -> Computation:
    counts = Counter(node.op for node in part.nodes)
    needs = ops.sort_out(counts.keys() - functions)
    return Computation(
        name=signature.name,
        ops=tuple(OpUse(name=name, count=count) for name, count in sorted(counts.items())),
        stateful=assigns(counts),
        parameters=sum(map(_size, part.of(ops.VARIABLES))),
        fixed_batch=_fixed_batch(signature.inputs),
        open_dimensions=tuple(_open(signature.inputs)),
        custom_ops=needs.custom,
        select_ops=needs.select,
        unconvertible_ops=needs.unconvertible,
        control_flow=_sorted(counts.keys() & ops.CONTROL_FLOW),
        recurrent=recurrent(counts, part.functions),
        gradients=_sorted(name for name in counts if ops.GRADIENT.search(name)),
        strings=tuple(tensor.name for tensor in signature.inputs if tensor.dtype == "string"),
        tables=len({node.name for node in part.of(ops.TABLES)}),
        unknown_lengths=pads_to_longest(part.nodes),
        reference_variables=_references(part),
        devices=_sorted(_devices(part)),
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _size(variable: Node) -> int:
    """Numbers in a variable; none where the graph does not tell its shape."""
    shape = declared_shape(variable)
    if shape is None or min(shape, default=0) < 0 or len(shape) > MAX_RANK:
        return 0
    size = prod(shape)
    return size if size <= MAX_SIZE else 0


def _fixed_batch(inputs: tuple[Tensor, ...]) -> int | None:
    """The first dimension that every input has in common, where it is known."""
    batches = {tensor.dims[0] if tensor.dims else None for tensor in inputs}
    only = batches.pop() if len(batches) == 1 else None
    return None if only == OPEN else only


def _open(inputs: tuple[Tensor, ...]) -> Iterator[str]:
    for tensor in inputs:
        if tensor.dims is None:
            yield f"{tensor.name}: rank"
            continue
        axes = [str(axis) for axis, size in enumerate(tensor.dims) if axis and size == OPEN]
        if axes:
            yield f"{tensor.name}: {'axis' if len(axes) == 1 else 'axes'} {', '.join(axes)}"


def _references(part: Part) -> int:
    """Variables of reference types, and placeholders that stand for one."""
    fed = part.of(PLACEHOLDERS)
    typed = [value.number(6) for node in fed if (value := node.attribute("dtype"))]
    return len(part.of(ops.REFERENCE_VARIABLES)) + sum(number >= REFERENCE for number in typed)


def _devices(part: Part) -> Iterator[str]:
    for device in {node.message.text(4) for node in part.nodes}:
        if device and not CPU.fullmatch(device):
            yield device
