"""A file under examination: its size, its first bytes, and any few more that are asked for."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

HEAD = 1 << 16
MOST = 8 << 20  # bytes read of one place of a file, whatever its size


@dataclass(frozen=True)
class Opened:
    """A regular file, open for reading."""

    path: Path
    file: BinaryIO
    size: int
    head: bytes

    def read(self, at: int, size: int) -> bytes:
        """At most `size` bytes, and at most `MOST`, from the byte `at` on."""
        if not 0 <= at < self.size:
            return b""
        self.file.seek(at)
        return self.file.read(min(size, MOST))

    def tail(self, size: int) -> bytes:
        """The last bytes of the file."""
        return self.read(max(0, self.size - size), size)

    def holds(self, *words: bytes) -> bool:
        """Whether one of these stands in the first or last `MOST` bytes."""
        first, last = self.read(0, MOST), self.tail(MOST) if self.size > MOST else b""
        return any(word in first or word in last for word in words)

    @property
    def text(self) -> str:
        """The head as text; nothing where it is none."""
        if b"\0" in self.head:
            return ""
        try:
            return self.head.decode("utf-8-sig")
        except UnicodeDecodeError as error:  # the cut may go through a character
            whole = len(self.head) == HEAD and error.start > HEAD - 4
            return self.head[: error.start].decode("utf-8-sig") if whole else ""


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a regular file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield Opened(path, file, os.fstat(file.fileno()).st_size, file.read(HEAD))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=path) from error
