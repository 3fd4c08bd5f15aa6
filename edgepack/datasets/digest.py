"""What identifies a dataset: its spec and the content of every file it reads."""

from __future__ import annotations

import hashlib
import os
import stat
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.datasets.items import listed_files
from edgepack.datasets.listing import require_path, sample_files
from edgepack.datasets.spec import split_spec
from edgepack.errors import DatasetError
from edgepack.records.dataset import SPLITS

CHUNK = 1 << 20
UNREADABLE = b"unreadable"
LISTED = frozenset(("image-folder", "image-list", "audio"))  # by a CSV, where the path is a file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.dataset import DatasetSpec


def digest(spec: DatasetSpec, root: Path) -> str:
    """SHA-256 over the spec and the sorted (relative path, SHA-256) pairs of its files.

    Args:
        spec: the dataset spec.
        root: the folder that the spec's paths are relative to.

    Raises:
        DatasetError: a path is not there, or a folder or list cannot be read.
    """
    total = hashlib.sha256(spec.model_dump_json().encode())
    for path in sorted(set(_files(spec, root))):
        total.update(f"{os.path.relpath(path, root)}\0".encode())
        total.update(_content(path))
    return total.hexdigest()


def _content(path: str) -> bytes:
    """SHA-256 of a file: most are small, so the fewest calls count.

    One that cannot be read has none: decoding names it, or leaves it out if the spec says so.
    """
    try:
        with open(path, "rb", buffering=0, opener=_unblocked) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return UNREADABLE
            head = file.read(CHUNK)
            digest = hashlib.sha256(head)
            while len(head) == CHUNK:
                digest.update(head := file.read(CHUNK))
    except (OSError, ValueError):  # the latter of a name with a null in it
        return UNREADABLE
    return digest.digest()


def _unblocked(path: str, flags: int) -> int:
    """Opening a pipe would wait for who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)


def _files(spec: DatasetSpec, root: Path) -> Iterator[str]:
    if spec.kind == "function":
        yield str(_module_file(spec, root))
        return
    for split in SPLITS:
        part = split_spec(spec, split)
        if part.samples == 0:
            continue
        path = root / part.path
        if not path.exists():
            raise DatasetError(
                "there is no such file or folder",
                where=path,
                hint=f"The spec's path, or splits.{split}.path, is relative to {root}.",
            )
        yield from _read_at(spec, path)


def _read_at(spec: DatasetSpec, path: Path) -> Iterator[str]:
    """What is read for one path: itself, the samples below it, or those that it lists."""
    require_path(path)
    if path.is_dir():
        yield from (f"{path}{os.sep}{name}" for name in sample_files(spec, path))
        return
    yield str(path)
    if spec.kind in LISTED:
        yield from (str(file) for file in listed_files(spec, path))


def _module_file(spec: DatasetSpec, root: Path) -> Path:
    module = spec.function.partition(":")[0]
    stem = root / module.replace(".", "/")
    for local in (stem.with_suffix(".py"), stem / "__init__.py"):
        if local.is_file():
            return local
    found = find_spec(module.partition(".")[0])
    if found is None or not found.origin:
        raise DatasetError(
            f"there is no module {module}", where=root, hint="Put it beside the dataset spec."
        )
    return Path(found.origin)
