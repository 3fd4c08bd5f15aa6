"""Verifiers of bundles for builds without Python, and how files get into an app's repository."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING

from edgepack import files
from edgepack.errors import OutputError, UsageError
from edgepack.records.consumers import ConsumerFile, Export

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Literal

    from edgepack.records.consumers import Platform

PLAIN, RUNNABLE = 0o644, 0o755


@dataclass(frozen=True)
class _Kit:
    """What one platform gets: names with their modes, and what comes next."""

    names: dict[str, int]
    next: str
    page: str


KITS: dict[Platform, _Kit] = {
    "android": _Kit(
        {"EdgepackVerifier.java": PLAIN, "edgepack.gradle": PLAIN},
        "apply edgepack.gradle in the app module's build script",
        "docs/android.md",
    ),
    "ios": _Kit(
        {"edgepack-verify.sh": RUNNABLE},
        "call edgepack-verify.sh in a run-script phase of the app's target",
        "docs/ios.md",
    ),
    "java": _Kit(
        {"EdgepackVerifier.java": PLAIN},
        "java EdgepackVerifier.java BUNDLE --key release.pub",
        "docs/android.md",
    ),
}


@dataclass(frozen=True)
class Parcel:
    """Files for a directory of an app's.

    Args:
        platform: whose build takes them.
        contents: by name.
        next: what comes next, in one line.
        page: of the documentation.
        modes: by name, of those that are not plain.
    """

    platform: Platform
    contents: Mapping[str, bytes]
    next: str
    page: str
    modes: Mapping[str, int] = field(default_factory=dict)


def export(platform: Platform, directory: Path, *, force: bool = False) -> Export:
    """Write the verifier of a platform.

    Args:
        platform: whose build checks bundles.
        directory: where to; made if need be.
        force: replace files that are there and differ.

    Raises:
        UsageError: a file that differs is there; the installation is incomplete.
        OutputError: one cannot be read or written.
    """
    kit = KITS[platform]
    contents = {name: _content(name) for name in kit.names}
    return write(Parcel(platform, contents, kit.next, kit.page, kit.names), directory, force=force)


def write(parcel: Parcel, directory: Path, *, force: bool = False) -> Export:
    """Write files. All are looked at before the first is written.

    Args:
        parcel: what is to be there.
        directory: where to; made if need be.
        force: replace files that are there and differ.

    Raises:
        UsageError: a file that differs is there.
        OutputError: one cannot be read or written.
    """
    contents = {directory / name: content for name, content in parcel.contents.items()}
    states = {path: _state(path, content) for path, content in contents.items()}
    changed = [path for path, state in states.items() if state == "replaced"]
    if changed and not force:
        raise UsageError(
            f"{', '.join(path.name for path in changed)}: there already, with other contents",
            where=directory,
            hint="--force replaces it; commit what you changed there before.",
        )
    for path, content in contents.items():
        _write(path, content, parcel.modes.get(path.name, PLAIN), keep=states[path] == "kept")
    done = tuple(ConsumerFile(path=str(path), state=state) for path, state in states.items())
    return Export(platform=parcel.platform, files=done, next=parcel.next, page=parcel.page)


def _content(name: str) -> bytes:
    try:
        return (resources.files(__package__) / name).read_bytes()
    except OSError as error:
        hint = "Install edgepack again."
        raise UsageError(f"edgepack's own {name} is missing", hint=hint) from error


def _state(path: Path, content: bytes) -> Literal["written", "kept", "replaced"]:
    """What writing would be: a file that is there is never taken for another."""
    try:
        return "kept" if path.read_bytes() == content else "replaced"
    except FileNotFoundError:
        return "written"
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror}", where=path) from error


def _write(path: Path, content: bytes, mode: int, *, keep: bool) -> None:
    if not keep:
        files.write_atomic(path, content)
    try:
        present = path.stat().st_mode
        if present & mode & 0o111 != mode & 0o111:  # whoever may read it may run it
            path.chmod(present | (present & 0o444) >> 2)
    except OSError as error:
        raise OutputError(f"cannot be made runnable: {error.strerror}", where=path) from error
