"""The command line: parses, prints, exits; what it does is in `edgepack.api`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.cli.codes import BROKEN_PIPE, INTERRUPTED, USAGE

if TYPE_CHECKING:
    from typing import TextIO


def main() -> None:
    """Run the command line of this process and exit with its code."""
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)
    code = 0
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        code = code or _unwritable(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the last flush
    sys.exit(code)


def _run() -> int:
    from edgepack.cli.app import app

    try:
        app(prog_name="edgepack")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


def _unwritable(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    said = f"error[output]: standard output cannot be written: {error.strerror}"
    sys.stderr.write(f"{said}\n  edgepack explain output tells more.\n")
    return USAGE


def _usable(stream: TextIO | None) -> TextIO:
    """A stream that takes any name of a file; nowhere, where the caller closed it."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    return stream
