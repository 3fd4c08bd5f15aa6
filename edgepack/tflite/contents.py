"""What a .tflite file computes, apart from the numbers it computes with.

A model that was trained again has the graph of the one before and other weights; a model that was
built in another way has another graph.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgepack.tflite import options, schema
from edgepack.tflite.flatbuffer import Budget, CorruptError, refuse, root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.tflite.flatbuffer import Table
    from edgepack.tflite.graph import Graph, GraphTensor

INDICES = frozenset(("int32", "int64"))  # with a scale such numbers are biases
MOST_READS = 2  # how often a byte of the weights may be read: honest files have each once


@dataclass(frozen=True)
class Contents:
    """A file's graph, and its weights by constant.

    Args:
        graph: SHA-256 of operators with their options, of tensors' types and shapes, of the wiring
            and of constants that are shapes, axes or indices. Names of tensors do not count.
        weights: SHA-256 of each other constant and of each tensor's scales and zero points.
    """

    graph: str
    weights: tuple[str, ...]


def contents(data: bytes | memoryview, path: str) -> Contents:
    """Digest a buffer; `path` is what messages call it.

    Raises:
        ModelError: it is not a whole .tflite.
    """
    try:
        subgraphs = graphs(root(data, schema.IDENTIFIER))
        return _contents(root(data, schema.IDENTIFIER), subgraphs)
    except (CorruptError, RecursionError) as error:
        raise refuse(path, error) from error


def _contents(model: Table, subgraphs: tuple[Graph, ...]) -> Contents:
    constants = tuple(_constants(model))
    found, weights = hashlib.sha256(), list[str]()
    tables = model.tables(schema.Model.SUBGRAPHS)
    for graph, table in zip(subgraphs, tables, strict=True):
        for tensor, stored in zip(graph.tensors, _stored(table, constants), strict=True):
            found.update(_line(*_form(tensor), stored if _steers(tensor) else ""))
            if (tensor.constant and not _steers(tensor)) or tensor.quantization:
                weights.append(_digest(_line(stored, tensor.quantization)))
        for line in _wiring(graph, table):
            found.update(line)
    for line in _signatures(model):
        found.update(line)
    return Contents(found.hexdigest(), tuple(weights))


def _stored(subgraph: Table, constants: tuple[str, ...]) -> Iterator[str]:
    """Digests of the tensors' buffers, whose indices were checked with the graph."""
    for tensor in subgraph.tables(schema.SubGraph.TENSORS):
        yield constants[tensor.scalar(schema.Tensor.BUFFER, "I")]


def _form(tensor: GraphTensor) -> tuple[object, ...]:
    """A tensor without its name and its numbers."""
    stored = tensor.quantization
    scales = (len(stored.scales), stored.axis) if stored else None
    flags = tensor.constant, tensor.variable
    return tensor.dtype, tensor.shape, tensor.shape_signature, scales, *flags


def _steers(tensor: GraphTensor) -> bool:
    """Whether a constant says what is computed: a shape, an axis, a padding, an index."""
    return tensor.constant and tensor.dtype in INDICES and tensor.quantization is None


def _wiring(graph: Graph, table: Table) -> Iterator[bytes]:
    yield _line("subgraph", graph.inputs, graph.outputs)
    nodes = table.tables(schema.SubGraph.OPERATORS)
    for node, stored in zip(graph.operators, nodes, strict=True):
        named = node.name, node.version, node.custom
        yield _line(*named, node.inputs, node.outputs, options.values(stored))


def _signatures(model: Table) -> Iterator[bytes]:
    for table in model.tables(schema.Model.SIGNATURES):
        fields = schema.Signature
        sides = (sorted(_mapped(table, side)) for side in (fields.INPUTS, fields.OUTPUTS))
        yield _line(table.text(fields.KEY), table.scalar(fields.SUBGRAPH, "I"), *sides)


def _mapped(signature: Table, side: int) -> Iterator[tuple[str, int]]:
    for table in signature.tables(side):
        yield table.text(schema.TensorMap.NAME), table.scalar(schema.TensorMap.TENSOR, "I")


def _constants(model: Table) -> Iterator[str]:
    """SHA-256 of each buffer's bytes."""
    whole = model.buffer
    spare = Budget(MOST_READS * len(whole))
    for table in model.tables(schema.Model.BUFFERS):
        offset, size = (table.scalar(n, "Q") for n in (schema.Buffer.OFFSET, schema.Buffer.SIZE))
        behind = offset > 1
        if behind:
            spare.spend(size)
        data = replace(table, budget=spare).octets(schema.Buffer.DATA)
        yield _digest(whole[offset : offset + size] if behind else data)


def _line(*values: object) -> bytes:
    return f"{values!r}\n".encode()


def _digest(data: bytes | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()
