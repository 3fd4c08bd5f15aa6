"""Reads a LevelDB table: sorted keys and values in blocks, as TensorFlow indexes its variables.

Format: https://github.com/google/leveldb/blob/main/doc/table_format.md; TensorFlow's copy of it
(tensorflow/core/lib/io) writes variables.index without compression.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from edgepack.savedmodel.wire import WireError, varint

if TYPE_CHECKING:
    from collections.abc import Iterator

FOOTER = 48
MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
TRAILER = 5  # after each block: how it is compressed, and a checksum of the block and that byte
PLAIN, SNAPPY = 0, 1
WORD = 4
POLYNOMIAL = 0x82F63B78  # of CRC-32C, bits reversed
MASK_DELTA, MASK = 0xA282EAD8, 0xFFFFFFFF
MOST_CHECKED = 4 << 20  # bytes; a checksum takes 0.1 s a megabyte, and an index is far smaller
# A key may repeat the one before it at no cost of bytes: a small file could hold endless keys.
MOST_KEYS = 32 << 20


class TableError(Exception):
    """The bytes are no table, or not one that is read here."""


def items(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, in order.

    Raises:
        TableError: the bytes are damaged, or compressed.
    """
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise TableError("does not end as a table of variables does")
    try:
        yield from _items(data)
    except WireError as error:
        raise TableError(str(error)) from error


def _items(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    end = len(data) - FOOTER
    at = end
    for _ in range(2):  # the handle of a block that is not needed stands first
        _, at = varint(data, at, len(data))
    index = _block(data, *_handle(data, at))
    done = keys = 0
    for _, value in _entries(index):
        start, size = _handle(value, 0)
        if start < done:  # a writer goes forward; blocks read over and over could take for ever
            raise TableError(f"the block at byte {start} overlaps the one before it")
        done = start + size
        for key, held in _entries(_block(data, start, size)):
            keys += len(key)
            if keys > MOST_KEYS:
                raise TableError(f"its keys are longer than {MOST_KEYS} bytes together")
            yield key, held


def _handle(data: bytes, at: int) -> tuple[int, int]:
    start, at = varint(data, at, len(data))
    return start, varint(data, at, len(data))[0]


def _block(data: bytes, start: int, size: int) -> bytes:
    end = start + size
    if end + TRAILER + FOOTER > len(data):
        raise TableError(f"the block at byte {start} leads out of the file")
    if data[end] != PLAIN:
        how = "with snappy" if data[end] == SNAPPY else f"in way {data[end]}"
        raise TableError(f"the block at byte {start} is compressed {how}, which is not read here")
    told = int.from_bytes(data[end + 1 : end + TRAILER], "little")
    if len(data) <= MOST_CHECKED and masked_crc(data[start : end + 1]) != told:
        raise TableError(f"the checksum of the block at byte {start} does not match it")
    return data[start:end]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Entries: lengths of what the key shares with the last, of its rest, and of the value."""
    restarts = int.from_bytes(block[-WORD:], "little")
    end = len(block) - WORD * (restarts + 1)
    if end < 0:
        raise TableError("a block is shorter than its list of restarts")
    key, at = b"", 0
    while at < end:
        shared, at = varint(block, at, end)
        rest, at = varint(block, at, end)
        size, at = varint(block, at, end)
        if shared > len(key) or at + rest + size > end:
            raise TableError(f"an entry at byte {at} leads out of its block")
        key = key[:shared] + block[at : at + rest]
        at += rest + size
        yield key, block[at - size : at]


def masked_crc(data: bytes) -> int:
    """CRC-32C as LevelDB and TensorFlow store it: rotated, and a constant added."""
    table, crc = _crc_table(), MASK
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= MASK
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & MASK


@cache
def _crc_table() -> tuple[int, ...]:
    return tuple(map(_crc_of_byte, range(256)))


def _crc_of_byte(crc: int) -> int:
    for _ in range(8):
        crc = crc >> 1 ^ POLYNOMIAL if crc & 1 else crc >> 1
    return crc
