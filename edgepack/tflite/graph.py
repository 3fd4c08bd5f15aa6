"""The tables of a .tflite file as plain values: tensors, operators, subgraphs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.records.tensors import Quantization
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import CorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.tflite.flatbuffer import Table


@dataclass(frozen=True)
class GraphTensor:
    """A tensor of a subgraph; `constant` when its data are in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    shape_signature: tuple[int, ...] | None
    quantization: Quantization | None
    constant: bool
    variable: bool
    sparse: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a dimension is not fixed."""
        return any(size < 0 for size in (*(self.shape or ()), *(self.shape_signature or ())))


@dataclass(frozen=True)
class GraphOperator:
    """One node: the operator's name and version, tensors by index (-1 for an absent one).

    Of its options those that a version may depend on, and that it sets otherwise than the schema.
    """

    name: str
    version: int
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Graph:
    """One subgraph."""

    tensors: tuple[GraphTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[GraphOperator, ...]

    def tensor(self, index: int) -> GraphTensor:
        """A tensor by its index.

        Raises:
            CorruptError: there is none.
        """
        if not 0 <= index < len(self.tensors):
            raise CorruptError(f"tensor {index} of {len(self.tensors)}")
        return self.tensors[index]


def graphs(model: Table) -> tuple[Graph, ...]:
    """Every subgraph of a model."""
    codes = [_code(table) for table in model.tables(schema.Model.OPERATOR_CODES)]
    filled = [_has_data(table) for table in model.tables(schema.Model.BUFFERS)]
    return tuple(_graph(table, codes, filled) for table in model.tables(schema.Model.SUBGRAPHS))


def _code(table: Table) -> tuple[str, int, bool]:
    """Name, version, custom. Codes beyond a byte are in a later field; the larger one counts."""
    fields = schema.OperatorCode
    number = max(table.scalar(fields.SMALL_CODE, "b"), table.scalar(fields.CODE, "i"))
    version = table.scalar(fields.VERSION, "i", 1)
    if number == schema.CUSTOM:
        return table.text(fields.CUSTOM), version, True
    return schema.operator(number), version, False


def _has_data(buffer: Table) -> bool:
    """Whether data are in the table, or, in files beyond 2 GB, behind the flatbuffer."""
    offset, size = (buffer.scalar(n, "Q") for n in (schema.Buffer.OFFSET, schema.Buffer.SIZE))
    if offset > 1 and offset + size > len(buffer.buffer):
        raise CorruptError(f"{size} bytes of weights at {offset} are behind its end")
    return bool(buffer.length(schema.Buffer.DATA)) or offset > 1


def _graph(table: Table, codes: list[tuple[str, int, bool]], filled: list[bool]) -> Graph:
    fields = schema.SubGraph
    return Graph(
        tensors=tuple(_tensor(tensor, filled) for tensor in table.tables(fields.TENSORS)),
        inputs=table.integers(fields.INPUTS, "i"),
        outputs=table.integers(fields.OUTPUTS, "i"),
        operators=tuple(_operator(node, codes) for node in table.tables(fields.OPERATORS)),
    )


def _tensor(table: Table, filled: list[bool]) -> GraphTensor:
    fields = schema.Tensor
    buffer = table.scalar(fields.BUFFER, "I")
    if buffer >= len(filled):
        raise CorruptError(f"buffer {buffer} of {len(filled)}")
    shape = table.integers(fields.SHAPE, "i")
    ranked = bool(shape) or bool(table.scalar(fields.HAS_RANK, "?"))
    return GraphTensor(
        name=table.text(fields.NAME),
        dtype=schema.tensor_type(table.scalar(fields.TYPE, "b")),
        shape=shape if ranked else None,
        shape_signature=table.integers(fields.SHAPE_SIGNATURE, "i") or None,
        quantization=_quantization(table.table(fields.QUANTIZATION)),
        constant=filled[buffer],
        variable=bool(table.scalar(fields.IS_VARIABLE, "?")),
        sparse=table.table(fields.SPARSITY) is not None,
    )


def _quantization(table: Table | None) -> Quantization | None:
    if table is None:
        return None
    scales = table.numbers(schema.Quantization.SCALE, "f")
    if not scales:
        return None
    return Quantization(
        scales=tuple(float(scale) for scale in scales),
        zero_points=table.integers(schema.Quantization.ZERO_POINT, "q"),
        axis=table.scalar(schema.Quantization.DIMENSION, "i") if len(scales) > 1 else None,
    )


def _operator(table: Table, codes: list[tuple[str, int, bool]]) -> GraphOperator:
    index = table.scalar(schema.Operator.CODE, "I")
    if index >= len(codes):
        raise CorruptError(f"operator code {index} of {len(codes)}")
    name, version, custom = codes[index]
    known = schema.OPTIONS.get(name, {})
    return GraphOperator(
        name=name,
        version=version,
        custom=custom,
        inputs=table.integers(schema.Operator.INPUTS, "i"),
        outputs=table.integers(schema.Operator.OUTPUTS, "i"),
        options=frozenset(_set(table.table(schema.Operator.OPTIONS), {} if custom else known)),
    )


def _set(options: Table | None, known: Mapping[str, schema.Option]) -> Iterator[str]:
    """The names of options that do not have the schema's default."""
    if options is not None:
        for name, (field, code, default) in known.items():
            if options.scalar(field, code, default) != default:
                yield name
