"""Where the SavedModel lies: at a path, or in the highest of the version directories there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.errors import FormatError, UsageError, VersionsError

if TYPE_CHECKING:
    from pathlib import Path

GRAPH = "saved_model.pb"
TEXT_GRAPH = "saved_model.pbtxt"
VERSION = re.compile(r"[0-9]+")
FLAT = frozenset((".h5", ".hdf5", ".keras", ".pb", ".pbtxt"))  # models that are one file
BESIDE_GRAPH = frozenset(("fingerprint.pb", "keras_metadata.pb"))

TO_BINARY = """\
from pathlib import Path
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
text = Path({text!r}).read_text(encoding="utf-8")
message = text_format.Parse(text, saved_model_pb2.SavedModel())
Path({binary!r}).write_bytes(message.SerializeToString())"""


@dataclass(frozen=True)
class Location:
    """A directory that holds saved_model.pb.

    Attributes:
        path: the directory.
        version: its name, where it was found as the highest of several version directories.
        versions: names of all version directories beside it, ascending by number.
    """

    path: Path
    version: str = ""
    versions: tuple[str, ...] = ()


def locate(path: Path) -> Location:
    """The SavedModel at `path`, or below it in the version directory with the highest number.

    Version directories are what TensorFlow Serving reads: decimal names, the highest number wins.

    Raises:
        UsageError: there is nothing at `path`.
        FormatError: what is there is no SavedModel.
        VersionsError: there is no telling which version, or which of several models, is meant.
    """
    if not path.exists():
        raise UsageError(
            "there is no such path",
            where=path,
            hint="Check the path (of a build: model.path, --model).",
        )
    if not path.is_dir():
        raise FormatError("is a file, not a SavedModel directory", where=path, hint=_whose(path))
    versions = _versions(path)
    if (path / GRAPH).is_file():
        _require_alone(path, [GRAPH], [one for one in versions if (path / one / GRAPH).is_file()])
        return Location(path)
    if not versions:
        raise _not_one(path)
    _require_alone(path, _flat(path), versions)
    return Location(_newest(path, versions), versions[-1], tuple(versions))


def _whose(file: Path) -> str:
    if file.name == GRAPH:
        return f"Name the directory it lies in: {file.parent}"
    return f"A SavedModel is the directory that holds {GRAPH}."


def _versions(path: Path) -> list[str]:
    names = [one.name for one in path.iterdir() if VERSION.fullmatch(one.name) and one.is_dir()]
    return sorted(names, key=lambda name: (int(name), name))


def _flat(path: Path) -> list[str]:
    """Models beside the version directories, each a single file."""
    files = [one for one in path.iterdir() if one.suffix.lower() in FLAT and one.is_file()]
    return sorted(one.name for one in files if one.name not in BESIDE_GRAPH)


def _require_alone(path: Path, files: list[str], versions: list[str]) -> None:
    if files and versions:
        raise VersionsError(
            f"{', '.join(files)} and the version directories {', '.join(versions)} lie side by "
            "side, and either may be the model that is meant",
            where=path,
            hint=f"Name one of them, such as {path / versions[-1]}, or move the others elsewhere.",
        )


def _newest(path: Path, versions: list[str]) -> Path:
    highest = versions[-1]
    twins = [one for one in versions if int(one) == int(highest)]
    if len(twins) > 1:
        raise VersionsError(
            f"the version directories {' and '.join(twins)} have the same number",
            where=path,
            hint=f"Name the one to build, such as {path / highest}.",
        )
    found = path / highest
    if (found / GRAPH).is_file():
        return found
    if (found / TEXT_GRAPH).is_file():
        raise _not_one(found)
    whole = [one for one in versions if (path / one / GRAPH).is_file()]
    instead = f", or name another one, such as {path / whole[-1]}" if whole else ""
    raise VersionsError(
        f"the version directory with the highest number, {highest}, holds no {GRAPH}",
        where=path,
        hint=f"Finish copying {found}{instead}.",
    )


def _not_one(path: Path) -> FormatError:
    """What a directory without saved_model.pb holds instead, and how to make a SavedModel of it."""
    if (path / TEXT_GRAPH).is_file():
        lines = TO_BINARY.format(text=str(path / TEXT_GRAPH), binary=str(path / GRAPH))
        return FormatError(
            f"holds {TEXT_GRAPH}, a SavedModel as text, which is not read here",
            where=path,
            hint=f"Write the binary form beside it with:\n{lines}",
        )
    if flat := _flat(path):
        others = ", ".join(flat)
        return FormatError(
            f"holds no {GRAPH}, but {others}; load and export it: model.export(DIRECTORY)",
            where=path,
        )
    return FormatError(f"holds no {GRAPH}", where=path)
