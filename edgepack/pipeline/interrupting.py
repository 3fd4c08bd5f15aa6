"""Ctrl-C once means: end with what there is. Twice means what it always does."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def one_interrupt() -> Iterator[threading.Event]:
    """An event that the first SIGINT sets, in the main thread, where Python delivers signals.

    Nothing is printed there: the signal may have come while something else was, under a lock.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    previous = signal.getsignal(signal.SIGINT)

    def heard(number: int, frame: FrameType | None) -> None:
        if not asked.is_set():
            asked.set()
        elif callable(previous):
            previous(number, frame)

    signal.signal(signal.SIGINT, heard)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, previous)
