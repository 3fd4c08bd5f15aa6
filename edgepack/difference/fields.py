"""Fields that are told as they are: nothing is known of them but that they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgepack.records.base import Record
from edgepack.records.difference import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgepack.records.difference import Area

BUNDLE = "bundle"
DIGEST_SHOWN = 16
LISTED = 6  # values of a list that are spelt out


@dataclass(frozen=True)
class About:
    """What changes are of.

    Args:
        area: the kind of thing.
        subject: bundle, a variant or target:NAME.
        part: part of the subject.
    """

    area: Area
    subject: str = BUNDLE
    part: str = ""

    def change(self, what: str, pair: tuple[str, str], why: str = "", detail: str = "") -> Change:
        """A change from the first of a pair to the second; one that breaks where it is said why."""
        return Change(
            area=self.area,
            subject=self.subject,
            part=self.part,
            what=what,
            before=pair[0],
            after=pair[1],
            breaking=bool(why),
            why=why,
            detail=detail,
        )

    def differing(self, what: str, pair: tuple[str, str], detail: str = "") -> Iterator[Change]:
        """A change that breaks nothing, if the two are not the same."""
        if pair[0] != pair[1]:
            yield self.change(what, pair, detail=detail)


def told(about: About, old: object, new: object, changes: Iterable[Change]) -> Iterator[Change]:
    """The changes from one value to another; where they differ, and none is known, that they do."""
    found = tuple(changes)
    yield from found
    if not found and old != new:
        yield about.change("details", ("", ""))


def words(value: Any) -> str:
    """A value of a record, short; nothing for None and for what is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Record):
        return ", ".join(f"{title(k)} {words(v)}" for k, v in value if words(v))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {words(inner)}" for key, inner in sorted(value.items()))
    if isinstance(value, tuple):
        return listed(map(words, value))
    return str(value)


def listed(names: Iterable[str]) -> str:
    """Names, but the first few alone where they are many."""
    found = list(names)
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return ", ".join(found[:LISTED]) + more


def title(field: str) -> str:
    """A field's name as words."""
    return field.removesuffix("_bytes").replace("_", " ")


def short(digest: str) -> str:
    """Enough of a digest to know it by."""
    return digest[:DIGEST_SHOWN]


def plain(about: About, old: Record, new: Record, *names: str) -> Iterator[Change]:
    """A change for each of the named fields that differs."""
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            yield about.change(title(name), (words(before), words(after)))


def entries(about: About, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """A change for each key whose value differs."""
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before != after:
            yield about.change(key, (words(before), words(after)))
