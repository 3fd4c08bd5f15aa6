"""Why a delegate leaves a node alone, as far as the file shows."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from edgepack.records.delegates import Terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.records.delegates import Delegate
    from edgepack.tflite.graph import Graph, GraphOperator, GraphTensor

ANY = Terms()


def refusal(graph: Graph, node: GraphOperator, delegate: Delegate) -> str:
    """Why the node is not taken; nothing where it is."""
    if node.custom:
        return "" if node.name in delegate.custom else "a custom operator"
    listed = delegate.operators.get(node.name)
    if (listed is None) != delegate.unlisted:
        return "on its list of refusals" if delegate.unlisted else "not on its list"
    return next(_faults(graph, node, delegate, listed or ANY), "")


def _faults(graph: Graph, node: GraphOperator, delegate: Delegate, terms: Terms) -> Iterator[str]:
    if terms.version is not None and node.version > terms.version:
        yield f"version {node.version}; it takes {terms.version} at most"
    inputs = [graph.tensor(index) if index >= 0 else None for index in node.inputs]
    outputs = [graph.tensor(index) for index in node.outputs if index >= 0]
    yield from _types(inputs, outputs, delegate, terms)
    yield from _ranks(inputs, outputs, delegate, terms)
    yield from _places(inputs, terms)


def _types(
    inputs: list[GraphTensor | None],
    outputs: list[GraphTensor],
    delegate: Delegate,
    terms: Terms,
) -> Iterator[str]:
    own = terms.types or delegate.types
    looked = _looked_at(inputs, delegate, terms)
    yield from (f"{dtype} input" for dtype in _beyond(looked, own))
    results = terms.outputs or (() if delegate.checks == "first" else own)
    yield from (f"{dtype} output" for dtype in _beyond(outputs, results))
    for place, types in terms.inputs.items():
        single = inputs[int(place) : int(place) + 1]
        yield from (f"{dtype} as input {place}" for dtype in _beyond(single, types))


def _looked_at(
    inputs: list[GraphTensor | None], delegate: Delegate, terms: Terms
) -> list[GraphTensor | None]:
    if delegate.checks == "first":
        return inputs[terms.first : terms.first + 1]
    if delegate.checks == "every":
        return inputs
    return [tensor for tensor in inputs if tensor and not tensor.constant]


def _beyond(tensors: Iterable[GraphTensor | None], types: tuple[str, ...]) -> Iterator[str]:
    return (tensor.dtype for tensor in tensors if tensor and types and tensor.dtype not in types)


def _ranks(
    inputs: list[GraphTensor | None],
    outputs: list[GraphTensor],
    delegate: Delegate,
    terms: Terms,
) -> Iterator[str]:
    first = next(iter(inputs[terms.first : terms.first + 1]), None)
    if first and terms.ranks and _rank(first) not in terms.ranks:
        yield f"rank {_rank(first)}; it takes {_listed(terms.ranks)}"
    limits = [limit for limit in (delegate.most_rank, terms.most_rank) if limit is not None]
    for tensor in chain(inputs, outputs):
        if tensor and limits and _rank(tensor) > min(limits):
            yield f"rank {_rank(tensor)}; it takes {min(limits)} at most"
        if tensor and delegate.dimensions is not None and not tensor.constant:
            yield from _outer(tensor, delegate.dimensions)


def _outer(tensor: GraphTensor, inner: int) -> Iterator[str]:
    shape = tensor.shape or ()
    if any(size > 1 for size in shape[: max(len(shape) - inner, 0)]):
        yield f"above 1 outside of the {inner} innermost dimensions"


def _rank(tensor: GraphTensor) -> int:
    return len(tensor.shape or ())


def _places(inputs: list[GraphTensor | None], terms: Terms) -> Iterator[str]:
    there = dict(enumerate(inputs))
    for place in terms.has:
        if there.get(place) is None:
            yield f"no input {place}"
    for place in terms.constant:
        tensor = there.get(place)
        if tensor and not tensor.constant:
            yield f"input {place} is no constant"
    count = sum(1 for tensor in inputs if tensor and not tensor.constant)
    if terms.runtime and count not in terms.runtime:
        yield f"{count} inputs that are no constants; it takes {_listed(terms.runtime)}"


def _listed(numbers: tuple[int, ...]) -> str:
    return " or ".join(map(str, numbers))
