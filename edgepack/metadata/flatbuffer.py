"""A writer of flatbuffers from front to back, whose offsets may lead into bytes that follow.

Layout: https://flatbuffers.dev/internals/. Every offset but a table's to its vtable leads forward,
so a table is written before what it refers to. That lets a new root stand before an old file,
which the `flatbuffers` package, writing from back to front, cannot do; it imports NumPy, too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

ALIGNMENT = 16  # of vectors of bytes that demand it, and so of a whole buffer
OFFSET = 4
HEADER = 8  # offset of the root, file identifier


@dataclass(frozen=True)
class Scalar:
    """A number in a table; `code` is struct's."""

    code: str
    value: float


@dataclass(frozen=True)
class Text:
    """A string."""

    value: str


@dataclass(frozen=True)
class Octets:
    """A vector of bytes that starts at a multiple of 16."""

    value: bytes


@dataclass(frozen=True)
class Numbers:
    """A vector of scalars of up to four bytes each; `code` is struct's."""

    code: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Behind:
    """Something already written, at an offset from the start of the bytes that will follow."""

    at: int


@dataclass(frozen=True)
class Tables:
    """A vector of tables."""

    items: tuple[Table | Behind, ...]


@dataclass(frozen=True)
class Table:
    """A table: fields by their number in the schema. What is None has its default."""

    fields: dict[int, Field | None]


Node = Text | Octets | Numbers | Tables | Table | Behind
Field = Scalar | Node


def buffer(root: Table, identifier: bytes, behind: bytes | memoryview = b"") -> bytes:
    """A whole flatbuffer, with `behind` after it at a multiple of 16.

    Args:
        root: the root table.
        identifier: four bytes that name the file's kind.
        behind: bytes that `Behind` leads into; they keep their alignment of up to 16.
    """
    return _Writer().whole(root, identifier, behind)


@dataclass
class _Writer:
    data: bytearray = field(default_factory=lambda: bytearray(HEADER))
    later: list[tuple[int, int]] = field(default_factory=list)  # where an offset is, where it leads

    def whole(self, root: Table, identifier: bytes, behind: bytes | memoryview) -> bytes:
        self._refer(0, root)
        self.data[OFFSET:HEADER] = identifier
        if behind:
            self._pad(ALIGNMENT)
        start = len(self.data)
        for at, target in self.later:
            self._point(at, start + target)
        return b"".join((self.data, behind))

    def _refer(self, at: int, node: Node) -> None:
        """Write what the offset at `at` leads to, and the offset."""
        if isinstance(node, Behind):
            self.later.append((at, node.at))
        else:
            self._point(at, self._place(node))

    def _point(self, at: int, target: int) -> None:
        struct.pack_into("<I", self.data, at, target - at)

    def _pad(self, alignment: int, before: int = 0) -> None:
        """Zeros until what follows `before` further bytes is aligned."""
        self.data += bytes(-(len(self.data) + before) % alignment)

    def _place(self, node: Text | Octets | Numbers | Tables | Table) -> int:
        """Where a node was written."""
        match node:
            case Text(value):
                encoded = value.encode()
                return self._vector(len(encoded), encoded + b"\0")
            case Octets(value):
                self._pad(ALIGNMENT, OFFSET)
                return self._vector(len(value), value)
            case Numbers(code, values):
                return self._vector(len(values), struct.pack(f"<{len(values)}{code}", *values))
            case Tables(items):
                return self._tables(items)
            case Table(fields):
                return self._table({n: value for n, value in fields.items() if value is not None})

    def _vector(self, length: int, content: bytes) -> int:
        self._pad(OFFSET)
        at = len(self.data)
        self.data += struct.pack("<I", length) + content
        return at

    def _tables(self, items: tuple[Table | Behind, ...]) -> int:
        at = self._vector(len(items), bytes(OFFSET * len(items)))
        for position, item in enumerate(items, start=1):
            self._refer(at + OFFSET * position, item)
        return at

    def _table(self, fields: dict[int, Field]) -> int:
        """The vtable, the table after it, then what its fields refer to."""
        places, size = _layout(fields)
        entries = [places.get(number, 0) for number in range(max(fields, default=-1) + 1)]
        vtable = struct.pack(f"<{2 + len(entries)}H", 4 + 2 * len(entries), size, *entries)
        self._pad(OFFSET, len(vtable))
        self.data += vtable
        at = len(self.data)
        self.data += struct.pack("<i", len(vtable)) + bytes(size - OFFSET)
        for number, value in fields.items():
            if isinstance(value, Scalar):
                struct.pack_into(f"<{value.code}", self.data, at + places[number], value.value)
            else:
                self._refer(at + places[number], value)
        return at


def _layout(fields: dict[int, Field]) -> tuple[dict[int, int], int]:
    """Where each field is in its table, and the table's size: larger fields first, no gaps."""
    sizes = {number: _size(value) for number, value in fields.items()}
    places, end = {}, OFFSET
    for number in sorted(sizes, key=lambda number: (-sizes[number], number)):
        places[number] = end
        end += sizes[number]
    return places, end


def _size(value: Field) -> int:
    return struct.calcsize(f"<{value.code}") if isinstance(value, Scalar) else OFFSET
