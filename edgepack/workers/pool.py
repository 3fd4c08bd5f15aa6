"""A `concurrent.futures.Executor` over processes that may die without taking the build along."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from edgepack.errors import WorkerError
from edgepack.workers import death, memory
from edgepack.workers.environment import ALWAYS, LOGGED, inherited
from edgepack.workers.protocol import Failure, Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgepack.records.settings import Limits

P = ParamSpec("P")
T = TypeVar("T")

WORDS_BYTES = 1 << 16  # of a log, that an error is told from
PATIENCE_SECONDS = 3.0  # for a process that was told to end


@dataclass
class _Process:
    """One live worker process, the pipe to it, and what was so when it started."""

    popen: subprocess.Popen[bytes]
    pipe: Connection
    log_start: int
    kills_before: int

    def kill(self) -> None:
        """End it, and whatever it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        self.pipe.close()

    def say_where(self) -> None:
        """Let it print where it is: faulthandler answers to SIGABRT."""
        self.popen.send_signal(signal.SIGABRT)
        self.status()

    def status(self) -> int:
        """How it ended; one that only closed its pipe is ended first."""
        try:
            return self.popen.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()


class WorkerPool(Executor):
    """Runs picklable functions in `count` processes, each started when first needed.

    A process that dies, by a signal or by the time limit, fails the one call it served with a
    `WorkerError` that names the phase; the next call gets a new process.

    Args:
        name: what the pool is for, as error messages name it.
        count: number of processes.
        limits: time of one call, memory and environment of one process.
        log: file that takes what the processes print, or None to leave it on stderr.
    """

    def __init__(self, name: str, count: int, limits: Limits, log: Path | None) -> None:
        self._name, self._limits, self._log = name, limits, log
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._idle: queue.SimpleQueue[_Process | None] = queue.SimpleQueue()
        self._alive: set[int] = set()
        self._closed = False
        self._starting = threading.Lock()  # so that none starts unseen while all are ended
        for _ in range(count):
            self._idle.put(None)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn(*args, **kwargs)` in a worker; its name is the phase that errors speak of."""
        return self._threads.submit(self._serve, fn, args, kwargs)

    def __exit__(self, *_: object) -> None:
        self.kill()

    def __enter__(self) -> Self:
        return self

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Let running calls end, then end the processes."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        self.kill()

    def kill(self) -> None:
        """End every process now; calls under way fail. Threads may call it side by side."""
        with self._starting:
            self._closed = True
            alive = list(self._alive)
        for pid in alive:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self._threads.shutdown(wait=True, cancel_futures=True)
        with suppress(queue.Empty):
            while True:
                self._retire(self._idle.get_nowait())

    def _serve(self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        process = self._idle.get()
        phase = fn.__name__.replace("_", " ")
        try:
            if process is not None and process.popen.poll() is not None:
                self._retire(process)
                process = None
            process = process or self._start()
            answer = self._exchange(process, Request(fn, args, kwargs), phase)
        except BaseException:
            self._retire(process)
            self._idle.put(None)
            raise
        self._idle.put(process)
        if isinstance(answer, Failure):
            raise answer.error
        return answer  # type: ignore[no-any-return]

    def _retire(self, process: _Process | None) -> None:
        if process is not None:
            self._alive.discard(process.popen.pid)
            process.kill()

    def _exchange(self, process: _Process, request: Request, phase: str) -> Any:
        try:
            process.pipe.send(request)
            if process.pipe.poll(self._limits.timeout_seconds):
                return process.pipe.recv()
        except (EOFError, ConnectionError):
            raise self._death(process, phase) from None
        process.say_where()
        seconds = self._limits.timeout_seconds
        raise death.timed_out(self._name, phase, seconds, self._words(process))

    def _start(self) -> _Process:
        with self._starting:
            if self._closed:
                raise WorkerError(f"the {self._name} worker was stopped")
            process = self._spawn()
            self._alive.add(process.popen.pid)
        return process

    def _spawn(self) -> _Process:
        ours, theirs = Pipe()
        log = self._log.open("ab") if self._log else None
        command = [sys.executable, "-m", "edgepack.workers.child", str(theirs.fileno())]
        command.append(str(self._limits.memory_bytes or memory.default_limit()))
        environment = inherited(os.environ, self._limits.pass_environment)
        start, kills = log.tell() if log else 0, memory.out_of_memory_kills()
        popen = subprocess.Popen(  # noqa: S603 - our own module
            command,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log or sys.stderr.fileno(),
            stderr=log,
            env={**environment, **(LOGGED if log else {}), **ALWAYS},
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        theirs.close()
        if log:
            log.close()
        return _Process(popen, ours, start, kills)

    def _death(self, process: _Process, phase: str) -> WorkerError:
        status = process.status()
        ran_out = memory.out_of_memory_kills() > process.kills_before
        words = self._words(process)
        return death.died(self._name, phase, status, words, memory_ran_out=ran_out)

    def _words(self, process: _Process) -> str:
        """What was printed since the process started."""
        if self._log is None or not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(process.log_start, end - WORDS_BYTES))
            return log.read().decode(errors="replace")
