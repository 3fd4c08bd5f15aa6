"""Serialized tf.Example messages with the features that a graph parses out of them.

Field numbers: tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    from uses import Feature

BYTES = 2  # wire type of what has a length
LISTS = {"string": 1, "float32": 2, "int64": 3}


def example(rng: np.random.Generator, features: Iterable[Feature]) -> bytes:
    """One message, each feature of the size that the graph expects."""
    entries = b""
    for one in features:
        if one.dtype == "string":
            values = b"".join(_field(1, b"word") for _ in range(one.size))
        elif one.dtype == "int64":
            # no zeros: NumPy takes those at the end of a string for padding
            values = _field(1, bytes(int(v) for v in rng.integers(1, 10, one.size)))
        else:
            values = _field(1, struct.pack(f"<{one.size}f", *rng.normal(size=one.size)))
        feature = _field(LISTS[one.dtype], values)
        entries += _field(1, _field(1, one.key.encode()) + _field(2, feature))
    return _field(1, entries)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | BYTES]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
