"""Strings as samples: bytes, held in arrays of one width so that they can be mapped into memory.

NumPy pads such bytes with NUL and strips NUL when they are read, so a string that ends in NUL would
come back as another one. Where one can be told from padding, which is everywhere but in an array
that is of fixed width already, it is refused. Runs in a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST = 65_536  # bytes; every string of an input takes the room of its longest
NUL = b"\0"


def encoded(values: NDArray[Any]) -> NDArray[np.bytes_]:
    """Strings as bytes: text as UTF-8, bytes as they are. The shape stays.

    Args:
        values: of dtype S or U, or objects that are str or bytes.

    Raises:
        DatasetError: something else among them, text that UTF-8 cannot encode, a string that ends
            in NUL or is too long.
    """
    if values.dtype.kind == "S":
        found: NDArray[np.bytes_] = values
    else:
        single = [_bytes(value) for value in values.ravel().tolist()]
        found = np.array(single, np.bytes_).reshape(values.shape)
    if (width := width_of(found)) > LONGEST:
        raise DatasetError(
            f"a string of {width} bytes is too long",
            hint=f"Strings may have {LONGEST} bytes; cut them as the app will.",
        )
    return found


def width_of(strings: NDArray[np.bytes_]) -> int:
    """Bytes of the longest string, at least 1."""
    return max(1, int(np.char.str_len(strings).max(initial=0)))


def content(strings: NDArray[np.bytes_]) -> bytes:
    """What tells strings apart, whatever the width of their array: each after its length."""
    single = strings.ravel().tolist()
    return b"".join(len(one).to_bytes(4, "little") + one for one in single)


def _bytes(value: object) -> bytes:
    if not isinstance(value, str | bytes):
        raise DatasetError(
            f"{type(value).__name__} objects are neither numbers nor strings",
            hint="Samples must be numbers, str or bytes.",
        )
    try:
        found = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError as error:
        raise DatasetError(f"the text {value!a} cannot be written as UTF-8") from error
    if found.endswith(NUL):
        raise DatasetError(
            f"the string {found[-20:]!r} ends in NUL, which arrays of strings cannot keep",
            hint="Strip it, here and in the app.",
        )
    return found
