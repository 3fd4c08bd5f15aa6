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
    if need is None:
        return
    for least in _of(need, found):
        if what := _lacking(need, least):
            yield Objection(kind="release", what=what, change=_without(least))


def unchecked(need: RuntimeNeed | None, found: tuple[LeastRelease, ...]) -> str:
    """Why releases say nothing of a file; nothing where they do."""
    if need is None or not (need.least_version or need.below_version) or any(_of(need, found)):
        return ""
    return f"no release of {need.artifact} was asked which operators it has"


def _of(need: RuntimeNeed, found: tuple[LeastRelease, ...]) -> Iterator[LeastRelease]:
    numbering = ARTIFACTS.get(need.artifact)
    return (least for least in found if least.numbering == numbering)


def _lacking(need: RuntimeNeed, least: LeastRelease) -> str:
    operators = " and ".join(least.operators)
    if least.release is None:
        return f"no {need.artifact} that was tried has {operators}"
    needed = Version(least.release)
    if need.below_version and needed >= Version(need.below_version):
        meant = f"and apps have one below {need.below_version}"
    elif need.least_version and needed > Version(need.least_version) and not least.or_earlier:
        meant = f"and devices may have {need.least_version}"
    else:
        return ""
    return f"{operators} is new in {need.artifact} {least.release}, {meant}"


def _without(least: LeastRelease) -> str:
    return f"without it {least.without} would do" if least.without else ""
