"""Reads the canonical zip and nothing else: what `framing` would not write is a fault.

The framing is rebuilt from the names, sizes and CRCs that the directory gives, and compared with
the file's bytes; the payloads are the caller's to digest. Together they cover every byte.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from edgepack.bundle import framing
from edgepack.bundle.framing import Entry
from edgepack.errors import UsageError, VerificationError
from edgepack.files import safe_member

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedRandom, BufferedReader
    from pathlib import Path

CHUNK = 1 << 20
MAX_DIRECTORY = 1 << 20
_KINDS = {stat.S_IFLNK: "a symbolic link", stat.S_IFDIR: "a directory"}
_FLAGS = {0x0001: "is encrypted", 0x0008: "has its size and CRC in a data descriptor"}


@dataclass(frozen=True)
class Scan:
    """What a file is as an archive.

    Args:
        entries: the members in order; empty where they cannot be told apart.
        stamp: MS-DOS time and date of the entries.
        faults: where the framing is not the canonical one.
    """

    entries: tuple[Entry, ...]
    stamp: tuple[int, int]
    faults: tuple[str, ...]


class _UnreadableError(Exception):
    """There is no directory that could be read."""


@dataclass(frozen=True)
class _Record:
    """One record of the directory, as the file has it."""

    fields: tuple[int | bytes, ...]
    entry: Entry
    stamp: tuple[int, int]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """Open a bundle for reading.

    Raises:
        UsageError: there is none, it is no regular file, or it cannot be read.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError("not a bundle but a directory or a device", where=path)
        with path.open("rb") as file:
            yield file
    except OSError as error:
        hint = "Name a bundle that edgepack build has written."
        raise UsageError(
            f"cannot be read: {error.strerror or error}", where=path, hint=hint
        ) from error


def entries(file: BinaryIO, where: Path) -> tuple[Entry, ...]:
    """The members of a canonical archive.

    Raises:
        VerificationError: it is not one; lists every fault of the framing.
    """
    found = scan(file)
    if found.faults:
        raise VerificationError("\n  ".join(("not a bundle:", *found.faults)), where=where)
    return found.entries


def whole(file: BufferedReader | BufferedRandom) -> tuple[str, int]:
    """SHA-256 of all of an open file in hexadecimal, and its size in bytes."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def payload(file: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """A member's bytes, in chunks of at most 1 MiB."""
    file.seek(entry.offset)
    left = entry.size
    while left and (chunk := file.read(min(left, CHUNK))):
        left -= len(chunk)
        yield chunk


def scan(file: BinaryIO) -> Scan:
    """Read the directory and hold all framing against the canonical one, in bounded memory."""
    try:
        records, start = _directory(file)
    except _UnreadableError as error:
        return Scan((), (0, 0), (str(error),))
    members = tuple(record.entry for record in records)
    stamps = Counter(record.stamp for record in records)
    stamp = stamps.most_common(1)[0][0] if stamps else (0, 0)
    faults = [*name_faults([e.name for e in members]), *_record_faults(records, stamp)]
    if layout := list(_layout_faults(members, start)):
        return Scan((), stamp, (*faults, *layout))
    faults += [fault for entry in members for fault in _local_faults(file, entry, stamp)]
    return Scan(members, stamp, tuple(faults))


def name_faults(names: Sequence[str]) -> list[str]:
    """What keeps members of these names, in this order, from being unpacked as written."""
    faults = []
    for name in names:
        try:
            safe_member(name)
        except ValueError as error:
            faults.append(f"{name!r}: {error}")
    if len(names) > framing.MAX_ENTRIES:
        faults.append(f"{len(names)} entries, and {framing.MAX_ENTRIES} are allowed")
    return [*faults, *_clashes(names)]


def _clashes(names: Sequence[str]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            same = "a second time" if seen[folded] == name else f"beside {seen[folded]!r}"
            yield f"{name!r}: the name is there {same}"
        seen.setdefault(folded, name)
    for folded, name in seen.items():
        parts = folded.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        yield from (
            f"{name!r}: lies below {seen[path]!r}, a file" for path in above if path in seen
        )
    if list(names) != framing.archive_order(names):
        yield "the entries are not sorted by name"


def _directory(file: BinaryIO) -> tuple[list[_Record], int]:
    """The directory's records, and where it starts."""
    size = file.seek(0, os.SEEK_END)
    if not framing.END.size <= size <= framing.MAX_SIZE:
        raise _UnreadableError(f"{size} bytes are too few or too many for a bundle")
    file.seek(size - framing.END.size)
    signature, *numbers = framing.END.unpack(file.read(framing.END.size))
    if signature != framing.END_SIGNATURE:
        raise _UnreadableError(_no_end(file))
    disk, first_disk, here, count, length, start, comment = numbers
    if disk or first_disk or comment or here != count or start + length != size - framing.END.size:
        raise _UnreadableError("the zip's end record does not fit the file: bytes added or removed")
    if length > MAX_DIRECTORY or count > framing.MAX_ENTRIES:
        raise _UnreadableError(f"{count} entries, and {framing.MAX_ENTRIES} are allowed")
    file.seek(start)
    return _records(file.read(length), count), start


def _no_end(file: BinaryIO) -> str:
    file.seek(0)
    if file.read(2) == b"PK":
        return "the zip does not end with its end record: it was cut short, or bytes were appended"
    return "not a zip archive"


def _records(data: bytes, count: int) -> list[_Record]:
    records, at = [], 0
    for number in range(1, count + 1):
        record, at = _record(data, at, number)
        records.append(record)
    if at != len(data):
        raise _UnreadableError(f"the directory holds more than its {count} records")
    return records


def _record(data: bytes, at: int, number: int) -> tuple[_Record, int]:
    """The record at an offset of the directory, and the offset behind it."""
    end = at + framing.CENTRAL.size
    if end > len(data) or data[at : at + 4] != framing.CENTRAL_SIGNATURE:
        raise _UnreadableError(f"record {number} of the directory is damaged")
    fields = framing.CENTRAL.unpack_from(data, at)
    named = dict(zip(framing.CENTRAL_FIELDS, fields, strict=True))
    raw = data[end : end + named["name length"]]
    end += named["name length"] + named["extra length"] + named["comment length"]
    try:
        name = raw.decode()
    except UnicodeDecodeError:
        raise _UnreadableError(f"the name of record {number} is not UTF-8") from None
    if end > len(data):
        raise _UnreadableError(f"record {number} of the directory is cut short")
    entry = Entry(name, named["start"], named["size"], named["CRC"])
    return _Record(fields, entry, (named["time"], named["date"])), end


def _record_faults(records: list[_Record], stamp: tuple[int, int]) -> Iterator[str]:
    for record in records:
        expected = framing.CENTRAL.unpack_from(framing.central_header(record.entry, stamp))
        for fault in _field_faults(framing.CENTRAL_FIELDS, record.fields, expected):
            yield f"{record.entry.name}: {fault}"


def _layout_faults(members: tuple[Entry, ...], directory: int) -> Iterator[str]:
    """Overlaps and gaps: each member must start where the one before it ends."""
    at = 0
    for entry in members:
        if entry.start != at:
            what = (
                "overlaps what is before it" if entry.start < at else "bytes before it are no one's"
            )
            yield f"{entry.name}: starts at byte {entry.start}, {at} expected: {what}"
        at = entry.end
    if at != directory:
        yield f"the last entry ends at byte {at}, and the directory starts at {directory}"


def _local_faults(file: BinaryIO, entry: Entry, stamp: tuple[int, int]) -> Iterator[str]:
    expected = framing.local_header(entry, stamp)
    file.seek(entry.start)
    actual = file.read(len(expected))
    if actual == expected:
        return
    fixed = framing.LOCAL.size
    pair = (framing.LOCAL.unpack_from(data) for data in (actual, expected))
    for fault in _field_faults(framing.LOCAL_FIELDS, *pair):
        yield f"{entry.name}: {fault} (local header)"
    named = fixed + len(entry.name.encode())
    if actual[fixed:named] != expected[fixed:named]:
        yield f"{entry.name}: has another name in its local header"
    if actual[named:] != expected[named:]:
        yield f"{entry.name}: is not padded as its alignment asks"


def _field_faults(
    names: Sequence[str], actual: Sequence[int | bytes], expected: Sequence[int | bytes]
) -> Iterator[str]:
    for name, found, wanted in zip(names, actual, expected, strict=True):
        if found != wanted:
            yield _explained(name, found, wanted)


def _explained(field: str, found: int | bytes, wanted: int | bytes) -> str:
    """A wrong field in words, the ones that attacks and other zip tools change by name."""
    plain = f"{field} is {found!r}, {wanted!r} expected"
    if isinstance(found, bytes):
        return plain
    if field == "method":
        return f"is compressed (method {found}), and must be stored"
    if field == "flags":
        return next((text for bit, text in _FLAGS.items() if found & bit), plain)
    if field == "attributes" and (kind := _KINDS.get(stat.S_IFMT(found >> 16))):
        return f"is {kind}, not a plain file"
    return plain
