"""Where the models come from: source, dataset, tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.difference.evidence import accuracy
from edgepack.difference.fields import About, plain, short, told, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.difference import Change
    from edgepack.records.facts import SemanticIdentity
    from edgepack.records.manifest import DatasetEntry, Manifest, SourceEntry

IMPLIED = ("size_bytes", "fingerprint")  # they change with the files' digest


def origin(old: Manifest, new: Manifest) -> Iterator[Change]:
    """What was converted, measured on what, by what."""
    same = old.dataset.digest == new.dataset.digest
    before, after = old.source, new.source
    changes = (
        *_source(before, after),
        *accuracy("source", before.accuracy, after.accuracy, same_samples=same),
    )
    yield from told(About("source", "source"), before, after, changes)
    yield from _dataset(old.dataset, new.dataset)
    yield from plain(About("tools"), old.tools, new.tools, *type(new.tools).model_fields)
    skipped, skips = ({one.variant: words(one) for one in side.skipped} for side in (old, new))
    for variant in dict.fromkeys((*skipped, *skips)):
        pair = skipped.get(variant, ""), skips.get(variant, "")
        yield from About("models", variant).differing("skipped", pair)


def _source(old: SourceEntry, new: SourceEntry) -> Iterator[Change]:
    special = {"digest", "identity", "accuracy", *IMPLIED}
    if old.digest != new.digest:
        pair = short(old.digest.sha256), short(new.digest.sha256)
        detail = _identity(old.identity, new.identity)
        yield About("source", "source").change("model", pair, detail=detail)
    else:
        special -= {*IMPLIED, "identity"}
    named = (name for name in type(new).model_fields if name not in special)
    yield from plain(About("source", "source"), old, new, *named)


def _identity(old: SemanticIdentity | None, new: SemanticIdentity | None) -> str:
    """What two digests of what a model computes say, where both were made."""
    if old is None or new is None:
        return ""
    if old.digest != new.digest:
        return "it computes something else"
    if old.complete and new.complete:
        return "it computes the same: saved again"
    return "no difference found in what it computes, but not all could be followed"


def _dataset(old: DatasetEntry, new: DatasetEntry) -> Iterator[Change]:
    about = About("source", "dataset")
    pair = short(old.digest.sha256), short(new.digest.sha256)
    yield from about.differing("samples", pair)
    yield from about.differing("numbers of samples", (words(old.samples), words(new.samples)))
    named = (name for name in type(new).model_fields if name not in {"digest", "samples"})
    yield from plain(about, old, new, *named)
