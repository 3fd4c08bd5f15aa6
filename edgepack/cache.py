"""Stage results, stored by content, so that an unchanged build computes nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from edgepack.errors import OutputError
from edgepack.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

R = TypeVar("R", bound=Record)
RESULT = "result.json"
KEEP_DAYS = 30.0
DAY = 86_400
FORMAT = "5"  # raise when what a stage stores changes its meaning


def default_root() -> Path:
    """EDGEPACK_CACHE, else the user's cache directory (XDG_CACHE_HOME)."""
    if own := os.environ.get("EDGEPACK_CACHE"):
        return Path(own)
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "edgepack"


@dataclass
class Cache:
    """Results by stage and key. Builds may share it: an entry appears whole or not at all.

    Args:
        root: the cache directory.
        hits: names of the stages answered by what was there before, in order.
    """

    root: Path
    hits: list[str] = field(default_factory=list)
    _made: set[Path] = field(default_factory=set, init=False, repr=False)
    _makers: dict[str, threading.Lock] = field(default_factory=dict, init=False, repr=False)

    def directory(self, stage: str, key: Mapping[str, str]) -> Path:
        """Where the result of `stage` for `key` is, or would be."""
        made_by = {"format": FORMAT, "edgepack": version("edgepack")}
        text = json.dumps({**made_by, "stage": stage, **key}, sort_keys=True)
        return self.root / stage / hashlib.sha256(text.encode()).hexdigest()[:40]

    def lookup(self, stage: str, key: Mapping[str, str], kind: type[R]) -> tuple[R, Path] | None:
        """The stored record and the directory of its files, if the entry is whole."""
        found = _stored(self.directory(stage, key), kind)
        if found:
            with contextlib.suppress(OSError):
                os.utime(found[1])  # the least recently used entries can be pruned
            if found[1] not in self._made:
                self.hits.append(stage)
        return found

    def stage(
        self,
        stage: str,
        key: Mapping[str, str],
        kind: type[R],
        make: Callable[[Path], R],
        keep: Callable[[R], bool] = lambda _: True,
    ) -> tuple[R, Path]:
        """The stored result, or `make(directory)`'s, stored with the files it left there.

        Two threads that ask for the same wait for one to make it.

        Args:
            stage: its name.
            key: what decides the result.
            kind: of the record.
            make: makes it.
            keep: whether a result is worth storing; one that is not has left no files.

        Raises:
            OutputError: the cache directory cannot be written.
        """
        if found := self.lookup(stage, key, kind):
            return found
        directory = self.directory(stage, key)
        with self._makers.setdefault(str(directory), threading.Lock()):
            # whole by now only where another thread or build has made it in this one's time
            found = _stored(directory, kind) or _fill(directory, kind, make, keep)
            self._made.add(directory)
            return found

    def prune(self, days: float = KEEP_DAYS) -> None:
        """Remove entries that no build used for so long, and what killed builds left."""
        oldest = time.time() - days * DAY
        for entry in self.root.glob("*/*"):
            with contextlib.suppress(OSError):
                if entry.stat().st_mtime < oldest:
                    _remove(entry)


def _stored(directory: Path, kind: type[R]) -> tuple[R, Path] | None:
    try:
        return kind.model_validate_json((directory / RESULT).read_bytes()), directory
    except (OSError, ValidationError):
        return None


def _fill(
    directory: Path, kind: type[R], make: Callable[[Path], R], keep: Callable[[R], bool]
) -> tuple[R, Path]:
    with _writable(directory.parent):
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=directory.parent))
    try:
        record = make(partial)
        if not keep(record):
            return record, directory
        with _writable(directory):
            (partial / RESULT).write_text(record.model_dump_json())
            return _settle(partial, directory, kind) or (record, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _settle(partial: Path, directory: Path, kind: type[R]) -> tuple[R, Path] | None:
    """Move an entry into place; the one that another build was first to put there, if any.

    That one stays: someone may be reading its files. Only a broken one is replaced.
    """
    try:
        partial.rename(directory)
    except OSError:
        if found := _stored(directory, kind):
            return found
        with contextlib.suppress(OSError):
            _remove(directory)
        partial.rename(directory)
    return None


def _remove(entry: Path) -> None:
    """Remove an entry, its record first: what is left when this is ended half-way is no entry."""
    (entry / RESULT).unlink(missing_ok=True)
    shutil.rmtree(entry)


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the cache cannot be written: {error.strerror}",
            where=path,
            hint="Free space, or name another directory with --cache-dir (EDGEPACK_CACHE).",
        ) from error
