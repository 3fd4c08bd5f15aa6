"""A small reader, and rewriter, of the Protocol Buffers wire format.

Encoding: https://protobuf.dev/programming-guides/encoding/. The few messages that a SavedModel is
made of are read by field number, so that neither TensorFlow nor its descriptors are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_VARINT = 10
MORE = 0x80  # the bit of a varint's byte that says that another follows


class WireError(Exception):
    """The bytes are no protocol buffer, or are cut short."""


class Field(NamedTuple):
    """One field: its number, and its value: an integer, or the span of its bytes."""

    number: int
    value: int
    start: int
    end: int


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """An integer at a byte, and the byte after it.

    Raises:
        WireError: it does not end before `end`, or is longer than any integer.
    """
    if at < end and (first := data[at]) < MORE:  # nearly all are one byte
        return first, at + 1
    result = shift = 0
    for position in range(at, min(at + MAX_VARINT, end)):
        byte = data[position]
        result |= (byte & 0x7F) << shift
        if byte < MORE:
            return result, position + 1
        shift += 7
    raise WireError(f"a number at byte {at} does not end")


def fields(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """The fields of the message in `data[start:end]`, in order.

    Raises:
        WireError: the bytes are no message.
    """
    at, end = start, len(data) if end is None else end
    while at < end:
        key, at = varint(data, at, end)
        number, kind = key >> 3, key & 7
        if kind == BYTES:
            size, at = varint(data, at, end)
            stop, value = at + size, 0
        elif kind == VARINT:
            value, stop = varint(data, at, end)
        elif kind in {FIXED64, FIXED32}:
            stop = at + (8 if kind == FIXED64 else 4)
            value = int.from_bytes(data[at:stop], "little")
        else:
            raise WireError(f"wire type {kind} at byte {at}")
        if stop > end or not number:
            raise WireError(f"field {number} at byte {at} leads out of its message")
        yield Field(number, value, at, stop)
        at = stop


class Message:
    """One message, its fields by number; nested messages stay unread until asked for."""

    __slots__ = ("_data", "_fields")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        # One flat list: with a container a field number, most of the time went to collecting them.
        self._fields = list(fields(data, start, end))

    def _found(self, number: int) -> Iterator[Field]:
        return (field for field in self._fields if field[0] == number)

    def texts(self, number: int) -> list[str]:
        """Every string of a repeated field; bytes that are not UTF-8 are replaced."""
        return [self._data[f.start : f.end].decode("utf-8", "replace") for f in self._found(number)]

    def raw(self, number: int) -> list[bytes]:
        """The bytes of a repeated field, unread."""
        return [self._data[f.start : f.end] for f in self._found(number)]

    def texts_of(self, *numbers: int) -> list[list[str]]:
        """What `texts` gives for each of several fields, all in one pass."""
        found: dict[int, list[str]] = {number: [] for number in numbers}
        for number, _, start, end in self._fields:
            if number in found:
                found[number].append(self._data[start:end].decode("utf-8", "replace"))
        return list(found.values())

    def text(self, number: int) -> str:
        """A string, the last one where it is repeated, or nothing."""
        return "".join(self.texts(number)[-1:])

    def number(self, number: int) -> int:
        """An integer, the last one where it is repeated, or 0."""
        return next((f.value for f in reversed(self._fields) if f.number == number), 0)

    def numbers(self, number: int) -> list[int]:
        """Every integer of a repeated field, packed or not."""
        found: list[int] = []
        for field in self._found(number):
            at = field.start
            while at < field.end:
                value, at = varint(self._data, at, field.end)
                found.append(value)
        return found

    def messages(self, number: int) -> Iterator[Message]:
        """Every message of a repeated field."""
        for field in self._found(number):
            yield Message(self._data, field.start, field.end)

    def message(self, number: int) -> Message | None:
        """A message, or None where the field is absent.

        Where it is repeated its parts are one message, as for every reader of protocol buffers:
        nothing hides in a second part.
        """
        found = list(self._found(number))
        if len(found) > 1:
            return Message(b"".join(self._data[field.start : field.end] for field in found))
        return Message(self._data, found[0].start, found[0].end) if found else None

    def count(self, number: int) -> int:
        """How often a field is there."""
        return sum(1 for _ in self._found(number))

    def entries(self, number: int) -> Iterator[tuple[str, Message]]:
        """Keys and values of a map field whose values are messages."""
        for entry in self.messages(number):
            if value := entry.message(2):
                yield entry.text(1), value

    def entries_with(self, number: int, *keys: int) -> Iterator[tuple[str, Message]]:
        """Of the entries of a map field those whose bytes hold one of these, a field's key say.

        Looking for a byte is many times as fast as reading a message.
        """
        wanted = [bytes((key,)) for key in keys]
        for field in self._found(number):
            if any(self._data.find(key, field.start, field.end) >= 0 for key in wanted):
                entry = Message(self._data, field.start, field.end)
                if value := entry.message(2):
                    yield entry.text(1), value


def signed(value: int) -> int:
    """A varint as the int64 it stands for."""
    return value - (1 << 64) if value >= 1 << 63 else value


def without(data: bytes, path: tuple[int, ...]) -> bytes:
    """The message without the fields that a path of field numbers leads to."""
    kept, copied = [], 0
    for start, field in _located(data):
        if field.number != path[0]:
            continue
        kept.append(data[copied:start])
        if len(path) > 1:
            inner = without(data[field.start : field.end], path[1:])
            kept += [_encode(path[0] << 3 | BYTES), _encode(len(inner)), inner]
        copied = field.end
    return b"".join([*kept, data[copied:]])


def _located(data: bytes) -> Iterator[tuple[int, Field]]:
    """Each field with the byte its key starts at."""
    start = 0
    for field in fields(data):
        yield start, field
        start = field.end


def _encode(value: int) -> bytes:
    out = bytearray()
    while value >= MORE:
        out.append(value & 0x7F | MORE)
        value >>= 7
    out.append(value)
    return bytes(out)
