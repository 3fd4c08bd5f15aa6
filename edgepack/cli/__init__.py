"""The command line: parses, prints, exits; what it does is in `edgepack.api`."""

from __future__ import annotations

import os
import sys

BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports it
INTERRUPTED = 130  # 128 + SIGINT


def main() -> None:
    """Run the command line of this process and exit with its code."""
    try:
        for stream in (sys.stdout, sys.stderr):  # a name of any bytes must not break a message
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        from edgepack.cli.app import app

        try:
            app(prog_name="edgepack")
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads the rest
        sys.exit(BROKEN_PIPE)
