"""The bytes of a file, without reading them all into memory."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

from edgepack.errors import UsageError
from edgepack.tflite.flatbuffer import CorruptError, refuse

if TYPE_CHECKING:
    from pathlib import Path


def view(path: Path) -> memoryview:
    """A view of a file.

    Raises:
        UsageError: it is not there or not readable.
        ModelError: it is empty.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise refuse(str(path), CorruptError("it is empty"))
            # closed with the last view of it, which an error's traceback may hold
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path) from error
