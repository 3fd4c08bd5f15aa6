"""Whether the releases that a target means have all that a file asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from edgepack.records.compat import ARTIFACTS
from edgepack.records.target import Objection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.compat import LeastRelease
    from edgepack.records.manifest import RuntimeNeed


def objections(need: RuntimeNeed | None, found: tuple[LeastRelease, ...]) -> Iterator[Objection]:
    """What the oldest release that apps may have lacks, or every release that they may have."""
    for least in _of(need, found):
        if need and (what := _lacking(need, least)):
            yield Objection(kind="release", what=what, change=_change(least))


def unchecked(
    need: RuntimeNeed | None, found: tuple[LeastRelease, ...], *, listed: bool = False
) -> str:
    """Why releases say nothing of a file, or not enough; nothing where they do.

    Args:
        need: what the app links.
        found: the least release of each numbering.
        listed: the target says itself which operators there are.
    """
    if need is None or not (need.least_version or need.below_version):
        return ""
    known = tuple(_of(need, found))
    if not known:
        return f"no release of {need.artifact} was asked which operators it has"
    asked = (least for least in known if least.operators or not listed)
    return next((what for least in asked if (what := _doubtful(need, least))), "")


def _of(need: RuntimeNeed | None, found: tuple[LeastRelease, ...]) -> Iterator[LeastRelease]:
    numbering = ARTIFACTS.get(need.artifact) if need else None
    return (least for least in found if least.numbering == numbering)


def _lacking(need: RuntimeNeed, least: LeastRelease) -> str:
    operators = " and ".join(least.operators)
    if least.release is None:
        return f"no {need.artifact} that was tried has {operators}"
    if need.below_version and Version(least.release) >= Version(need.below_version):
        return f"{operators} {_since(need, least)}, and apps have one below {need.below_version}"
    certain = least.without if least.or_earlier else least.release
    if _is_older(need, certain):
        return f"{operators} {_since(need, least)}, and devices may have {need.least_version}"
    return ""


def _doubtful(need: RuntimeNeed, least: LeastRelease) -> str:
    """Releases between the one that is meant and the one that is known to do were not asked."""
    doubtful = least.or_earlier and _is_older(need, least.release)
    if not doubtful or _lacking(need, least):
        return ""
    wanted = " and ".join(least.operators) or "what it needs"
    return f"whether {need.artifact} {need.least_version} has {wanted} was not asked"


def _is_older(need: RuntimeNeed, release: str | None) -> bool:
    if not need.least_version or release is None:
        return False
    return Version(need.least_version) < Version(release)


def _since(need: RuntimeNeed, least: LeastRelease) -> str:
    """What is wrong with the releases before: they never had it, or some lost it."""
    if least.lost:
        return f"is not computed right by {need.artifact} {', '.join(least.lost)}"
    return f"is new in {need.artifact} {least.release}"


def _change(least: LeastRelease) -> str:
    """What would lower it, and how far."""
    known = least.remedy if least.remedy_proven else ""
    would = f"{least.without} would do" if least.without else ""
    if known and would:
        return f"{known}: then {would}"
    return known or (f"without it {would}" if would else "")
