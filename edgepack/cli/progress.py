"""A build's events on stderr: a live line on a terminal, plain lines in CI."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, TaskID

    from edgepack.cli.terminal import Terminal
    from edgepack.records.events import Event

    Emit = Callable[[Event], None]


@contextmanager
def progress(terminal: Terminal) -> Iterator[Emit]:
    """What takes a build's events, for as long as it runs."""
    if terminal.quiet:
        yield lambda event: _warn(terminal, event)
    elif sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb":
        with _live() as emit:
            yield emit
    else:
        yield _Lines(terminal).take


def _warn(terminal: Terminal, event: Event) -> None:
    if event.level == "warning":
        terminal.note(_line(event))


def _line(event: Event) -> str:
    warning = "warning: " if event.level == "warning" else ""
    return f"{warning}{event.stage}: {event.message}"


class _Lines:
    """One line for each new message; of a count its first and its last."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, event: Event) -> None:
        with self._lock:
            finished = event.total is not None and event.done == event.total
            if event.done is not None and not finished and self._repeats(event):
                return
            self._said[event.stage] = event.message
            count = f" {event.done}/{event.total}" if finished else ""
            self._terminal.note(_line(event) + count)

    def _repeats(self, event: Event) -> bool:
        return self._said.get(event.stage) == event.message


@contextmanager
def _live() -> Iterator[Emit]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False)
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
    bars = Progress(
        *columns, BarColumn(bar_width=24), TimeElapsedColumn(), console=console, transient=True
    )
    with bars:
        yield _Bars(bars).take


class _Bars:
    """The latest message, and a bar for each stage that counts."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._latest = bars.add_task("starting", total=None)
        self._counted: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def take(self, event: Event) -> None:
        with self._lock:
            if event.level != "progress":
                self._bars.console.print(_line(event), markup=False, soft_wrap=True)
            elif event.total is None:
                self._bars.update(self._latest, description=_line(event))
            else:
                self._count(event)

    def _count(self, event: Event) -> None:
        task = self._counted.get(event.stage)
        if task is None:
            task = self._counted[event.stage] = self._bars.add_task("", total=None)
        finished = event.done == event.total
        self._bars.update(
            task,
            description=_line(event),
            total=event.total,
            completed=event.done or 0,
            visible=not finished,
        )
