"""Which files of a folder are samples: the one answer that the digest and the decoders share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.records.dataset import DatasetSpec

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")
SOUNDS = (".wav",)
Identity = tuple[int, int]  # device and inode


def sample_files(spec: DatasetSpec, folder: Path) -> list[str]:
    """POSIX paths, relative to `folder` and sorted, of the samples at any depth below it.

    Symbolic links are followed, except up to a folder that they lie in. Hidden files and folders
    are left out: they are what tools leave behind. Links that lead nowhere are listed, so that
    decoding can name them.

    Raises:
        DatasetError: a folder cannot be read, or a name is not UTF-8 text.
    """
    suffixes = SOUNDS if spec.kind == "audio" else IMAGES
    try:
        names = sorted(_below(str(folder), "", suffixes, frozenset()))
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", where=error.filename) from error
    for name in names:
        _require_text(name, folder)
    return names


def require_path(path: Path) -> None:
    """Refuse a dataset's path that is neither a file nor a folder: reading a pipe would not end.

    Raises:
        DatasetError: it is neither.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DatasetError("is neither a file nor a folder", where=path)


def _below(
    folder: str, prefix: str, suffixes: tuple[str, ...], above: frozenset[Identity]
) -> Iterator[str]:
    status = os.stat(folder)  # noqa: PTH116 - a Path for each entry costs more than the walk
    identity = (status.st_dev, status.st_ino)
    if identity in above:
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                yield from _below(
                    entry.path, f"{prefix}{entry.name}/", suffixes, above | {identity}
                )
            elif entry.name.lower().endswith(suffixes):
                yield prefix + entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _require_text(name: str, folder: Path) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise DatasetError(
            f"the name {shown} is not UTF-8 text", where=folder, hint="Rename the file."
        ) from error
