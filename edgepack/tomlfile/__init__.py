"""A TOML file as a record: strict, with file, line and the nearest known key in every complaint."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from edgepack.errors import ConfigError
from edgepack.records.base import Record
from edgepack.tomlfile import lines
from edgepack.tomlfile.plain import Problem, Table, validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

R = TypeVar("R", bound=Record)

LARGEST_FILE = 4_000_000  # bytes; what people write is a thousandth of that
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PLAINER = {
    "Cannot overwrite a value": "this key was set before",
    "Invalid value": "this value is neither text in quotes, a number, true, false, list nor table",
    "Invalid statement": "a line must be key = value, [table] or # comment",
}


@dataclass(frozen=True)
class Document:
    """A TOML file, parsed and not yet held against anything."""

    path: Path
    text: str
    data: Table

    def located(self, problems: Iterable[Problem]) -> list[tuple[str, str]]:
        """File and line of each problem's key, or of what is nearest around it, and its message."""
        found = [(lines.line_of(self.text, problem.path), problem) for problem in problems]
        found.sort(key=lambda pair: pair[0])
        return [(f"{self.path}:{line}", problem.message) for line, problem in found]


def load(path: Path, kind: type[R], further: Callable[[R], Iterable[Problem]] | None = None) -> R:
    """Read a TOML file and hold it strictly against a record.

    Args:
        path: the file.
        kind: the record that it must be.
        further: names what is wrong beyond types and ranges.

    Raises:
        ConfigError: unreadable, not TOML, or not what `kind` allows; lists every problem.
    """
    document = read(path)
    found = check(kind, document.data)
    problems = found if isinstance(found, tuple) else tuple(further(found) if further else ())
    if problems or isinstance(found, tuple):
        raise complaint(document.located(problems))
    return found


def check(kind: type[R], data: Table) -> R | tuple[Problem, ...]:
    """Hold a parsed document against a record: the record, or everything that is wrong."""
    try:
        return validate(kind, data)
    except RecursionError:
        return (Problem((), "tables or lists are nested too deeply"),)


def read(path: Path) -> Document:
    """Read and parse a TOML file.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    text = _text(path)
    try:
        return Document(path, text, tomllib.loads(text))
    except RecursionError as error:
        raise ConfigError("tables or lists are nested too deeply", where=path) from error
    except ValueError as error:
        raise _syntax_error(path, text, str(error)) from error


def complaint(located: list[tuple[str, str]]) -> ConfigError:
    """One error for all problems, each a place and a message."""
    if len(located) == 1:
        return ConfigError(located[0][1], where=located[0][0])
    listed = "\n  ".join(f"{where}: {message}" for where, message in located)
    return ConfigError(f"{len(located)} things are wrong:\n  {listed}")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", where=path) from error
    except IsADirectoryError as error:
        raise ConfigError("is a directory, not a TOML file", where=path) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot be read: {reason}", where=path) from error
    if len(content) > LARGEST_FILE:
        raise ConfigError(f"is longer than {LARGEST_FILE} bytes: not a TOML file", where=path)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        hint = "Save it in that encoding with your editor."
        raise ConfigError("is not UTF-8 text", where=f"{path}:{line}", hint=hint) from error


def _syntax_error(path: Path, text: str, message: str) -> ConfigError:
    place = _PLACE.search(message)
    reason = _PLACE.sub("", message)
    if not place:
        return ConfigError(f"not valid TOML: {reason}", where=path)
    line = int(place[1]) if place[1] else text.count("\n") + (not text.endswith("\n"))
    column = f", column {place[2]}" if place[2] else ""
    said = _PLAINER.get(reason, reason)
    return ConfigError(f"not valid TOML{column}: {said}", where=f"{path}:{max(line, 1)}")
