"""Names of an archive's members, and the first bytes of small ones, in bounded time and memory.

Zip: PKWARE's APPNOTE 6.3.10, sections 4.3.7 to 4.3.16. Tar: POSIX.1-2017, pax, and GNU's names.
The standard library's readers follow lengths that the file itself names; these stop at limits.
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgepack.formats.opened import Opened

MANY = 20_000  # members looked at
UNPACKED = 32 << 20  # bytes of a compressed tar
CHUNK = 1 << 18
UNPACKER_BYTES = 64 << 20  # memory that xz may use
EOCD = struct.Struct("<4s4H2LH")
EOCD64 = struct.Struct("<4sQ2H2L4Q")
LOCATOR64 = struct.Struct("<4sLQL")
CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
STORED, DEFLATED = 0, 8
BLOCK = 512
LONGEST = 4096
USTAR = slice(257, 262)


@dataclass(frozen=True)
class Member:
    """One member of a zip."""

    name: str
    method: int
    packed: int
    offset: int


def of_zip(file: Opened) -> tuple[Member, ...]:
    """Members in the zip's directory; none where it is damaged."""
    try:
        start, size = _directory(file)
    except (struct.error, ValueError):
        return ()
    data, at = file.read(start, size), 0
    found: list[Member] = []
    while at + CENTRAL.size <= len(data) and len(found) < MANY:
        fields = CENTRAL.unpack_from(data, at)
        if fields[0] != b"PK\1\2":
            break
        name_size, extra, comment = fields[10:13]
        name = data[at + CENTRAL.size : at + CENTRAL.size + name_size].decode("utf-8", "replace")
        found.append(Member(name, fields[4], fields[8], fields[16]))
        at += CENTRAL.size + name_size + extra + comment
    return tuple(found)


def _directory(file: Opened) -> tuple[int, int]:
    """Where the list of members lies.

    Raises:
        ValueError: there is none.
        struct.error: it is cut short.
    """
    tail = file.tail(EOCD.size + 0xFFFF)
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        raise ValueError("no end of a zip")
    *_, size, start, _ = EOCD.unpack_from(tail, at)
    if at >= LOCATOR64.size and tail.startswith(b"PK\6\7", at - LOCATOR64.size):
        _, _, place, _ = LOCATOR64.unpack_from(tail, at - LOCATOR64.size)
        *_, size, start = EOCD64.unpack(file.read(place, EOCD64.size))
    return start, size


def content(file: Opened, member: Member, most: int) -> bytes:
    """The first bytes of a zip's member; none where it is damaged or packed in a rare way."""
    head = file.read(member.offset, LOCAL.size)
    if len(head) < LOCAL.size:
        return b""
    *_, name_size, extra = LOCAL.unpack(head)
    start = member.offset + LOCAL.size + name_size + extra
    data = file.read(start, min(member.packed, most))
    if member.method == STORED:
        return data
    try:
        return zlib.decompressobj(-15).decompress(data, most) if member.method == DEFLATED else b""
    except zlib.error:
        return b""


def of_tar(file: Opened) -> tuple[str, ...] | None:
    """Names in a tar, packed or not, as far as they are looked at; None where it is no tar."""
    unpacker = _unpacker(file.head)
    read = _Stream(file, unpacker).read if unpacker else file.read
    if read(0, BLOCK)[USTAR] != b"ustar":
        return None
    return tuple(_names(read))


def is_packed(file: Opened) -> bool:
    """Whether it begins as gzip, bzip2 or xz do."""
    return _unpacker(file.head) is not None


class _Gzip:
    """gzip's reader, in the way of the other two."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(31)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


Unpacker = _Gzip | bz2.BZ2Decompressor | lzma.LZMADecompressor


def _unpacker(head: bytes) -> Unpacker | None:
    if head.startswith(b"\x1f\x8b"):
        return _Gzip()
    if head.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(memlimit=UNPACKER_BYTES)
    return None


class _Stream:
    """The first bytes of what a compressed file unpacks to, read forward."""

    def __init__(self, file: Opened, unpacker: Unpacker) -> None:
        self._file, self._unpacker = file, unpacker
        self._next, self._start, self._buffer = 0, 0, b""

    def read(self, at: int, size: int) -> bytes:
        """Bytes from `at` on, which never goes back."""
        while at + size > self._start + len(self._buffer) and self._start < UNPACKED:
            more = self._more()
            if more is None:
                break
            skipped = min(len(self._buffer), max(0, at - self._start))
            self._start += skipped
            self._buffer = self._buffer[skipped:] + more
        first = at - self._start
        return self._buffer[first : first + size]

    def _more(self) -> bytes | None:
        """The next piece; None at the end, and where the file is damaged."""
        packed = b""
        if self._unpacker.needs_input:
            packed = self._file.read(self._next, CHUNK)
            self._next += len(packed)
            if not packed or self._next > UNPACKED:
                return None
        try:
            return self._unpacker.decompress(packed, CHUNK)
        except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError):
            return None


def _names(read: Callable[[int, int], bytes]) -> Iterator[str]:
    at, longer = 0, ""
    for _ in range(MANY):
        header = read(at, BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            return
        size, kind = _number(header[124:136]), header[156:157]
        if size < 0:
            return
        if kind in {b"L", b"x"}:  # the next member's name, by GNU's and by pax's way
            longer = _longer(read(at + BLOCK, min(size, LONGEST)), kind)
        elif kind != b"g":
            prefix = _text(header[345:500]) if header[USTAR] == b"ustar" else ""
            name = _text(header[:100])
            yield longer or (f"{prefix}/{name}" if prefix and header[263:265] == b"00" else name)
            longer = ""
        at += BLOCK + -(-size // BLOCK) * BLOCK


def _longer(data: bytes, kind: bytes) -> str:
    if kind == b"L":
        return _text(data)
    _, found, rest = data.partition(b" path=")
    return _text(rest.partition(b"\n")[0]) if found else ""


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "replace")


def _number(field: bytes) -> int:
    """A tar's number: octal, or binary where its first bit says so; -1 where it is none."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.strip(b"\0 ") or b"0", 8)
    except ValueError:
        return -1
