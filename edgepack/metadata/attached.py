"""Label files after a .tflite, as the metadata's standard has them: a zip that starts in the file.

Offsets in the zip count from the start of the whole file, as with Python's `zipfile` appending to
it, so that readers of zips see it and readers of flatbuffers do not.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first day that a zip can name
UNIX = 3
PLAIN_FILE = 0o100644 << 16
MOST_BYTES = 1 << 24  # of one file of labels
FAULTS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError)


def attach(data: bytes, files: Mapping[str, bytes]) -> bytes:
    """The file with others after it, uncompressed: readers on devices want them so."""
    if not files:
        return data
    stream = io.BytesIO()
    stream.write(data)
    with zipfile.ZipFile(stream, "w") as archive:  # starts where the stream stands
        for name, content in files.items():
            info = zipfile.ZipInfo(name, EARLIEST)
            info.create_system, info.external_attr = UNIX, PLAIN_FILE
            archive.writestr(info, content)
    return stream.getvalue()


def detach(data: bytes) -> bytes:
    """The file without the zip at its end, if there is one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            start = min((info.header_offset for info in archive.infolist()), default=len(data))
    except FAULTS:
        return data
    return data[:start]


def labels_of(data: bytes) -> dict[str, tuple[str, ...]]:
    """Lines of each file after a .tflite, by name; what cannot be read is left out."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                info.filename: _lines(archive.read(info))
                for info in archive.infolist()
                if info.file_size <= MOST_BYTES and info.compress_type == zipfile.ZIP_STORED
            }
    except FAULTS:
        return {}


def _lines(content: bytes) -> tuple[str, ...]:
    text = content.decode("utf-8", "replace")
    return tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
