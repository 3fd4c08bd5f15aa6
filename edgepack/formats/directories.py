"""What a directory is: a SavedModel, a part or parent of one, or something that holds a model."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from edgepack.errors import EdgepackError
from edgepack.formats import archives, checkpoints, files, remedies, texts
from edgepack.formats.opened import opened
from edgepack.records.formats import Format, Remedy
from edgepack.savedmodel.location import GRAPH, TEXT_GRAPH, TO_BINARY, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANY = 200  # entries looked at
KERAS = ("config.json", "metadata.json", "model.weights.h5")
CORE_ML = ("Manifest.json", "Data/com.apple.CoreML")
HUB = "tfhub_module.pb"
TEXTLESS = frozenset(("unknown", "empty-file", "numpy", "html", "hdf5"))


def recognise(path: Path) -> Format:
    """What a directory is.

    Raises:
        OSError: it cannot be listed.
    """
    entries = sorted(islice(path.iterdir(), MANY))
    found = (one(path, entries) for one in RECOGNISERS)
    return next((one for one in found if one), None) or _other(path)


def _saved_model(path: Path, _: list[Path]) -> Format | None:
    if not (path / GRAPH).is_file():
        return None
    if not (path / HUB).is_file():
        return Format(path=str(path), kind="saved-model", what="a SavedModel")
    return Format(
        path=str(path),
        kind="hub-module",
        what="a module of TensorFlow Hub's first kind (hub.Module)",
        missing="its signature has not the usual tags and name",
        remedy=remedies.sign_module(path),
    )


def _text(path: Path, _: list[Path]) -> Format | None:
    text, binary = path / TEXT_GRAPH, path / GRAPH
    if not text.is_file():
        return None
    with opened(text) as file:
        found = texts.recognise(file)
    if not found or found.kind != "saved-model-graph":
        return None
    return Format(
        path=str(path),
        kind="saved-model-text",
        what="a SavedModel as text",
        missing="its graph is read in binary form here",
        remedy=remedies.python(
            "edgepack build reads it; for the rest, write the binary form beside it",
            TO_BINARY.format(text=str(text), binary=str(binary)),
        ),
    )


def _part(path: Path, _: list[Path]) -> Format | None:
    parent = path.absolute().parent
    if path.absolute().name not in files.FOLDERS or not (parent / GRAPH).is_file():
        return None
    shown = path.parent if path.name and path.name != ".." else parent
    return Format(
        path=str(path),
        kind="saved-model-part",
        what=f"the {path.absolute().name} of the SavedModel {shown}",
        missing="a SavedModel is the directory above",
        remedy=remedies.name_it(shown),
    )


def _graphless(path: Path, _: list[Path]) -> Format | None:
    if not (path / "variables" / "variables.index").is_file():
        return None
    return Format(
        path=str(path),
        kind="saved-model-part",
        what=f"what is left of a SavedModel without its {GRAPH}",
        missing=f"{GRAPH}, the graph: it was not copied, or is ignored by a rule for *.pb",
        remedy=Remedy(advice=f"Copy {GRAPH} from where the model was saved."),
    )


def _versions(path: Path, entries: list[Path]) -> Format | None:
    names = [one.name for one in entries if VERSION.fullmatch(one.name) and one.is_dir()]
    if not names:
        return None
    names.sort(key=lambda name: (len(name.lstrip("0")), name.lstrip("0"), name))
    whole = [name for name in names if (path / name / GRAPH).is_file()]
    listed = ", ".join(names)
    return Format(
        path=str(path),
        kind="versions",
        what=f"a directory of versions ({listed})",
        missing="" if whole else f"none of them holds a {GRAPH}",
        remedy=remedies.name_it(path / whole[-1])
        if whole
        else Remedy(advice="Finish the export or copy of a version."),
    )


def _keras(path: Path, _: list[Path]) -> Format | None:
    if not all((path / name).is_file() for name in KERAS):
        return None
    with opened(path / KERAS[1]) as file:
        version = archives.keras_version(file.head)
    return Format(
        path=str(path),
        kind="keras-directory",
        what=f"an unpacked Keras model{version and f', written by Keras {version}'}",
        missing="builds export Keras files, no directories",
        remedy=remedies.export_keras(path, advice="Export it"),
    )


def _core_ml(path: Path, _: list[Path]) -> Format | None:
    if not (path / CORE_ML[0]).is_file() or not (path / CORE_ML[1]).is_dir():
        return None
    return Format(
        path=str(path),
        kind="core-ml",
        what="a Core ML package",
        missing="it was made from another model, and no tool makes a SavedModel of it",
        remedy=Remedy(advice="Go back to the model that it was converted from, and name that."),
    )


def _checkpoint(path: Path, entries: list[Path]) -> Format | None:
    """A directory that a training wrote its checkpoints to: the newest of them."""
    state = path / "checkpoint"
    if state.is_file():
        with opened(state) as file:
            newest = texts.newest_checkpoint(file.text, path)
        if newest:
            return checkpoints.of_prefix(path, newest)
    found = [one for one in entries if one.suffix == ".index" and one.is_file()]
    if not found:
        return None
    newest_index = max(found, key=lambda one: one.stat().st_mtime_ns)
    with opened(newest_index) as file:
        inner = checkpoints.recognise(file)
    return inner.model_copy(update={"path": str(path)}) if inner else None


def _parent(path: Path, entries: list[Path]) -> Format | None:
    models = [one for one in entries if one.is_dir() and (one / GRAPH).is_file()]
    if not models:
        return None
    names = ", ".join(one.name for one in models)
    return Format(
        path=str(path),
        kind="directory",
        what=f"a directory of SavedModels ({names})",
        missing="one of them must be named",
        remedy=remedies.name_it(models[0]),
    )


def _holder(path: Path, entries: list[Path]) -> Format | None:
    """A directory with files, the first of which that is a model decides."""
    found = next(_models(entries), None)
    if found is None:
        return None
    name = found.path.removeprefix(f"{path}/")
    return found.model_copy(
        update={
            "path": str(path),
            "kind": "directory",
            "what": f"a directory: {name} in it is {found.what}",
        }
    )


def _models(entries: list[Path]) -> Iterator[Format]:
    for entry in entries:
        if not entry.is_file():
            continue
        try:
            with opened(entry) as file:
                found = files.recognise(file)
        except EdgepackError:
            continue
        if found.kind not in TEXTLESS:
            yield found


def _other(path: Path) -> Format:
    empty = next(path.iterdir(), None) is None
    return Format(
        path=str(path),
        kind="empty-directory" if empty else "directory",
        what="an empty directory" if empty else f"a directory without {GRAPH}",
        missing="" if empty else "nothing in it is a model that is known here",
        remedy=Remedy(advice=f"Name the directory that holds {GRAPH}."),
    )


RECOGNISERS = (
    _saved_model,
    _text,
    _part,
    _graphless,
    _versions,
    _keras,
    _core_ml,
    _checkpoint,
    _parent,
    _holder,
)
