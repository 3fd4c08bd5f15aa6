"""Arrays as raw bytes: little-endian, C order, one invocation after the other. Runs in a worker."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.vectors import VectorTensor

STRING = "string"
_LENGTH = struct.Struct("<I")


def dtype_name(array: NDArray[Any]) -> str:
    """NumPy's name of the element type, `string` for bytes."""
    return STRING if array.dtype.kind in "SO" else array.dtype.name


def encode(arrays: Sequence[NDArray[Any]]) -> bytes:
    """One array an invocation, one after the other.

    A string is its length, four bytes, little-endian, and its bytes.
    """
    return b"".join(map(_encoded, arrays))


def _encoded(array: NDArray[Any]) -> bytes:
    if dtype_name(array) == STRING:
        texts = (bytes(text) for text in array.reshape(-1).tolist())
        return b"".join(_LENGTH.pack(len(text)) + text for text in texts)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def decode(data: bytes, dtype: str, shape: tuple[int, ...], count: int) -> NDArray[Any]:
    """The array [count, *shape] that `encode` wrote.

    Raises:
        ValueError: the bytes are too few or too many, or there is no such type.
    """
    if dtype == STRING:
        return _strings(data, (count, *shape))
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"{dtype!r} is no type of numbers") from error
    wanted = count * int(np.prod(shape, dtype=object)) * kind.itemsize
    if kind.kind not in "biufc" or len(data) != wanted:
        raise ValueError(f"{len(data)} bytes, and {count} x {list(shape)} {dtype} are {wanted}")
    little = np.frombuffer(data, kind.newbyteorder("<")).reshape(count, *shape)
    return little.astype(kind, copy=False)


def _strings(data: bytes, shape: tuple[int, ...]) -> NDArray[Any]:
    texts, at = [], 0
    for _ in range(int(np.prod(shape, dtype=object))):
        if at + _LENGTH.size > len(data):
            raise ValueError("the strings end too early")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        texts.append(data[at - length : at])
    if at != len(data):
        raise ValueError(f"{len(data)} bytes, and the strings are {at}")
    return np.array(texts, np.bytes_).reshape(shape)


def read(root: Path, tensor: VectorTensor, count: int) -> NDArray[Any]:
    """A tensor of every invocation, [count, *shape].

    Raises:
        VerificationError: the file does not hold that.
    """
    try:
        return decode((root / tensor.path).read_bytes(), tensor.dtype, tensor.shape, count)
    except ValueError as error:
        raise VerificationError(f"not what the index says: {error}", where=tensor.path) from error
