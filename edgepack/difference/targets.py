"""Targets: which variants each takes, and what it links to run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.difference.fields import About, entries, plain
from edgepack.difference.interface import signatures
from edgepack.difference.needs import is_higher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.difference import Change
    from edgepack.records.manifest import Manifest, ModelEntry, RuntimeNeed, TargetEntry

ABSENT = "no variant is promised to run there any more"
NOT_TAKEN = "apps that ship it there may not run it"
UNLIKE = "build scripts that take the best variant get one with another signature"
LINKED = "apps link another library"
NEWER = "apps must link a newer version"
PLATFORM = "it is another kind of device"


def targets(old: Manifest, new: Manifest) -> Iterator[Change]:
    """Every difference in what the bundle promises to whom."""
    before, after = ({one.name: one for one in side.targets} for side in (old, new))
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one and other:
            yield from _variants(one, other, old, new)
            yield from _platform(one, other)
            yield from _runtime(one, other)
            yield from _told(one, other)
        elif one:
            yield About("targets").change("target", (name, ""), ABSENT)
        else:
            yield About("targets").change("target", ("", name))


def _variants(
    one: TargetEntry, other: TargetEntry, old: Manifest, new: Manifest
) -> Iterator[Change]:
    """Variants that it takes no more, or now; what left the bundle is told as such."""
    about = About("targets", f"target:{one.name}")
    before, after = ({model.variant: model for model in side.models} for side in (old, new))
    for variant in one.variants:
        if variant not in other.variants and variant in after:
            yield about.change("variant", (variant, ""), NOT_TAKEN)
    for variant in other.variants:
        if variant not in one.variants and variant in before:
            yield about.change("variant", ("", variant))
    first, best = (next(iter(side.variants), "") for side in (one, other))
    if first != best and first and best:
        why = UNLIKE if _unlike(before.get(first), after.get(best)) else ""
        yield about.change("best variant", (first, best), why)
    both = {*one.variants} & {*other.variants}
    order = (", ".join(v for v in side.variants if v in both) for side in (one, other))
    yield from about.differing("order", (next(order), next(order)))


def _unlike(one: ModelEntry | None, other: ModelEntry | None) -> bool:
    if one is None or other is None:
        return True
    found = signatures("", one.signatures, other.signatures)
    return any(change.breaking for change in found)


def _platform(one: TargetEntry, other: TargetEntry) -> Iterator[Change]:
    if one.platform != other.platform:
        about, why = About("targets", f"target:{one.name}"), PLATFORM if one.platform else ""
        yield about.change("platform", (one.platform, other.platform), why)


def _runtime(one: TargetEntry, other: TargetEntry) -> Iterator[Change]:
    """What it links; where nothing was declared before, nothing can break."""
    about, before, after = About("targets", f"target:{one.name}"), one.runtime, other.runtime
    if before == after:
        return
    if before and after and before.artifact == after.artifact:
        pair = before.least_version, after.least_version
        if pair[0] != pair[1]:
            yield about.change("least runtime", pair, NEWER if is_higher(*pair) else "")
        yield from plain(about, before, after, "below_version", "api")
    else:
        why = LINKED if before and after else ""
        yield about.change("runtime", (_said(before), _said(after)), why)


def _told(one: TargetEntry, other: TargetEntry) -> Iterator[Change]:
    """Why it gets what it gets, and what that was tried on."""
    about = About("targets", f"target:{one.name}")
    before, after = ({p.variant: p.reason for p in side.passed_over} for side in (one, other))
    reasons = entries(about, before, after)
    yield from (change.model_copy(update={"part": "passed over"}) for change in reasons)
    yield from plain(about, one, other, "proven_on", "packaging")


def _said(need: RuntimeNeed | None) -> str:
    return f"{need.artifact} {need.least_version}".rstrip() if need else ""
