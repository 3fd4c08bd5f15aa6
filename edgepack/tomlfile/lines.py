"""On which line a TOML file says what: the standard parser does not tell."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field

KeyPath = tuple[str | int, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_KEY = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_STRING = r"""\"{3}(?:[^\\]|\\.)*?\"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
_PARTS = re.compile(_PART)
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STATEMENT = re.compile(rf"(\[{{0,2}})[ \t]*({_KEY})[ \t]*(?:=|\]{{1,2}})")
_TOKEN = re.compile(rf"{_STRING}|#[^\n]*|[\[\]{{}}\n]|[^\"'#\[\]{{}}\n]+", re.DOTALL)
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def line_of(text: str, path: KeyPath) -> int:
    """The line, from 1, of the key at `path`, or of the nearest key or table around it.

    What is inside a value, such as an inline table, counts as the line of the value's key.

    Args:
        text: a whole TOML document that the standard parser accepts.
        path: keys from the outermost in, with a position for each list.
    """
    known = _scan(text)
    return next(known[path[:end]] for end in range(len(path), -1, -1) if path[:end] in known)


@dataclass
class _Index:
    """Where each key was first seen."""

    lines: dict[KeyPath, int] = field(default_factory=lambda: {(): 1})
    lengths: dict[KeyPath, int] = field(default_factory=dict)

    def table(self, keys: list[str], line: int) -> KeyPath:
        """Note a table and those around it; a list on the way means its latest element."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            self.lines.setdefault(path, line)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def element(self, keys: list[str], line: int) -> KeyPath:
        """Note one more table of a list of tables."""
        path = (*self.table(keys[:-1], line), keys[-1])
        self.lines.setdefault(path, line)
        position = self.lengths.get(path, 0)
        self.lengths[path] = position + 1
        self.lines[*path, position] = line
        return (*path, position)

    def key(self, table: KeyPath, keys: list[str], line: int) -> None:
        """Note a key of a table, and the tables that its dots imply."""
        for end in range(1, len(keys) + 1):
            self.lines.setdefault((*table, *keys[:end]), line)


def _scan(text: str) -> dict[KeyPath, int]:
    index = _Index()
    table: KeyPath = ()
    position, line, counted = _after(_SPACE, text, 0), 1, 0
    while statement := _STATEMENT.match(text, position):
        line += text.count("\n", counted, position)
        counted, position = position, statement.end()
        keys = [_plain(part) for part in _PARTS.findall(statement[2])]
        if statement[1] == "[[":
            table = index.element(keys, line)
        elif statement[1]:
            table = index.table(keys, line)
        else:
            index.key(table, keys, line)
            position = _value_end(text, position)
        position = _after(_SPACE, text, position)
    return index.lines


def _value_end(text: str, position: int) -> int:
    """Where the value that starts at `position` is over: at a line's end outside all brackets."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        if token[0] == "\n" and depth == 0:
            return token.start()
        depth += _DEPTH.get(token[0], 0)
    return len(text)


def _after(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _plain(key: str) -> str:
    """A key without its quotes and escapes."""
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key
