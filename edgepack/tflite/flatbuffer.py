"""A bounded reader of flatbuffer tables, vectors and strings: the few forms that TFLite uses.

Layout: https://flatbuffers.dev/internals/. The `flatbuffers` package would do, but imports NumPy.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

Scalar = int | float
MAX_VECTOR = 1 << 24  # elements; a longer one in a table of a model is no accident
# How much is read, in bytes of vectors and tables, until parts of a file must overlap: honest files
# take less than their own size, and big ones, which are mostly weights, far less.
MOST_READS = 4
LEAST_BUDGET, MOST_BUDGET = 1 << 16, 1 << 26
TABLE = 16  # bytes that a table counts for, beside its place in the vector


class CorruptError(Exception):
    """An offset or a length leads out of the buffer."""


def root(data: bytes | memoryview, identifier: bytes) -> Table:
    """The root table of a buffer.

    Raises:
        CorruptError: too short, or another file identifier.
    """
    buffer = memoryview(data).cast("B")
    if bytes(buffer[4:8]) != identifier:
        raise CorruptError(f"no {identifier.decode()} flatbuffer")
    budget = min(max(LEAST_BUDGET, MOST_READS * len(buffer)), MOST_BUDGET)
    return Table(buffer, _unpack(buffer, 0, "I"), Budget(budget))


def _unpack(buffer: memoryview, at: int, code: str) -> int:
    try:
        value: int = struct.unpack_from(f"<{code}", buffer, at)[0]
    except struct.error as error:
        raise CorruptError(f"offset {at} is out of bounds") from error
    return value


@dataclass
class Budget:
    """How many bytes of vectors may still be read: no honest file refers to one many times."""

    left: int

    def spend(self, size: int) -> None:
        """Count what is read.

        Raises:
            CorruptError: more than any honest file takes.
        """
        self.left -= size
        if self.left < 0:
            raise CorruptError("its tables refer to each other over and over")


@dataclass(frozen=True)
class Table:
    """One table: fields by their number in the schema."""

    buffer: memoryview
    at: int
    budget: Budget

    def _field(self, number: int) -> int:
        """Where a field is stored, or 0 where it has its default."""
        vtable = self._vtable()
        slot = 4 + 2 * number
        if slot >= _unpack(self.buffer, vtable, "H"):
            return 0
        offset = _unpack(self.buffer, vtable + slot, "H")
        return self.at + offset if offset else 0

    def _vtable(self) -> int:
        vtable = self.at - _unpack(self.buffer, self.at, "i")
        if not 0 <= vtable < len(self.buffer):
            raise CorruptError(f"the table at {self.at} has no vtable")
        return vtable

    def stored(self) -> dict[int, int]:
        """Where each field is that does not have its default, by number."""
        count = max(0, _unpack(self.buffer, self._vtable(), "H") - 4) // 2
        self.budget.spend(count + self.end() - self.at)
        places = ((number, self._field(number)) for number in range(count))
        return {number: place for number, place in places if place}

    def end(self) -> int:
        """Where the table ends, without what it refers to."""
        return self.at + _unpack(self.buffer, self._vtable() + 2, "H")

    def raw(self, number: int, size: int) -> bytes:
        """The bytes of a vector of elements of `size` bytes."""
        at, length = self._vector(number, size)
        self.budget.spend(length * size)
        return bytes(self.buffer[at : at + length * size])

    def scalar(self, number: int, code: str, default: int = 0) -> int:
        """An integer or boolean; `code` is struct's."""
        at = self._field(number)
        return _unpack(self.buffer, at, code) if at else default

    def table(self, number: int) -> Table | None:
        """A table that this one refers to."""
        at = self._field(number)
        return Table(self.buffer, at + _unpack(self.buffer, at, "I"), self.budget) if at else None

    def _vector(self, number: int, size: int) -> tuple[int, int]:
        """Where a vector's elements start, and how many there are."""
        at = self._field(number)
        if not at:
            return 0, 0
        at += _unpack(self.buffer, at, "I")
        length = _unpack(self.buffer, at, "I")
        if length > MAX_VECTOR and size > 1:
            raise CorruptError(f"a vector of {length} elements")
        if at + 4 + length * size > len(self.buffer):
            raise CorruptError(f"the vector at {at} is longer than the file")
        return at + 4, length

    def length(self, number: int) -> int:
        """Bytes of a vector of bytes."""
        return self._vector(number, 1)[1]

    def octets(self, number: int) -> memoryview:
        """A vector of bytes."""
        at, length = self._vector(number, 1)
        self.budget.spend(length)
        return self.buffer[at : at + length]

    def text(self, number: int) -> str:
        """A string; bytes that are not UTF-8 are replaced."""
        return bytes(self.octets(number)).decode("utf-8", "replace")

    def numbers(self, number: int, code: str) -> tuple[Scalar, ...]:
        """A vector of scalars; `code` is struct's."""
        size = struct.calcsize(f"<{code}")
        at, length = self._vector(number, size)
        self.budget.spend(length * size)
        return struct.unpack_from(f"<{length}{code}", self.buffer, at) if length else ()

    def integers(self, number: int, code: str) -> tuple[int, ...]:
        """A vector of integers."""
        return tuple(int(value) for value in self.numbers(number, code))

    def tables(self, number: int) -> Iterator[Table]:
        """A vector of tables."""
        at, length = self._vector(number, 4)
        self.budget.spend((4 + TABLE) * length)
        for position in range(at, at + 4 * length, 4):
            yield Table(self.buffer, position + _unpack(self.buffer, position, "I"), self.budget)


def refuse(path: str, error: Exception) -> ModelError:
    """What a user is told of a buffer that cannot be read."""
    return ModelError(
        f"not a whole .tflite file: {error}",
        where=path,
        hint="Was the copy cut short? Compare its size and SHA-256 with the origin's.",
    )
