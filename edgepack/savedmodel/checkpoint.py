"""Reads what a checkpoint's index says of the values in it, and digests them in place.

Format: tensorflow/core/util/tensor_bundle and tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.errors import DamagedModelError
from edgepack.savedmodel import sstable
from edgepack.savedmodel.messages import DTYPES
from edgepack.savedmodel.wire import Message, WireError, signed, varint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

INDEX = "variables.index"
HINT = "Save or copy the model again, its variables/ folder included."
CHUNK = 1 << 20
BIG_ENDIAN = 1
MOST_TEXT = 64 << 20
LENGTHS_CRC = 4  # bytes, between the length of a string and the string
# A key that starts so is a part of a tensor: its name, up to an end mark, and where it lies in it.
PART, PART_END = b"\0", b"\0\1"


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's values lie, and what they are.

    Attributes:
        name: its key in the checkpoint.
        dtype: such as float32.
        shape: its dimensions.
        shard: number of the file that holds the values.
        offset: their first byte in it.
        size: bytes.
        crc: masked CRC-32C of the values, as stored.
        parts: how many parts a partitioned tensor is stored in, each an entry of its own; else 0.
        part: which part of the tensor `name` it is, as the checkpoint writes that; else nothing.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    parts: int = 0
    part: bytes = b""


@dataclass(frozen=True)
class Checkpoint:
    """A directory's index: how many files hold values, and every tensor in them."""

    directory: Path
    shards: int
    tensors: tuple[StoredTensor, ...]

    def shard(self, number: int) -> Path:
        """The file with this number."""
        return self.directory / f"variables.data-{number:05d}-of-{self.shards:05d}"


def entries(directory: Path) -> tuple[StoredTensor, ...]:
    """Every tensor of a SavedModel's `variables/`, sorted by its key.

    Raises:
        DamagedModelError: the index is missing, or is none.
        OSError: it cannot be read.
    """
    return load(directory).tensors


def load(directory: Path) -> Checkpoint:
    """Read the index of a SavedModel's `variables/`; no values.

    Raises:
        DamagedModelError: the index is missing, or is none.
        OSError: it cannot be read.
    """
    file = directory / INDEX
    try:
        items = dict(sstable.items(file.read_bytes()))
        header = Message(items.pop(b"", b""))
        if header.number(2) == BIG_ENDIAN:
            raise DamagedModelError("its values are big-endian", where=file, hint=HINT)
        found = tuple(_stored(key, Message(value)) for key, value in items.items())
    except FileNotFoundError as error:
        raise DamagedModelError("it is missing", where=file, hint=HINT) from error
    except (sstable.TableError, WireError) as error:
        raise DamagedModelError(
            f"not a whole index of variables: {error}", where=file, hint=HINT
        ) from error
    return Checkpoint(directory, header.number(1), found)


def _stored(key: bytes, entry: Message) -> StoredTensor:
    name, part = _name(key)
    shape = entry.message(2)
    return StoredTensor(
        name=name,
        dtype=DTYPES.get(entry.number(1), f"dtype{entry.number(1)}"),
        shape=tuple(signed(dim.number(1)) for dim in shape.messages(2)) if shape else (),
        shard=entry.number(3),
        offset=entry.number(4),
        size=entry.number(5),
        crc=entry.number(6),
        parts=entry.count(7),
        part=part,
    )


def _name(key: bytes) -> tuple[str, bytes]:
    """The tensor's name, and what part of it the entry is."""
    if not key.startswith(PART):
        return key.decode("utf-8", "replace"), b""
    name, _, part = key[len(PART) :].partition(PART_END)
    plain = name.replace(b"\0\xff", b"\0").replace(b"\xff\0", b"\xff")
    return plain.decode("utf-8", "replace"), part or PART


def digest(checkpoint: Checkpoint, tensor: StoredTensor) -> str:
    """SHA-256 of a tensor's bytes as they are stored, read in pieces.

    Raises:
        DamagedModelError: their file is missing, or ends before them.
        OSError: it cannot be read.
    """
    with _opened(checkpoint, tensor) as file:
        return _digest(file, tensor.size)


def string(checkpoint: Checkpoint, tensor: StoredTensor) -> bytes:
    """The value of a tensor that holds one string.

    Raises:
        DamagedModelError: its file is missing, or ends before it, or it is no string.
        OSError: it cannot be read.
    """
    where = checkpoint.shard(tensor.shard)
    if tensor.dtype != "string" or tensor.shape or tensor.size > MOST_TEXT:
        raise DamagedModelError(f"{tensor.name} is no string", where=where, hint=HINT)
    with _opened(checkpoint, tensor) as file:
        data = file.read(tensor.size)
    try:
        size, at = varint(data, 0, len(data))
    except WireError as error:
        raise DamagedModelError(f"{tensor.name}: {error}", where=where, hint=HINT) from error
    if at + LENGTHS_CRC + size != len(data):
        raise DamagedModelError(f"{tensor.name} is no whole string", where=where, hint=HINT)
    return data[at + LENGTHS_CRC :]


@contextmanager
def _opened(checkpoint: Checkpoint, tensor: StoredTensor) -> Iterator[BinaryIO]:
    """The file of a tensor, where the tensor begins."""
    file = checkpoint.shard(tensor.shard)
    try:
        with file.open("rb") as opened:
            if tensor.offset + tensor.size > opened.seek(0, 2):
                raise DamagedModelError(f"it ends before {tensor.name}", where=file, hint=HINT)
            opened.seek(tensor.offset)
            yield opened
    except FileNotFoundError as error:
        raise DamagedModelError("it is missing", where=file, hint=HINT) from error


def _digest(opened: BinaryIO, left: int) -> str:
    total = hashlib.sha256()
    while left and (piece := opened.read(min(CHUNK, left))):
        total.update(piece)
        left -= len(piece)
    return total.hexdigest()
