"""What an operator was told beside its tensors: strides, paddings, activations.

There are over a hundred kinds of options. Their scalars are read without knowing the kind: a field
reaches to the next one or to the table's end, what is behind its value is padding of zeros, and
little-endian numbers are the same with zeros behind them. Only fields that refer to something else
have to be known, since where it lies is no part of what it says.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from edgepack.tflite import schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.tflite.flatbuffer import Table

Value = tuple[int, int | bytes]

# Bytes of an element, by number of the field that is a vector or a string, by number of the kind in
# BuiltinOptions and BuiltinOptions2.
_LONG = 8
REFERENCES: dict[int, dict[int, int]] = {
    3: {1: 4, 2: 4},  # ConcatEmbeddings
    8: {5: 1},  # FullyConnected
    17: {0: 4},  # Reshape
    30: {0: 4},  # Squeeze
    111: {0: 1, 1: 1},  # VarHandle
    115: {0: 4},  # Bucketize
}
REFERENCES_2: dict[int, dict[int, int]] = {
    2: {0: _LONG},  # StableHLO's, until the end: BroadcastInDim
    3: dict.fromkeys((0, 1, 2), _LONG),  # Slice
    4: dict.fromkeys((0, 1, 2, 3, 7, 10, 13), _LONG) | {4: 1, 16: 4},  # Convolution
    5: {0: 1, 2: 1, 4: 4, 5: 1},  # CustomCall
    6: {0: _LONG},  # Reduce
    7: dict.fromkeys((1, 2, 3), _LONG),  # Scatter
    9: {0: _LONG},  # DynamicSlice
    10: dict.fromkeys((0, 1, 2), _LONG),  # Pad
    12: dict.fromkeys((0, 1, 2, 3), _LONG) | {4: 4},  # DotGeneral
    13: dict.fromkeys((0, 1, 2, 3, 4), _LONG),  # ReduceWindow
    16: dict.fromkeys((0, 1, 2, 4), _LONG),  # Gather
    17: {0: _LONG},  # Transpose
    21: {0: 1, 2: 1},  # Composite
    23: {0: 4},  # Case
}


def values(operator: Table) -> tuple[object, ...]:
    """The options of one operator, as values that are equal where the options are.

    Raises:
        CorruptError: an offset leads out of the buffer.
    """
    fields = schema.Operator
    kinds = (
        (fields.OPTIONS_TYPE, fields.OPTIONS, REFERENCES),
        (fields.OPTIONS_2_TYPE, fields.OPTIONS_2, REFERENCES_2),
    )
    found: list[object] = []
    for kind, place, references in kinds:
        number, table = operator.scalar(kind, "B"), operator.table(place)
        found.append((number, _fields(table, references.get(number, {})) if table else ()))
    return (*found, bytes(operator.octets(fields.CUSTOM_OPTIONS)))


def _fields(table: Table, references: Mapping[int, int]) -> tuple[Value, ...]:
    """The fields that a table stores: numbers as they are, what they refer to by its bytes."""
    stored = table.stored()
    ends = dict(itertools.pairwise([*sorted(stored.values()), table.end()]))
    return tuple(
        (number, table.raw(number, references[number]))
        if number in references
        else (number, int.from_bytes(table.buffer[at : ends[at]], "little"))
        for number, at in sorted(stored.items())
    )
