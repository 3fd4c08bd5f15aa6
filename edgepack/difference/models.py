"""Variants: which there are, and whether each has another graph or other weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgepack.difference.app import prepared_inputs
from edgepack.difference.evidence import accuracy
from edgepack.difference.fields import About, entries, plain, short, told
from edgepack.difference.interface import signatures
from edgepack.difference.needs import needs
from edgepack.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.difference import Change
    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.tflite.contents import Contents

    Pairs = Mapping[str, tuple[Contents, Contents]]  # by variant

SHIPPED = "apps that ship it find no file"
UNCHANGED = "the same graph and weights; names, metadata or layout differ"
COPIED = "build scripts copy it by its path"


def models(old: Manifest, new: Manifest, contents: Pairs) -> Iterator[Change]:
    """Every difference of every variant.

    Args:
        old: what apps were written for.
        new: what they would get.
        contents: graphs and weights of variants whose files differ, as far as they are known.
    """
    before, after = ({one.variant: one for one in side.models} for side in (old, new))
    for variant in (one for one in before if one not in after):
        reason = next((one.reason for one in new.skipped if one.variant == variant), "")
        yield About("models").change("variant", (variant, ""), SHIPPED, reason)
    for variant in (one for one in after if one not in before):
        yield About("models").change("variant", ("", variant))
    same = old.dataset.digest == new.dataset.digest
    for variant in (one for one in before if one in after):
        one, other, about = before[variant], after[variant], About("models", variant)
        changes = (
            *signatures(variant, one.signatures, other.signatures),
            *prepared_inputs(variant, one.prepared_inputs, other.prepared_inputs),
            *needs(one, other, declared=_declared(old, variant)),
            *_file(about, one, other, contents.get(variant)),
            *accuracy(variant, one.accuracy, other.accuracy, same_samples=same),
        )
        yield from told(about, one, other, changes)


def _declared(old: Manifest, variant: str) -> bool:
    """Whether apps were promised that a least runtime takes a variant."""
    return any(
        variant in target.variants and target.runtime and target.runtime.least_version
        for target in old.targets
    )


def _file(
    about: About, old: ModelEntry, new: ModelEntry, contents: tuple[Contents, Contents] | None
) -> Iterator[Change]:
    if old.path != new.path:
        yield about.change("path", (old.path, new.path), COPIED)
    if old.digest != new.digest:
        yield _nature(about, old, new, contents)
    if old.size_bytes != new.size_bytes:
        sizes = figures.size(old.size_bytes), figures.size(new.size_bytes)
        yield about.change("size", sizes, detail=_growth(old.size_bytes, new.size_bytes))
    yield from plain(about, old, new, "precision", "note")
    conversion = replace(about, part="conversion")
    yield from entries(conversion, old.conversion, new.conversion)


def _nature(
    about: About, old: ModelEntry, new: ModelEntry, contents: tuple[Contents, Contents] | None
) -> Change:
    """What of a file is another: its graph, its weights alone, or nothing that computes."""
    pair = short(old.digest.sha256), short(new.digest.sha256)
    if contents is None:
        return about.change("file", pair)
    before, after = contents
    if before.graph != after.graph:
        return about.change("graph", (short(before.graph), short(after.graph)))
    if before.weights != after.weights:
        return about.change("weights", pair, detail=f"the same graph, {_count(before, after)}")
    return about.change("file", pair, detail=UNCHANGED)


def _count(before: Contents, after: Contents) -> str:
    pairs = zip(before.weights, after.weights, strict=True)
    changed = sum(one != other for one, other in pairs)
    return f"{changed} of its {len(after.weights)} tensors of numbers differ"


def _growth(before: int, after: int) -> str:
    ratio = f", {figures.change(after / before)}" if before else ""
    return f"{after - before:+d} bytes{ratio}"
