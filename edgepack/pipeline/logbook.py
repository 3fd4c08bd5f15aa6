"""What the workers printed, kept where it can be read after a build that failed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import EdgepackError, ModelError
from edgepack.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable

NAME = "build.log"
OTHER_NAME = "edgepack-build.log"  # where somebody else's log has the first name
HEADER = b"# What the workers of the last failed edgepack build printed.\n"
MOST_BYTES = 16 << 20  # of each log, from its end


def keep(logs: Iterable[Path], output: Path) -> Path | None:
    """Put logs together in the output directory, in place of an earlier build's.

    Returns:
        The file, or None where nothing was printed or the file cannot be written: the failure
        that is being reported matters more.
    """
    printed = [(log.stem, _end(log)) for log in logs]
    parts = [f"\n== {name} ==\n".encode() + text for name, text in printed if text.strip()]
    if not parts:
        return None
    with suppress(EdgepackError, OSError):
        target = output / (NAME if _is_ours(output / NAME) else OTHER_NAME)
        write_atomic(target, HEADER + b"".join(parts))
        return target
    return None


def point(error: BaseException, log: Path) -> None:
    """Let an error about the model say where TensorFlow's own words are."""
    if isinstance(error, ModelError):
        where = f"TensorFlow's own words: {_shown(log)}"
        error.hint = f"{error.hint}\n  {where}" if error.hint else where


def _end(log: Path) -> bytes:
    if not log.is_file():
        return b""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - MOST_BYTES))
        return file.read()


def _is_ours(file: Path) -> bool:
    if not file.exists():
        return True
    with file.open("rb") as found:
        return found.read(len(HEADER)) == HEADER


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
