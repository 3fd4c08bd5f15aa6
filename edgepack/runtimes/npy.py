"""Writes .npy files where NumPy may not be imported."""

from __future__ import annotations

import math
import struct

MAGIC = b"\x93NUMPY\x01\x00"
ALIGNMENT = 64  # that the values start at
TYPES = {
    "bool": "|b1",
    "float16": "<f2",
    "float32": "<f4",
    "float64": "<f8",
    "int16": "<i2",
    "int32": "<i4",
    "int64": "<i8",
    "int8": "|i1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "uint8": "|u1",
}


def encoded(values: bytes, dtype: str, shape: tuple[int, ...]) -> bytes:
    """A file of format 1.0.

    Args:
        values: little-endian, in C order.
        dtype: NumPy's name of their type.
        shape: of the array.

    Raises:
        ValueError: there is no such type, or the bytes are too few or too many.
    """
    if (kind := TYPES.get(dtype)) is None:
        raise ValueError(f"{dtype!r} is no type of numbers")
    wanted = math.prod(shape) * int(kind[2:])
    if len(values) != wanted:
        raise ValueError(f"{len(values)} bytes, and {list(shape)} {dtype} are {wanted}")
    told = repr({"descr": kind, "fortran_order": False, "shape": shape})
    padding = -(len(MAGIC) + 2 + len(told) + 1) % ALIGNMENT
    header = f"{told}{' ' * padding}\n".encode("latin-1")
    return MAGIC + struct.pack("<H", len(header)) + header + values
