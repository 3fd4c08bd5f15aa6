"""A worker's end as a typed error: by what, in which phase, on which op, with its last words."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

from edgepack.errors import WorkerDiedError, WorkerMemoryError, WorkerTimeoutError

if TYPE_CHECKING:
    from edgepack.errors import WorkerError

SHOWN_LINES = 12
SHOWN_COLUMNS = 300
# What libraries say when memory runs out, before they end their process.
OUT_OF_MEMORY = re.compile(
    r"std::bad_alloc|MemoryError|[Oo]ut of memory|OOM when allocating"
    r"|[Cc]annot allocate memory|failed to map segment|pthread_create\(?\)? failed"
)
# How TensorFlow and the TFLite interpreter name the op that failed.
OPS = (re.compile(r"\{\{node ([^}\s]+)\}\}"), re.compile(r"[Nn]ode number \d+ \((\w+)\)"))
# What TensorFlow says at every start, and tells of no failure.
SMALL_TALK = re.compile(r"I\d{4} |WARNING: All log messages before absl|.*failed call to cuInit")
CRASH = "Fatal Python error"  # faulthandler's first line, the innermost frame comes next
SHOWN_BEFORE_CRASH = 4
MORE_MEMORY = "Raise limits.memory_bytes (--memory-limit), or use a larger machine."


def died(name: str, phase: str, status: int, words: str, *, memory_ran_out: bool) -> WorkerError:
    """The error for a worker that ended on its own, or was ended from outside.

    Args:
        name: of the pool.
        phase: what it was to do.
        status: its exit status, negative for a signal.
        words: what it printed.
        memory_ran_out: the kernel killed processes for memory while it lived.
    """
    how = f"was killed by {_signal(-status)}" if status < 0 else f"exited with {status}"
    said = f"the {name} worker {how} while it was to {phase}{_on_op(words)}"
    if OUT_OF_MEMORY.search(words) or (memory_ran_out and status == -signal.SIGKILL):
        return WorkerMemoryError(f"{said}: out of memory", hint=MORE_MEMORY + last(words))
    hint = "An operator's bug, or memory that ran out, is the usual cause of SIGSEGV and SIGABRT."
    if status == -signal.SIGKILL:
        hint = "Something outside edgepack ended it: a container's memory limit is the usual cause."
    return WorkerDiedError(said, hint=hint + last(words))


def timed_out(name: str, phase: str, seconds: float, words: str) -> WorkerError:
    """The error for a worker that was ended because a call took too long.

    TensorFlow may wait for ever after an allocation that failed: then it is told as that.
    """
    said = f"the {name} worker took over {seconds:g} s to {phase}{_on_op(words)}"
    if OUT_OF_MEMORY.search(words):
        return WorkerMemoryError(f"{said}: out of memory", hint=MORE_MEMORY + last(words))
    return WorkerTimeoutError(
        said,
        hint=f"Raise limits.timeout_seconds (--timeout), or use fewer samples.{last(words)}",
    )


def last(words: str) -> str:
    """The last lines of what a worker printed, to stand under a hint."""
    telling = [line for line in words.splitlines() if line.strip() and not SMALL_TALK.match(line)]
    crash = next((n for n, line in enumerate(telling) if CRASH in line), len(telling))
    start = max(0, min(crash - SHOWN_BEFORE_CRASH, len(telling) - SHOWN_LINES))
    lines = [line[:SHOWN_COLUMNS] for line in telling[start:][:SHOWN_LINES]]
    return "\n  Its last words:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""


def ended(status: int) -> str:
    """How another program ended by itself, such as `died by SIGSEGV`.

    Args:
        status: its exit status, negative for a signal.
    """
    return f"died by {_signal(-status)}" if status < 0 else f"ended with code {status}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _on_op(words: str) -> str:
    found = [match for pattern in OPS for match in pattern.finditer(words)]
    return f", at op {max(found, key=lambda match: match.start())[1]}" if found else ""
