"""What the bundle says of itself as a release, from settings, the last release, CI and git."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import UsageError

if TYPE_CHECKING:
    from edgepack.pipeline.baseline import Release
    from edgepack.records.manifest import SequenceSource
    from edgepack.records.settings import Settings


@dataclass(frozen=True)
class Sequence:
    """The number of a release, and where it was taken from."""

    number: int | None
    source: SequenceSource


def sequence(settings: Settings, release: Release | None) -> Sequence:
    """The number of the release to be built.

    Args:
        settings: the build's; `release.sequence` is the number or where to take it from.
        release: the baseline, if there is one.

    Raises:
        UsageError: there is nothing to take it from.
    """
    asked = settings.release.sequence
    if asked is None:
        return Sequence(None, "")
    if isinstance(asked, int):
        return Sequence(asked, "given")
    if asked == "baseline":
        return Sequence(_after(release), asked)
    from edgepack.provenance import origin

    if asked == "ci-run":
        return Sequence(origin.run_number(os.environ), asked)
    return Sequence(origin.commit_count(Path(settings.model.path).parent), asked)


def doubt(found: Sequence, release: Release | None) -> str:
    """Why builds that took the last release would refuse this one, or nothing."""
    last = release.manifest.sequence if release else None
    if last is None or (found.number is not None and found.number > last):
        return ""
    said = "no sequence" if found.number is None else f"sequence {found.number}"
    return (
        f"{said}, and the last release has {last}: an app that locked it refuses this one; "
        'raise release.sequence, or take it from there: sequence = "baseline"'
    )


def expires(day: str) -> str:
    """The first second of a day, UTC, as manifests say it; empty stays empty."""
    return f"{day}T00:00:00Z" if day else ""


def _after(release: Release | None) -> int:
    if release is None or release.manifest.sequence is None:
        raise UsageError(
            'release.sequence is "baseline", and there is no last release with a sequence',
            hint="Name its bundle by --baseline. For the first release: --sequence 1.",
        )
    return release.manifest.sequence + 1
