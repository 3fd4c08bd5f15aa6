"""One error tree: every failure a user can cause has a type, an exit code and a next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class EdgepackError(Exception):
    """Root of every error edgepack raises on purpose.

    Args:
        message: what happened, as one sentence.
        where: the file (and line or member) it happened in, if there is one.
        hint: what to do next.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | Path | None = None, hint: str = "") -> None:
        super().__init__(message, where, hint)
        self.message = message
        self.where = str(where) if where is not None else ""
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by keyword, so that errors cross from a worker whole."""
        return _rebuild, (type(self), self.message, self.where, self.hint)

    def __str__(self) -> str:
        located = f"{self.where}: {self.message}" if self.where else self.message
        return f"{located}\n  {self.hint}" if self.hint else located


def _rebuild(kind: type[EdgepackError], message: str, where: str, hint: str) -> EdgepackError:
    return kind(message, where=where or None, hint=hint)


class UsageError(EdgepackError):
    """The command line, a path or the machine does not allow what was asked."""

    exit_code = 2


class ConfigError(UsageError):
    """A TOML file of the user's says something that is not allowed."""


class DatasetError(UsageError):
    """The dataset cannot serve: unreadable, too small, wrong shape, overlapping splits."""


class MissingExtraError(UsageError):
    """A command needs a part of edgepack that is not installed."""


class OutputError(UsageError):
    """A result could not be written: disk full, directory not writable."""


class GateError(EdgepackError):
    """A model was built and measured, and is over budget."""

    exit_code = 3


class VerificationError(EdgepackError):
    """A bundle is not what it claims to be."""

    exit_code = 4


class ModelError(EdgepackError):
    """The source model cannot be read, loaded, run or converted."""

    exit_code = 5


class WorkerError(ModelError):
    """A worker process died, ran out of time or out of memory."""


class IncompatibleError(EdgepackError):
    """A requested target cannot run what was built."""

    exit_code = 6
