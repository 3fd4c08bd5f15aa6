"""What the stages of one build share: worker pools, cache, scratch space, events."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from edgepack.pipeline import logbook
from edgepack.records.events import Event
from edgepack.workers.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.cache import Cache
    from edgepack.records.settings import Limits

P = ParamSpec("P")
T = TypeVar("T")

SCRATCH = "edgepack-scratch-"
OURS = re.compile(rf"{SCRATCH}[a-z0-9_]{{8}}")  # as tempfile completes the prefix
ABANDONED_SECONDS = 3 * 86_400  # longer than any build
BRANCHES = 32  # threads that only wait: for a worker, or for another branch


@dataclass
class Session:
    """Shared by the stages of one build; a context manager that leaves no process behind.

    Args:
        cache: where stage results are kept.
        limits: what each worker may use.
        emit: takes the build's events.
        verbose: let the workers' own output through to stderr.
        output: where the log of a build that fails is left, if anywhere.
    """

    cache: Cache
    limits: Limits
    emit: Callable[[Event], None]
    verbose: bool = False
    output: Path | None = None
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)
    _pools: list[WorkerPool] = field(default_factory=list, init=False, repr=False)
    _ending: bool = field(default=False, init=False, repr=False)

    def __enter__(self) -> Self:
        _sweep(Path(tempfile.gettempdir()))
        with ExitStack() as stack:
            self.work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH)))
            stack.callback(self._end_workers)
            self.general = self.pool("edgepack", self.cores)
            self.tensorflow = self.pool("TensorFlow", 1)
            self._branches = ThreadPoolExecutor(BRANCHES, thread_name_prefix="branch")
            stack.callback(self._branches.shutdown, wait=False, cancel_futures=True)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self.emit = _unheard  # what branches say of workers that are ended here is no news
        with self._stack:
            if isinstance(error, Exception) and self.output:
                self._end_workers()
                if log := logbook.keep(sorted(self.work.glob("*.log")), self.output):
                    logbook.point(error, log)

    def pool(self, name: str, count: int) -> WorkerPool:
        """A pool of workers under this session's limits, ended with it if not before."""
        log = None if self.verbose else self.work / f"{name}.log"
        pool = WorkerPool(name, count, self.limits, log)
        self._pools.append(pool)
        if self._ending:
            pool.kill()
        return pool

    def _end_workers(self) -> None:
        self._ending = True
        for pool in list(self._pools):
            pool.kill()

    def branch(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a stage in a thread of this process, beside the others."""
        return self._branches.submit(function, *args, **kwargs)

    def tell(self, stage: str, message: str) -> None:
        """Say that a stage has begun or got somewhere."""
        self.emit(Event(stage=stage, message=message))

    def warn(self, stage: str, message: str) -> None:
        """Say something that a person should read."""
        self.emit(Event(stage=stage, message=message, level="warning"))


def _sweep(directory: Path) -> None:
    """Remove the scratch space of builds that were killed, and could not do it themselves."""
    oldest = time.time() - ABANDONED_SECONDS
    for left in directory.glob(f"{SCRATCH}*"):
        with suppress(OSError):
            found = left.lstat()
            mine = OURS.fullmatch(left.name) and found.st_uid == os.getuid()
            if mine and found.st_mtime < oldest:
                shutil.rmtree(left)


def _unheard(_: Event) -> None:
    pass
