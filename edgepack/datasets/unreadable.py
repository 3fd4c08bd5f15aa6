"""One sample that cannot be decoded: counted, named, and an error only where the spec says so."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class UnreadableError(Exception):
    """A file is damaged or not of its kind; the text says how."""


def require_regular(path: Path) -> None:
    """Refuse pipes, sockets and devices: opening them may wait, or reading them never end.

    Raises:
        UnreadableError: it is one.
        OSError: there is no such file.
    """
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UnreadableError("it is a pipe, a socket or a device")
