"""Where a command's words go: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepack.cli.codes import BUG
from edgepack.errors import EdgepackError, OutputError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from edgepack.records.base import Record

WIDTH = 120  # columns of a table that goes to a file or a pipe
ISSUES = "Please report it, with what you ran and what --verbose prints."


@dataclass(frozen=True)
class Terminal:
    """How one command was asked to speak."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False

    def record(self, record: Record) -> None:
        """Print a record as one JSON document."""
        self.text(record.model_dump_json(indent=2))

    def document(self, value: Any) -> None:
        """Print a value of dicts, lists and scalars as one JSON document."""
        self.text(json.dumps(value, indent=2, ensure_ascii=False))

    def show(self, *tables: RenderableType) -> None:
        """Print tables, in colour where a terminal reads them."""
        from rich.console import Console

        known = sys.stdout.isatty() or "COLUMNS" in os.environ
        console = Console(file=sys.stdout, width=None if known else WIDTH, highlight=False)
        with console.capture() as capture:  # rich would end the process when a pipe breaks
            for table in tables:
                console.print(table)
        lines = capture.get().splitlines()
        self.text("\n".join(line.rstrip() for line in lines))

    def text(self, text: str) -> None:
        """Print text as it is.

        Raises:
            OutputError: standard output cannot be written.
        """
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"standard output cannot be written: {error.strerror}") from error

    def note(self, text: str) -> None:
        """Say something that is no result."""
        sys.stderr.write(f"{text}\n")

    def fail(self, error: EdgepackError) -> None:
        """Say what went wrong: in words, or with --json as one line of JSON."""
        if not self.json:
            more = f"edgepack explain {error.code} tells more."
            self.note(f"{bold_red(f'error[{error.code}]:')} {error}\n  {more}")
            return
        said = {"message": error.message, "where": error.where, "hint": error.hint}
        self._fail_json(type(error).__name__, error.code, said, error.exit_code)

    def crash(self, error: Exception) -> None:
        """Say that edgepack has a bug."""
        if self.verbose:
            import traceback

            self.note("".join(traceback.format_exception(error)).rstrip())
        said = f"{type(error).__name__}: {error}"
        if self.json:
            found = {"message": said, "where": "", "hint": ISSUES}
            self._fail_json("Bug", EdgepackError.code, found, BUG)
        else:
            self.note(f"{bold_red('bug in edgepack:')} {said}\n  {ISSUES}")

    def _fail_json(self, kind: str, code: str, said: dict[str, str], exit_code: int) -> None:
        error = {"type": kind, "code": code, **said, "exit_code": exit_code}
        self.note(json.dumps({"error": error}, ensure_ascii=False))


def bold_red(text: str) -> str:
    """Text that stands out on a terminal that has colours."""
    plain = not sys.stderr.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\x1b[1;31m{text}\x1b[0m"
