"""All that differs between two manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from edgepack.difference.app import classes, preprocessing
from edgepack.difference.evidence import verdict
from edgepack.difference.fields import About, told
from edgepack.difference.models import models
from edgepack.difference.origin import origin
from edgepack.difference.release import release
from edgepack.difference.targets import targets
from edgepack.records.difference import Area

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgepack.records.difference import Change
    from edgepack.records.manifest import Manifest
    from edgepack.tflite.contents import Contents

FILES = About("files")
WEIGHTS = get_args(Area)  # the areas, most important first


def between(
    old: Manifest, new: Manifest, contents: Mapping[str, tuple[Contents, Contents]] | None = None
) -> tuple[Change, ...]:
    """Every change from one manifest to the other, what breaks first; none where they are equal.

    Args:
        old: what apps were written for.
        new: what they would get.
        contents: graphs and weights, old and new, by variant, of files that differ.
    """
    return ranked(told(FILES, old, new, _changes(old, new, contents or {})))


def ranked(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Changes, most important first: what breaks, then by area."""
    return tuple(sorted(changes, key=lambda c: (not c.breaking, WEIGHTS.index(c.area))))


def _changes(
    old: Manifest, new: Manifest, contents: Mapping[str, tuple[Contents, Contents]]
) -> Iterator[Change]:
    yield from release(old, new)
    yield from preprocessing(old.preprocessing, new.preprocessing)
    yield from classes(old.classes, new.classes)
    yield from models(old, new, contents)
    yield from targets(old, new)
    checks = verdict(old.verdict, new.verdict)
    yield from told(About("evidence"), old.verdict, new.verdict, checks)
    yield from origin(old, new)
    for name in sorted({*old.attachments} - {*new.attachments}):
        yield FILES.change("attachment", (name, ""))
    for name in sorted({*new.attachments} - {*old.attachments}):
        yield FILES.change("attachment", ("", name))
