"""The release itself: what verifiers and people look at before any model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.difference.fields import About, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.difference import Change
    from edgepack.records.manifest import Manifest

RELEASE = About("release")
NAMED = "edgepack.lock and build scripts know a bundle by its name"
OLDER = "edgepack.lock refuses it as an older release"
TWICE = "edgepack.lock refuses two releases of one sequence"
UNNUMBERED = "edgepack.lock takes no bundle without a sequence"
REFUSED = "verifiers refuse it: its gate did"
LICENSED = "whoever ships the app has to agree to it first"


def release(old: Manifest, new: Manifest) -> Iterator[Change]:
    """Name, sequence, gate, licence, expiry and version."""
    if old.name != new.name:
        yield RELEASE.change("name", (old.name, new.name), NAMED)
    else:
        yield from _sequence(old, new)
    if old.failed != new.failed:
        pair = ("passed", "refused") if new.failed else ("refused", "passed")
        yield RELEASE.change("gate", pair, REFUSED if new.failed else "")
    if old.license != new.license:
        yield RELEASE.change("licence", (old.license, new.license), LICENSED if old.license else "")
    yield from plain(RELEASE, old, new, "version", "expires", "sequence_source", "epoch")


def _sequence(old: Manifest, new: Manifest) -> Iterator[Change]:
    before, after = old.sequence, new.sequence
    if before == after and (before is None or old == new):
        return
    why = "" if before is None else _refusal(before, after)
    yield RELEASE.change("sequence", (_number(before), _number(after)), why)


def _number(sequence: int | None) -> str:
    return "" if sequence is None else str(sequence)


def _refusal(before: int, after: int | None) -> str:
    """What a lock file that knows the earlier one says of the later one."""
    if after is None:
        return UNNUMBERED
    if after == before:
        return TWICE
    return OLDER if after < before else ""
