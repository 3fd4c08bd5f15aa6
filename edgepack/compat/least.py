"""The least release of a runtime that loads a file, recomputed from its operators.

A runtime looks up each operator by name and version before anything else, so these decide whether
it loads a file at all. The file's own `min_runtime_version` is not looked at: it is advisory,
leaves operators out and counts TensorFlow's releases only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from packaging.version import Version

from edgepack.compat.numberings import numberings
from edgepack.compat.registered import table, versioned
from edgepack.compat.remedies import remedy
from edgepack.records.compat import LeastRelease, Numbering, Proven

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.compat.numberings import Numbered
    from edgepack.compat.registered import Registered, Row
    from edgepack.records.tensors import OpUse


def least(
    operators: Iterable[OpUse], kernels: Iterable[str] = (), below: str = ""
) -> tuple[LeastRelease, ...]:
    """The least release in each numbering of which anything is known.

    Custom operators, Select-TF's among them, are left out: the app brings them along.

    Args:
        operators: of the file.
        kernels: what it asks of them beyond their versions (`TFLiteFacts.kernels`).
        below: the first release that does not count any more, such as 2.0; all do when empty.
    """
    builtin = sorted({(one.name, one.version) for one in operators if not one.custom})
    beyond = tuple(kernels)
    known = ((name, numberings()[name]) for name in get_args(Numbering))
    asked = [(name, one, _needs(builtin, beyond, one, below)) for name, one in known if one.package]
    return tuple(_least(name, one, needs) for name, one, needs in asked)


@dataclass(frozen=True)
class _Needs:
    """What a file asks for, in one numbering: a row each, of the releases that there are."""

    rows: dict[str, Row]
    found: Registered
    end: int  # behind all releases

    def place(self, name: str) -> int:
        """Of the first release that has it; the oldest where none was found not to."""
        row = self.rows[name]
        if row.first is None:
            return self.end
        return row.first if row.decides else 0

    def release(self, place: int) -> str | None:
        return self.found.releases[place] if place < self.end else None


def _least(name: Numbering, numbered: Numbered, needs: _Needs) -> LeastRelease:
    places = {name: needs.place(name) for name in needs.rows}
    last = max(places.values(), default=0)
    decide = tuple(name for name, place in places.items() if place == last) if last else ()
    told = remedy(decide)
    return LeastRelease(
        numbering=name,
        release=needs.release(last),
        or_earlier=_or_earlier(needs, last, decide),
        operators=decide,
        without=needs.release(_before(places, last)) if last else None,
        lost=_lost(needs, decide),
        proven=_proven(needs, numbered, decide),
        remedy=told.change,
        remedy_proven=told.proven,
    )


def _needs(
    builtin: list[tuple[str, int]], kernels: tuple[str, ...], numbered: Numbered, below: str
) -> _Needs:
    found = table(numbered.package)
    newest = numbered.newest or found.releases[-1]
    end = found.releases.index(newest) + 1
    if below:
        end = sum(Version(one) < Version(below) for one in found.releases[:end])
    rows = {versioned(name, version): found.operator(name, version) for name, version in builtin}
    rows |= {name: row for name in kernels if (row := found.kernel(name))}
    until = {name: row.until(end) for name, row in rows.items()}
    return _Needs({name: row for name, row in until.items() if row.asked}, found, end)


def _before(places: dict[str, int], last: int) -> int:
    """What the rest would ask for."""
    return max((place for place in places.values() if place < last), default=0)


def _or_earlier(needs: _Needs, last: int, decide: tuple[str, ...]) -> bool:
    """Whether no release before the least one was asked for what decides."""
    if not last:
        return not needs.found.whole
    return last < needs.end and all(needs.rows[name].mark == "read" for name in decide)


def _lost(needs: _Needs, decide: tuple[str, ...]) -> tuple[str, ...]:
    places = {place for name in decide for place in needs.rows[name].lost}
    return needs.found.named(sorted(places))


def _proven(needs: _Needs, numbered: Numbered, decide: tuple[str, ...]) -> Proven:
    if numbered.proven != "run":
        return "taken"
    return "run" if all(needs.rows[name].mark == "run" for name in decide) else "read"
