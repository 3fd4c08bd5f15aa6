"""What a record allows at each key, in words: read off its annotations."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from edgepack.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.tomlfile.lines import KeyPath

QUOTES = "put it in quotes if it is text"
LONGEST = 40  # characters of a value that a message repeats
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WORDS: dict[Any, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


@dataclass(frozen=True)
class Allowed:
    """What may stand at one key."""

    annotation: Any
    description: str = ""


def at(kind: type[Record], path: KeyPath) -> Allowed:
    """What a record allows at a key; anything where it knows no such key."""
    found = Allowed(kind)
    for key in path:
        found = _inside(found.annotation, key)
    return found


def _inside(annotation: Any, key: str | int) -> Allowed:
    for option in _options(annotation):
        if _is_record(option) and key in option.model_fields:
            field = option.model_fields[key]
            return Allowed(field.annotation, field.description or "")
        if get_origin(option) is dict:
            return Allowed(get_args(option)[1])
        if get_origin(option) is tuple:
            return Allowed(get_args(option)[0])
    return Allowed(Any)


def keys(annotation: Any) -> tuple[str, ...]:
    """The keys that a table may have; none where any will do."""
    for option in _options(annotation):
        if _is_record(option):
            return tuple(option.model_fields)
        if get_origin(option) is dict:
            return choices(get_args(option)[0])
    return ()


def required(annotation: Any) -> tuple[str, ...]:
    """The keys that a table must have."""
    for option in _options(annotation):
        if _is_record(option):
            return tuple(n for n, field in option.model_fields.items() if field.is_required())
    return ()


def choices(annotation: Any) -> tuple[str, ...]:
    """The only values allowed, where there are such."""
    literals = [option for option in _options(annotation) if get_origin(option) is Literal]
    return tuple(str(value) for option in literals for value in get_args(option))


def homes(kind: type[Record], key: str, below: KeyPath = ()) -> Iterator[KeyPath]:
    """The tables, outermost first, that know a key."""
    if key in kind.model_fields:
        yield below
    for name, field in kind.model_fields.items():
        for option in _options(field.annotation):
            if _is_record(option):
                yield from homes(option, key, (*below, name))


def wanted(annotation: Any) -> str:
    """What belongs somewhere, such as `a whole number`."""
    options = [option for option in _options(annotation) if option is not NoneType]
    if float in options:
        options = [option for option in options if option is not int]
    return " or ".join(_word(option) for option in options)


def told(value: Any) -> str:
    """What was found there, such as `text "1"`."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        shown = value if len(value) <= LONGEST else value[:LONGEST] + "..."
        return json.dumps(shown, ensure_ascii=False)
    return json.dumps(value)


def dotted(path: KeyPath) -> str:
    """A key as TOML writes it; positions in lists count from 1."""
    names = [_part(key) for key in path]
    return "".join(names).removeprefix(".") or "the file"


def _part(key: str | int) -> str:
    if isinstance(key, int):
        return f" (item {key + 1})"
    bare = _BARE.fullmatch(key)
    return f".{key}" if bare else f".{quoted(key)}"


def quoted(text: str) -> str:
    """Text as a basic string of TOML."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _word(option: Any) -> str:
    if _is_record(option) or get_origin(option) is dict:
        return "a table"
    if get_origin(option) is tuple:
        return f"a list, each item {wanted(get_args(option)[0])}"
    if get_origin(option) is Literal:
        return "one of " + ", ".join(f'"{value}"' for value in get_args(option))
    return _WORDS.get(option, "something else")


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    is_union = get_origin(annotation) in {Union, UnionType}
    return get_args(annotation) if is_union else (annotation,)


def _is_record(option: Any) -> bool:
    return isinstance(option, type) and issubclass(option, Record)
