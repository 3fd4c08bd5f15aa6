"""The SavedModel that is built: the user's own, or one made of what lies at model.path."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import formats
from edgepack.engines import keras, textform
from edgepack.files import sha256_file
from edgepack.pipeline.versions import tensorflow_version
from edgepack.records.facts import Repair
from edgepack.records.formats import KerasExport, KerasExported
from edgepack.savedmodel import reader

if TYPE_CHECKING:
    from edgepack.pipeline.session import Session
    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.formats import Format
    from edgepack.records.settings import Settings

OF_KERAS_2 = "Keras 2 wrote it, and Keras 3 refuses it or computes otherwise"
RULES = "1"  # of the export: to be raised when the same file would be exported otherwise
MODEL = "model"  # the directory that an export makes
SAVED_MODELS = frozenset(("saved-model", "versions"))
TEXT = Repair(what="read from its text form", why="saved_model.pb is not there, the .pbtxt is")


@dataclass(frozen=True)
class Found:
    """A SavedModel: facts that speak of the user's own files, and where it can be loaded from."""

    facts: SavedModelFacts
    directory: Path
    repairs: tuple[Repair, ...] = ()


def find(session: Session, settings: Settings) -> Found:
    """The SavedModel at model.path, exported where a Keras file or a text form lies there.

    Raises:
        FormatError: it is something else; says what, and what makes a SavedModel of it.
        EdgepackError: it cannot be read, exported, or told from another.
    """
    path = Path(settings.model.path)
    found = formats.recognise(path) if path.exists() else None
    if found and formats.needs_export(found):
        return _exported(session, settings, path)
    if found and found.kind == "saved-model-text":
        return _from_text(session, settings, path)
    if found and found.kind not in SAVED_MODELS and not path.is_dir():
        raise formats.refuse(found)
    facts = _read(path, settings, found)
    return Found(facts, Path(facts.path))


def _read(path: Path, settings: Settings, found: Format | None) -> SavedModelFacts:
    """As the reader finds it, which knows version directories; else what the format is."""
    from edgepack.errors import FormatError

    try:
        return reader.read(path, settings.model.tags)
    except FormatError:
        if found is None:
            raise
        raise formats.refuse(found) from None


def _exported(session: Session, settings: Settings, path: Path) -> Found:
    job = KerasExport(
        path=str(path),
        imports=settings.model.imports,
        folder=str(Path(settings.dataset).parent),
        allow_lambda=settings.model.allow_lambda,
    )

    def make(directory: Path) -> KerasExported:
        session.tell("export", f"exporting {path.name} with Keras")
        return session.tensorflow.submit(keras.export, job, directory / MODEL).result()

    key = {
        "file": sha256_file(path),
        "tensorflow": tensorflow_version(),
        "keras": version("keras"),
        "tf-keras": _version("tf-keras"),
        "rules": RULES,
        "lambda": str(job.allow_lambda),
    }
    if job.imports:  # whose code may change unseen
        scratch = session.work / "export"
        scratch.mkdir()
        done, directory = make(scratch), scratch
    else:
        done, directory = session.cache.stage("export", key, KerasExported, make)
    by = f"{done.loader} {done.loader_version}"
    repairs = (
        Repair(what=f"exported to a SavedModel with {by}", why="it is a Keras file"),
        *(Repair(what=change, why=OF_KERAS_2) for change in done.adapted),
    )
    size = path.stat().st_size
    return _as_made(directory / MODEL, settings, repairs, _Own(path, key["file"], size, done))


def _version(package: str) -> str:
    """Of a package that need not be there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


@dataclass(frozen=True)
class _Own:
    """What the user has, whose facts count in place of those of files made here."""

    path: Path
    digest: str
    size_bytes: int
    exported: KerasExported | None = None


def _as_made(directory: Path, settings: Settings, repairs: tuple[Repair, ...], own: _Own) -> Found:
    facts = reader.read(directory, settings.model.tags)
    saved_by = own.exported.saved_by if own.exported else ""
    told = {
        "path": str(own.path),
        "digest": own.digest,
        "size_bytes": own.size_bytes,
        "fingerprint": {},  # of the export, and another one each time
        "keras_version": saved_by or facts.keras_version,
    }
    return Found(facts.model_copy(update=told), directory, repairs)


def _from_text(session: Session, settings: Settings, path: Path) -> Found:
    target = session.work / "binary"
    session.tensorflow.submit(textform.write_binary, path, target).result()
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return _as_made(target, settings, (TEXT,), _Own(path, reader.digest(path), size))
