"""`edgepack.lock`: the least sequence that an app's build takes of each bundle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.errors import LockError, RollbackError
from edgepack.files import write_atomic
from edgepack.records.manifest import GREATEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgepack.records.manifest import Manifest

HEAD = (
    "# edgepack.lock 1: the least sequence of each bundle. "
    "Commit it; only --update-lock changes it."
)
MAX_BYTES = 1 << 20
_LINE = re.compile(r"(\S+) (0|[1-9][0-9]{0,15}) sha256:([0-9a-f]{64}) (\S+)")


@dataclass(frozen=True)
class Locked:
    """The newest release that was taken of one bundle.

    Args:
        sequence: its number; what is lower is older.
        contents: SHA-256 of its SHA256SUMS, which signing it again does not change.
        version: for people.
    """

    sequence: int
    contents: str
    version: str


def read(path: Path) -> dict[str, Locked]:
    """What a lock file says, by bundle name.

    Raises:
        LockError: it cannot be read, or is not a lock file.
    """
    if path.exists() and not path.is_file():
        raise LockError("is not a regular file", where=path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode()
    except FileNotFoundError as error:
        hint = f"Write it once, and commit it: edgepack verify BUNDLE --lock {path} --update-lock"
        raise LockError("there is no such lock file", where=path, hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"cannot be read: {error}", where=path) from error
    return _parsed(text, path)


def write(path: Path, locks: Mapping[str, Locked]) -> None:
    """Write a lock file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    lines = [
        f"{name} {one.sequence} sha256:{one.contents} {one.version}"
        for name, one in sorted(locks.items())
    ]
    write_atomic(path, "".join(f"{line}\n" for line in [HEAD, *lines]).encode())


def entry(manifest: Manifest, contents: str, where: Path) -> Locked:
    """What a lock file is to say of a bundle.

    Raises:
        RollbackError: the bundle has no sequence.
    """
    if manifest.sequence is None:
        raise RollbackError(
            "no sequence: a lock needs one",
            where=where,
            hint="Set release.sequence in edgepack.toml, and build again.",
        )
    return Locked(manifest.sequence, contents, manifest.version)


def check(name: str, found: Locked, locks: Mapping[str, Locked], where: Path) -> None:
    """Refuse what is older than a lock says, and what it does not know.

    Raises:
        RollbackError: with the reason.
    """
    known = locks.get(name)
    fetch = "Fetch the newest release. To go back on purpose, build the old model anew."
    if known is None:
        hint = "If it is new to this app, add it by --update-lock."
        raise RollbackError(f"{name} is not in edgepack.lock", where=where, hint=hint)
    if found.sequence < known.sequence:
        raise RollbackError(
            f"sequence {found.sequence} is lower than {known.sequence} in edgepack.lock: "
            "an older release",
            where=where,
            hint=fetch,
        )
    if found.sequence == known.sequence and found.contents != known.contents:
        raise RollbackError(
            f"sequence {found.sequence} is the one in edgepack.lock, and the contents are not: "
            "two releases of one sequence",
            where=where,
            hint="Raise release.sequence, and build again.",
        )


def _parsed(text: str, path: Path) -> dict[str, Locked]:
    head, *lines = text.removesuffix("\n").split("\n")
    if head != HEAD:
        raise LockError("is no edgepack.lock of version 1", where=path)
    found: dict[str, Locked] = {}
    for number, line in enumerate(lines, 2):
        match = _LINE.fullmatch(line)
        if match is None or match[1] in found or int(match[2]) > GREATEST:
            raise LockError(
                "is not NAME SEQUENCE sha256:DIGEST VERSION, or names a bundle again",
                where=f"{path}:{number}",
                hint="Take the file as it was last committed.",
            )
        found[match[1]] = Locked(int(match[2]), match[3], match[4])
    return found
