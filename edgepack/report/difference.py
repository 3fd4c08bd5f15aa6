"""What changed between two bundles, for a terminal, a log and a pull request."""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from edgepack.report import figures
from edgepack.report.markup import escape, folded
from edgepack.report.tables import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.records.difference import Area, Change, Difference, Side

WIDTH = 80
DIGEST_SHOWN = 16
INDENT = " " * 8
TITLES: dict[Area, str] = {
    "release": "Release",
    "interface": "Inputs and outputs",
    "targets": "Targets",
    "runtime": "What it needs",
    "models": "Models",
    "evidence": "Evidence",
    "source": "Source and samples",
    "tools": "Tools",
    "files": "Other files",
}
FOLDED: frozenset[Area] = frozenset(("source", "tools", "files"))  # what reviewers seldom read
SIGNED = "The contents are the same; only signatures differ."


def text(difference: Difference) -> str:
    """All changes in lines of at most 80 columns, but for names that are longer."""
    return "\n".join(_lines(difference))


def markdown(difference: Difference) -> str:
    """All changes as a comment for a pull request. Names can neither format nor notify."""
    return "\n\n".join(_sections(difference)) + "\n"


def sentence(change: Change) -> str:
    """What changed, from what to what."""
    words = f"{change.part}: {_became(change)}" if change.part else _became(change)
    return f"{words} ({change.detail})" if change.detail else words


def _named(subject: str, change: Change) -> str:
    """A change with whose it is, where it is not the bundle's."""
    return sentence(change) if subject == "bundle" else f"{subject}: {sentence(change)}"


def _reason(change: Change) -> str:
    return f"{change.why[:1].upper()}{change.why[1:]}."


def _became(change: Change) -> str:
    if change.before and change.after:
        if change.before == change.after:
            return f"{change.what} is {change.after}, as before"
        return f"{change.what} {change.before} became {change.after}"
    if change.before:
        return f"{change.what} {change.before} is gone"
    return f"{change.what} {change.after} is new" if change.after else f"{change.what} changed"


def _merged(changes: Iterable[Change]) -> list[tuple[str, Change]]:
    """Changes that are the same of several subjects as one, with these subjects."""
    found: dict[Change, list[str]] = {}
    for change in changes:
        found.setdefault(change.model_copy(update={"subject": ""}), []).append(change.subject)
    return [(", ".join(subjects), change) for change, subjects in found.items()]


def _lines(difference: Difference) -> Iterator[str]:
    yield from _wrapped(_head(difference), "", "  ")
    yield from (_place(side) for side in (difference.before, difference.after))
    if difference.same_contents:
        yield SIGNED if difference.changes else _same(difference)
    breaking = [change for change in difference.changes if change.breaking]
    for subject, change in _merged(breaking):
        yield ""
        yield from _wrapped(f"BREAKS  {_named(subject, change)}", "", INDENT)
        yield from _wrapped(_reason(change), INDENT, INDENT)
    for area, changes in _areas(difference):
        yield ""
        yield TITLES[area]
        for subject, change in changes:
            yield from _wrapped(_named(subject, change), "  ", "    ")


def _areas(difference: Difference) -> Iterator[tuple[Area, list[tuple[str, Change]]]]:
    others = (change for change in difference.changes if not change.breaking)
    for area, changes in groupby(others, key=lambda change: change.area):
        yield area, _merged(changes)


def _head(difference: Difference) -> str:
    before, after = difference.before, difference.after
    name = before.name if before.name == after.name else f"{before.name} and {after.name}"
    versions = f"{name} {before.version} to {after.version}"
    return f"{versions}: {_verdict(difference)}"


def _verdict(difference: Difference) -> str:
    if difference.same_contents and not difference.changes:
        return "no differences"
    breaking = len(_merged(change for change in difference.changes if change.breaking))
    others = len(_merged(change for change in difference.changes if not change.breaking))
    if not breaking:
        return f"{_count(others, 'change')}, none breaking"
    more = f", {_count(others, 'other')}" if others else ""
    return f"{_count(breaking, 'breaking change')}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _place(side: Side) -> str:
    size = figures.size(side.size_bytes)
    return plain(f"  {side.sha256[:DIGEST_SHOWN]}  {size:>8}  {side.path}")


def _same(difference: Difference) -> str:
    if difference.before.sha256 == difference.after.sha256:
        return "The files are the same, byte for byte."
    return "The contents are the same, and the same keys signed them; signatures differ."


def _wrapped(line: str, first: str, rest: str) -> list[str]:
    wrapper = textwrap.TextWrapper(
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(plain(line))


def _sections(difference: Difference) -> Iterator[str]:
    yield f"## {escape(_head(difference))}"
    if difference.same_contents:
        yield SIGNED if difference.changes else _same(difference)
    breaking = [change for change in difference.changes if change.breaking]
    if breaking:
        lines = [f"{_item(*one)}. {escape(_reason(one[1]))}" for one in _merged(breaking)]
        yield "\n".join(("**Breaking**\n", *lines))
    for area, changes in _areas(difference):
        items = [_item(*one) for one in changes]
        if area in FOLDED:
            yield folded(TITLES[area], "\n".join(items))
        else:
            yield "\n".join((f"**{TITLES[area]}**\n", *items))
    sides = (difference.before, difference.after)
    yield "\n".join(f"- {escape(side.path)}: SHA-256 `{side.sha256}`" for side in sides)


def _item(subject: str, change: Change) -> str:
    return f"- {escape(_named(subject, change))}"
