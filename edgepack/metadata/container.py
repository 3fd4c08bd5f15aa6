"""Puts a buffer of metadata into a .tflite without writing the rest of it anew.

A new root with new vectors of metadata and buffers goes before the old bytes, which stay as they
are, moved by a multiple of 16: weights, quantization, signatures and whatever this reader does not
know keep their bytes and their alignment. Offsets are relative, so the move changes none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import ModelError
from edgepack.metadata.flatbuffer import Behind, Octets, Scalar, Table, Tables, Text, buffer
from edgepack.metadata.schema import ENTRY
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import CorruptError, root

if TYPE_CHECKING:
    from edgepack.metadata.flatbuffer import Field
    from edgepack.tflite.flatbuffer import Table as ReadTable

# Of Model in schema.fbs up to external_buffers: the version is a number, all others are offsets.
VERSION, KNOWN_FIELDS = 0, 10
LARGE_OPTIONS = 9  # large_custom_options_offset of Operator
MOST_BYTES = (1 << 31) - 1  # of a flatbuffer: readers count offsets with a sign


def insert(data: bytes, metadata: bytes, where: str) -> bytes:
    """The file with an entry `TFLITE_METADATA`, in place of one that it has.

    Args:
        data: a .tflite file, without files after it.
        metadata: what the entry holds.
        where: what messages call the file.

    Raises:
        ModelError: weights or options lie at absolute offsets (files beyond 2 GB), or the file has
            fields that this edgepack does not know.
        CorruptError: it is no whole .tflite.
    """
    model = root(data, schema.IDENTIFIER)
    _check_movable(model, where)
    whole = buffer(_model(model, metadata, where), schema.IDENTIFIER, data)
    if len(whole) > MOST_BYTES:
        raise ModelError("has no room for metadata: it would be larger than 2 GB", where=where)
    return whole


def metadata_of(model: ReadTable) -> bytes:
    """What a model's entry `TFLITE_METADATA` holds; nothing where it has none."""
    entry = next((table for table in model.tables(schema.Model.METADATA) if _is_ours(table)), None)
    if entry is None:
        return b""
    index = entry.scalar(schema.Metadata.BUFFER, "I")
    for number, table in enumerate(model.tables(schema.Model.BUFFERS)):
        if number == index:
            return bytes(table.octets(schema.Buffer.DATA))
    return b""


def _is_ours(entry: ReadTable) -> bool:
    return entry.text(schema.Metadata.NAME) == ENTRY


def _model(model: ReadTable, metadata: bytes, where: str) -> Table:
    """The new root: the old one's fields, and longer vectors of metadata and of buffers."""
    numbers = model.stored()
    if max(numbers, default=0) >= KNOWN_FIELDS:
        raise ModelError(
            f"takes no metadata: the field {max(numbers)} of Model is of a schema not known here",
            where=where,
            hint="Turn metadata off for this build, or use a newer edgepack.",
        )
    fields: dict[int, Field | None] = {n: _kept(model, n) for n in numbers}
    buffers = _kept_tables(model, schema.Model.BUFFERS)
    entries = tuple(Behind(t.at) for t in model.tables(schema.Model.METADATA) if not _is_ours(t))
    fields[schema.Model.METADATA] = Tables((*entries, _entry(len(buffers))))
    fields[schema.Model.BUFFERS] = Tables((*buffers, Table({schema.Buffer.DATA: Octets(metadata)})))
    return Table(fields)


def _kept(model: ReadTable, number: int) -> Field:
    if number == VERSION:
        return Scalar("I", model.scalar(number, "I"))
    target = model.table(number)  # vectors and strings start where tables do
    if target is None or target.at >= len(model.buffer):
        raise CorruptError(f"field {number} of Model leads out of the file")
    return Behind(target.at)


def _kept_tables(model: ReadTable, number: int) -> tuple[Behind, ...]:
    return tuple(Behind(table.at) for table in model.tables(number))


def _entry(index: int) -> Table:
    fields = schema.Metadata
    return Table({fields.NAME: Text(ENTRY), fields.BUFFER: Scalar("I", index)})


def _check_movable(model: ReadTable, where: str) -> None:
    """Refuse files where something is found by its distance from the start."""
    subgraphs = model.tables(schema.Model.SUBGRAPHS)
    nodes = (node for graph in subgraphs for node in graph.tables(schema.SubGraph.OPERATORS))
    buffers = model.tables(schema.Model.BUFFERS)
    if any(table.scalar(schema.Buffer.OFFSET, "Q") > 1 for table in buffers):
        what = "weights"
    elif any(node.scalar(LARGE_OPTIONS, "Q") > 1 for node in nodes):
        what = "options of operators"
    else:
        return
    raise ModelError(
        f"takes no metadata: its {what} lie behind the flatbuffer, at absolute offsets",
        where=where,
        hint="Turn metadata off for this build; files of more than 2 GB are made like that.",
    )
