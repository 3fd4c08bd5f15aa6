"""Writes the canonical zip, and unpacks it."""

from __future__ import annotations

import zlib
from dataclasses import replace as changed
from typing import TYPE_CHECKING, BinaryIO

from edgepack.bundle import framing, reader
from edgepack.bundle.framing import Entry
from edgepack.errors import OutputError, UsageError
from edgepack.files import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    # What a member holds: bytes, a file, or what yields it in chunks.
    Payload = bytes | Path | Callable[[], Iterator[bytes]]


def write(entries: Mapping[str, Payload], target: Path, *, epoch: int) -> None:
    """Write the one archive that `entries` and `epoch` determine, in bounded memory.

    Args:
        entries: payload by member name.
        target: replaced when the archive is whole.
        epoch: time of every entry, seconds since 1970; clamped to 1980..2107.

    Raises:
        OutputError: the disk refuses, or the archive would need more than 4 GiB.
        UsageError: a name that not every system can unpack, or a payload that cannot be read.
    """
    with replace(target) as file:
        write_to(file, entries, epoch=epoch)


def write_to(file: BinaryIO, entries: Mapping[str, Payload], *, epoch: int) -> None:
    """Write the archive into an empty seekable file; see `write`."""
    names = framing.archive_order(entries)
    if faults := reader.name_faults(names):
        raise UsageError(f"not an archive's members: {'; '.join(faults)}")
    stamp = framing.dos_time(epoch)
    written = [_write_entry(file, name, entries[name], stamp) for name in names]
    directory = framing.central_directory(written, stamp)
    _check_size(file.tell() + len(directory))
    file.write(directory)


def extract(file: BinaryIO, where: Path, directory: Path) -> None:
    """Unpack an open bundle below `directory`. Its framing is checked, its digests are not.

    Raises:
        VerificationError: the framing is not a bundle's.
        OutputError: `directory` cannot be written.
    """
    unpack(file, reader.entries(file, where), directory)


def unpack(file: BinaryIO, entries: Iterable[Entry], directory: Path) -> None:
    """Write members of an open bundle below `directory`.

    Raises:
        OutputError: it cannot be written.
    """
    for entry in entries:
        with replace(directory / entry.name) as copy:
            copy.writelines(reader.payload(file, entry))


def _write_entry(file: BinaryIO, name: str, payload: Payload, stamp: tuple[int, int]) -> Entry:
    entry = Entry(name, file.tell(), 0, 0)
    file.write(framing.local_header(entry, stamp))  # again below, once size and CRC are known
    size = crc = 0
    for chunk in _chunks(payload):
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        _check_size(entry.offset + size)
        file.write(chunk)
    entry = changed(entry, size=size, crc=crc)
    file.seek(entry.start)
    file.write(framing.local_header(entry, stamp))
    file.seek(entry.end)
    return entry


def _chunks(payload: Payload) -> Iterator[bytes]:
    if isinstance(payload, bytes):
        yield payload
        return
    if callable(payload):
        yield from payload()
        return
    try:
        with payload.open("rb") as file:
            while chunk := file.read(reader.CHUNK):
                yield chunk
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=payload) from error


def _check_size(size: int) -> None:
    if size > framing.MAX_SIZE:
        raise OutputError(
            "a bundle cannot exceed 4 GiB",
            hint="Leave variants out (variants in edgepack.toml), or build them separately.",
        )
