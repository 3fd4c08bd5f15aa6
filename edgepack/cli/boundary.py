"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING

import typer

from edgepack.cli.codes import BROKEN_PIPE, BUG, INTERRUPTED
from edgepack.cli.terminal import Terminal
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextlib.contextmanager
def command(*, json: bool, quiet: bool = False, verbose: bool = False) -> Iterator[Terminal]:
    """What every command runs in: gives it its terminal, and turns its errors into exit codes.

    Raises:
        typer.Exit: with the exit code of what went wrong.
    """
    terminal = Terminal(json=json, quiet=quiet, verbose=verbose)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield terminal
    except EdgepackError as error:
        terminal.fail(error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        terminal.note("Interrupted. What an earlier build left is as it was.")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise typer.Exit(BROKEN_PIPE) from None
    except typer.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary is what catches everything
        terminal.crash(error)
        raise typer.Exit(BUG) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, _: FrameType | None) -> None:
    """End as Ctrl-C does, so that workers and temporary files go too."""
    sys.exit(128 + number)
