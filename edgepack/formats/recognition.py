"""What lies at a path, by its content and never by its name alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import FormatError, UsageError
from edgepack.formats import directories, files
from edgepack.formats.opened import opened

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.errors import EdgepackError
    from edgepack.records.formats import Format

EXPORTED = frozenset(("keras", "keras-hdf5"))
WHOLE = "it is not exported yet"


def recognise(path: Path) -> Format:
    """What lies at `path`; reads a few megabytes at most, and runs nothing of it.

    Raises:
        UsageError: there is nothing at `path`, or it cannot be read.
    """
    try:
        if path.is_dir():
            return directories.recognise(path)
        if not path.is_file():
            raise _nothing(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot be read: {error}", where=path) from error
    with opened(path) as file:
        return files.recognise(file)


def _nothing(path: Path) -> UsageError:
    if path.exists():
        return UsageError("is neither a file nor a directory", where=path)
    return UsageError(
        "there is no such path",
        where=path,
        hint="Check the path (of a build: model.path, --model).",
    )


def refuse(found: Format) -> EdgepackError:
    """The error for what is no SavedModel: what it is, what it lacks, and what makes one of it."""
    verb = "is" if found.sure or found.kind == "unknown" else "looks like"
    not_one = "" if found.kind == "unknown" else ", not a SavedModel"
    missing = f": {found.missing}" if found.missing else ""
    lines = f":\n{found.remedy.lines}" if found.remedy.lines else ""
    return FormatError(
        f"{verb} {found.what}{not_one}{missing}",
        where=found.path,
        hint=f"{found.remedy.advice}{lines}",
    )


def needs_export(found: Format) -> bool:
    """Whether a build has to export this to a SavedModel first."""
    return found.kind in EXPORTED and found.missing == WHOLE
