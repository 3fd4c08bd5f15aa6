"""The files of a SavedModel directory: their digest, weights and assets."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import NoReturn

from edgepack.errors import DamagedModelError
from edgepack.files import sha256_file
from edgepack.records.facts import Asset

VARIABLES = "variables"
SHARD = re.compile(r"variables\.data-[0-9]{5,}-of-([0-9]{5,})")
ASSETS = ("assets", "assets.extra")


def digest(path: Path) -> str:
    """SHA-256 over the sorted (relative path, SHA-256) pairs of every file: the model's identity.

    fingerprint.pb is none: it does not cover the weights. Files behind symbolic links count like
    any other, so that a copy has the digest of what it was copied from.

    Raises:
        OSError: a file or directory cannot be read.
    """
    total = hashlib.sha256()
    for file in files(path):
        total.update(f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\n".encode())
    return total.hexdigest()


def files(path: Path) -> list[Path]:
    """Every file, also behind symbolic links; each directory once, as links may run in circles.

    Raises:
        OSError: a directory cannot be read.
    """
    found: list[Path] = []
    seen: set[str] = set()
    for top, directories, names in os.walk(path, onerror=_refuse, followlinks=True):
        directories.sort()  # which of two names of one directory is taken must not be chance
        if (real := os.path.realpath(top)) in seen:
            directories.clear()
            continue
        seen.add(real)
        found += [file for name in names if (file := Path(top, name)).is_file()]
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def _refuse(error: OSError) -> NoReturn:
    raise error


def assets(path: Path, sizes: dict[Path, int]) -> tuple[Asset, ...]:
    """Files of assets/ and assets.extra/ with their sizes in bytes."""
    return tuple(
        Asset(path=file.relative_to(path).as_posix(), size_bytes=size)
        for file, size in sizes.items()
        if file.relative_to(path).parts[0] in ASSETS
    )


def require_variables(path: Path) -> None:
    """Demand the index of the variables, and every shard of their values.

    Raises:
        DamagedModelError: one of the files is missing.
    """
    directory = path / VARIABLES
    index, shards = directory / "variables.index", directory.glob("variables.data-*")
    named = [SHARD.fullmatch(shard.name) for shard in shards if shard.is_file()]
    counts = [int(name[1]) for name in named if name]
    expected = max(counts, default=1)
    if not index.is_file() or len(counts) < expected:
        missing = index.name if not index.is_file() else f"{expected - len(counts)} variables.data"
        raise DamagedModelError(
            f"the graph has variables, and {missing} is missing",
            where=directory,
            hint="Copy the whole SavedModel directory, its variables/ folder included.",
        )
