"""Strict validation of parsed TOML, with complaints that name keys and say what belongs there."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass
from datetime import date, time
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from edgepack.records.base import Record
from edgepack.tomlfile import shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic_core import ErrorDetails

    from edgepack.tomlfile.lines import KeyPath

R = TypeVar("R", bound=Record)
Table = dict[str, Any]

LARGEST = 2**63 - 1  # integers of TOML have 64 bits
_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and the key that it is wrong with."""

    path: KeyPath
    message: str
    unknown: bool = False


def validate(kind: type[R], data: Table) -> R | tuple[Problem, ...]:
    """Hold a parsed TOML document against a record: the record, or everything that is wrong.

    Nothing is converted from another type, but a whole number may stand where a number may.
    """
    odd = tuple(_odd(data, ()))
    plain = _without_odd(data)
    try:
        record = kind.model_validate_json(json.dumps(plain), strict=True)
    except ValidationError as error:
        return _each_once(odd, [_problem(kind, plain, details) for details in error.errors()])
    return odd or record


def _each_once(odd: tuple[Problem, ...], found: list[Problem]) -> tuple[Problem, ...]:
    """One problem a key: of a union's complaints the first, of an odd value that it is odd."""
    known = {problem.path: problem for problem in reversed(found)}
    for problem in odd:
        if not (problem.path in known and known[problem.path].unknown):
            known[problem.path] = problem
    return tuple(reversed(known.values()))


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean "..."?` where a known word is close, else the list of the known ones."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, 1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"known: {', '.join(words)}" if words else "there is none"


def _odd(value: Any, path: KeyPath) -> Iterator[Problem]:
    """What TOML can say and no record takes."""
    if isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in entries:
            yield from _odd(inner, (*path, key))
    elif fault := _fault(value):
        yield Problem(path, f"{shapes.dotted(path)} is {fault}")


def _fault(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}, not a finite number"
    if isinstance(value, int) and abs(value) > LARGEST:
        return "a whole number of more than 64 bits"
    if isinstance(value, date | time):
        return f"a date or time; {shapes.QUOTES}"
    return ""


def _without_odd(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_odd(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_odd(inner) for inner in value]
    return None if _fault(value) else value


def _problem(kind: type[Record], data: Table, details: ErrorDetails) -> Problem:
    path, value, rest = _place(data, details["loc"])
    if details["type"] == "missing":
        path = (*path, *rest)
        return Problem(path, _missing(kind, path))
    if details["type"] == "extra_forbidden" or rest == ("[key]",):
        return Problem(path, _unknown(kind, path), unknown=True)
    return Problem(path, f"{shapes.dotted(path)} {_fit(kind, path, value, details)}")


def _place(data: Any, loc: KeyPath) -> tuple[KeyPath, Any, KeyPath]:
    """How far a location leads into the data, what is there, and the rest of the location.

    pydantic adds to a location which member of a union it tried, or that a key was wrong.
    """
    for depth, key in enumerate(loc):
        inside = isinstance(data, dict) or (isinstance(data, list) and isinstance(key, int))
        if not inside or (isinstance(data, dict) and key not in data):
            return loc[:depth], data, loc[depth:]
        data = data[key]
    return loc, data, ()


def _missing(kind: type[Record], path: KeyPath) -> str:
    needs = shapes.required(shapes.at(kind, path).annotation)
    if needs:
        return f"the table [{shapes.dotted(path)}] is missing; it needs {', '.join(needs)}"
    meaning = shapes.at(kind, path).description
    return f"{shapes.dotted(path)} is missing" + (f": {meaning}" if meaning else "")


def _unknown(kind: type[Record], path: KeyPath) -> str:
    key, table = str(path[-1]), path[:-1]
    where = f" in [{shapes.dotted(table)}]" if table else ""
    homes = [home for home in shapes.homes(kind, key) if home != table]
    if homes:
        return f'unknown key "{key}"{where}; it belongs {_below(homes[0])}'
    known = shapes.keys(shapes.at(kind, table).annotation)
    return f'unknown key "{key}"{where}; {nearest(key, known)}'


def _below(table: KeyPath) -> str:
    return f"below [{shapes.dotted(table)}]" if table else "at the top, above the first [table]"


def _fit(kind: type[Record], path: KeyPath, value: Any, details: ErrorDetails) -> str:
    """What should have stood there."""
    found, context = shapes.at(kind, path), details.get("ctx", {})
    choices = shapes.choices(found.annotation)
    if choices and isinstance(value, str):
        return f"is {shapes.told(value)}; {nearest(value, choices)}"
    if bound := _BOUNDS.get(details["type"]):
        return f"must be {bound[1]} {context[bound[0]]:g}, not {shapes.told(value)}"
    if details["type"] == "string_too_short":
        return "must not be empty"
    if details["type"] == "string_too_long":
        return f"must not be longer than {context['max_length']} characters"
    if details["type"] == "string_pattern_mismatch":
        wanted = found.description or f"text like {context['pattern']}"
        return f"is {shapes.told(value)}, which does not fit: {wanted}"
    return f"must be {shapes.wanted(found.annotation)}, not {shapes.told(value)}"
