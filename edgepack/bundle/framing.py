"""Every byte of a bundle that is not payload, as a function of names, sizes, CRCs and one time.

The format is PKWARE's APPNOTE 6.3.10 with each freedom taken away: entries are stored, in the
order of their names' bytes, without gaps, descriptors, comments or zip64, of one time and mode.
Models start at a multiple of 16 KiB, so that a phone can map them; the local header's extra field
0xD935 that makes it so is the one that Android's apksig writes.
"""

from __future__ import annotations

import stat
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST_EPOCH = 315_532_800  # 1980-01-01, the first second that a zip can name
LAST_EPOCH = 4_354_819_198  # 2107-12-31 23:59:58, the last one
MAX_SIZE = 0xFFFF_FFFE  # of the whole file; beyond it a zip needs zip64
MAX_ENTRIES = 1000
ALIGNMENT = 16_384
ALIGNED_SUFFIX = ".tflite"

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
LOCAL_FIELDS = (
    *("signature", "version needed", "flags", "method", "time", "date"),
    *("CRC", "stored size", "size", "name length", "extra length"),
)
CENTRAL_FIELDS = (
    *("signature", "version made by", *LOCAL_FIELDS[1:]),
    *("comment length", "disk", "internal attributes", "attributes", "start"),
)
END_SIGNATURE = b"PK\x05\x06"
LOCAL_SIGNATURE = b"PK\x03\x04"
CENTRAL_SIGNATURE = b"PK\x01\x02"
_VERSION = 20
_MADE_BY = 3 << 8 | _VERSION  # Unix, so that the attributes hold a mode
_UTF8 = 0x0800
_STORED = 0
_ATTRIBUTES = (stat.S_IFREG | 0o644) << 16
_EXTRA = struct.Struct("<3H")  # id, length of the rest, alignment; zeros follow
_EXTRA_ID = 0xD935


@dataclass(frozen=True)
class Entry:
    """One member: where its local header starts, and what follows that.

    Args:
        name: path within the archive.
        start: offset of the local header in the file.
        size: bytes of payload.
        crc: CRC-32 of the payload.
    """

    name: str
    start: int
    size: int
    crc: int

    @property
    def extra(self) -> bytes:
        """The local header's extra field: what aligns a model, nothing for others."""
        if not self.name.endswith(ALIGNED_SUFFIX):
            return b""
        header = LOCAL.size + len(self.name.encode()) + _EXTRA.size
        zeros = -(self.start + header) % ALIGNMENT
        return _EXTRA.pack(_EXTRA_ID, 2 + zeros, ALIGNMENT) + bytes(zeros)

    @property
    def offset(self) -> int:
        """Where the payload starts."""
        return self.start + LOCAL.size + len(self.name.encode()) + len(self.extra)

    @property
    def end(self) -> int:
        """Where the payload has ended and the next header starts."""
        return self.offset + self.size


def archive_order(names: Iterable[str]) -> list[str]:
    """Names in the order of their UTF-8 bytes, as the archive and SHA256SUMS list them."""
    return sorted(names, key=str.encode)


def clamp_epoch(epoch: int) -> int:
    """The nearest second since 1970 that a zip can name."""
    return max(FIRST_EPOCH, min(epoch, LAST_EPOCH))


def dos_time(epoch: int) -> tuple[int, int]:
    """MS-DOS time and date (UTC, steps of two seconds) of a second since 1970, clamped."""
    year, month, day, hour, minute, second = time.gmtime(clamp_epoch(epoch))[:6]
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def local_header(entry: Entry, stamp: tuple[int, int]) -> bytes:
    """What stands before an entry's payload, `stamp` being its MS-DOS time and date."""
    name = entry.name.encode()
    fields = (_VERSION, _UTF8, _STORED, *stamp, entry.crc, entry.size, entry.size, len(name))
    return LOCAL.pack(LOCAL_SIGNATURE, *fields, len(entry.extra)) + name + entry.extra


def central_header(entry: Entry, stamp: tuple[int, int]) -> bytes:
    """An entry's record in the central directory."""
    name = entry.name.encode()
    fields = (_VERSION, _UTF8, _STORED, *stamp, entry.crc, entry.size, entry.size, len(name))
    rest = (0, 0, 0, 0, _ATTRIBUTES, entry.start)
    return CENTRAL.pack(CENTRAL_SIGNATURE, _MADE_BY, *fields, *rest) + name


def central_directory(entries: Sequence[Entry], stamp: tuple[int, int]) -> bytes:
    """What stands after the last payload: the central directory and its end record."""
    records = b"".join(central_header(entry, stamp) for entry in entries)
    start = entries[-1].end if entries else 0
    count = len(entries)
    return records + END.pack(END_SIGNATURE, 0, 0, count, count, len(records), start, 0)
