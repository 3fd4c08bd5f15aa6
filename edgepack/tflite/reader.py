"""A .tflite file as `TFLiteFacts`: signatures, operators, precision, state."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from edgepack.records.facts import TFLiteFacts
from edgepack.records.tensors import OpUse, Signature, Tensor
from edgepack.tflite import mapped, schema
from edgepack.tflite.flatbuffer import CorruptError, refuse, root
from edgepack.tflite.graph import graphs
from edgepack.tflite.kernels import kernels
from edgepack.tflite.precision import float_ops, precision
from edgepack.tflite.versions import asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.tflite.flatbuffer import Table
    from edgepack.tflite.graph import Graph, GraphTensor

RUNTIME_VERSION = "min_runtime_version"
MAX_VERSION = 64  # bytes; the converter writes 16
STATE = frozenset(("VAR_HANDLE", "ASSIGN_VARIABLE"))


def read(path: Path) -> TFLiteFacts:
    """Read a file.

    Raises:
        UsageError: it is not there or not readable.
        ModelError: it is not a whole .tflite.
    """
    return parse(mapped.view(path), str(path))


def parse(data: bytes | memoryview, path: str) -> TFLiteFacts:
    """Read a buffer; `path` is what messages call it.

    Raises:
        ModelError: it is not a whole .tflite.
    """
    try:
        return _facts(root(data, schema.IDENTIFIER), data, path)
    except (CorruptError, RecursionError) as error:
        raise refuse(path, error) from error


def _facts(model: Table, data: bytes | memoryview, path: str) -> TFLiteFacts:
    subgraphs = graphs(model)
    if not subgraphs:
        raise CorruptError("it has no subgraph")
    tensors = [tensor for graph in subgraphs for tensor in graph.tensors]
    return TFLiteFacts(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        precision=precision(subgraphs),
        signatures=tuple(_signatures(model, subgraphs)),
        ops=_ops(subgraphs),
        description=model.text(schema.Model.DESCRIPTION),
        min_runtime_version=_runtime_version(model),
        tensor_types=_types(tensors),
        weight_types=_types([tensor for tensor in tensors if tensor.constant]),
        open_tensors=sum(tensor.is_open for tensor in tensors),
        stateful=_is_stateful(subgraphs),
        float_ops=float_ops(subgraphs),
        asked=asked(subgraphs),
        kernels=kernels(subgraphs),
    )


def _signatures(model: Table, subgraphs: Sequence[Graph]) -> Iterator[Signature]:
    defined = list(model.tables(schema.Model.SIGNATURES))
    places = [(_places(graph.inputs), _places(graph.outputs)) for graph in subgraphs]
    for table in defined:
        index = table.scalar(schema.Signature.SUBGRAPH, "I")
        if index >= len(subgraphs):
            raise CorruptError(f"subgraph {index} of {len(subgraphs)}")
        graph, (inputs, outputs) = subgraphs[index], places[index]
        yield Signature(
            name=table.text(schema.Signature.KEY),
            inputs=_mapped(table.tables(schema.Signature.INPUTS), graph, inputs),
            outputs=_mapped(table.tables(schema.Signature.OUTPUTS), graph, outputs),
        )
    if not defined:
        yield _unnamed(subgraphs[0])


def _places(order: tuple[int, ...]) -> dict[int, int]:
    """Where each tensor first stands among a subgraph's inputs or outputs."""
    return {index: place for place, index in reversed(list(enumerate(order)))}


def _mapped(maps: Iterator[Table], graph: Graph, places: dict[int, int]) -> tuple[Tensor, ...]:
    """Tensors of a SignatureDef, sorted by name as every by-name reader sees them."""
    found = []
    for position, table in enumerate(maps):
        index = table.scalar(schema.TensorMap.TENSOR, "I")
        name, place = table.text(schema.TensorMap.NAME), places.get(index)
        found.append(_io(name, graph.tensor(index), place, position))
    return tuple(sorted(found, key=lambda tensor: tensor.name))


def _unnamed(graph: Graph) -> Signature:
    """A file without SignatureDef: tensors go by their own names, in the subgraph's order."""
    inputs, outputs = (
        tuple(
            _io(graph.tensor(index).name, graph.tensor(index), place, None)
            for place, index in enumerate(side)
        )
        for side in (graph.inputs, graph.outputs)
    )
    return Signature(name="", inputs=inputs, outputs=outputs)


def _io(name: str, tensor: GraphTensor, place: int | None, position: int | None) -> Tensor:
    return Tensor(
        name=name,
        dtype=tensor.dtype,
        shape=tensor.shape,
        shape_signature=tensor.shape_signature,
        tensor=tensor.name,
        quantization=tensor.quantization,
        subgraph_index=place,
        signature_index=position,
    )


def _ops(subgraphs: Sequence[Graph]) -> tuple[OpUse, ...]:
    counts = Counter(
        (node.name, node.version, node.custom) for graph in subgraphs for node in graph.operators
    )
    return tuple(
        OpUse(name=name, version=version, custom=custom, count=count)
        for (name, version, custom), count in sorted(counts.items())
    )


def _runtime_version(model: Table) -> str:
    """As metadata say, padded with NUL; nothing where that is no text of a version's length."""
    buffers = list(model.tables(schema.Model.BUFFERS))
    for table in model.tables(schema.Model.METADATA):
        index = table.scalar(schema.Metadata.BUFFER, "I")
        if table.text(schema.Metadata.NAME) != RUNTIME_VERSION or index >= len(buffers):
            continue
        if buffers[index].length(schema.Buffer.DATA) <= MAX_VERSION:
            return buffers[index].text(schema.Buffer.DATA).partition("\0")[0]
    return ""


def _types(tensors: Sequence[GraphTensor]) -> dict[str, int]:
    return dict(sorted(Counter(tensor.dtype for tensor in tensors).items()))


def _is_stateful(subgraphs: Sequence[Graph]) -> bool:
    return any(
        any(tensor.variable for tensor in graph.tensors)
        or any(node.name in STATE for node in graph.operators)
        for graph in subgraphs
    )
