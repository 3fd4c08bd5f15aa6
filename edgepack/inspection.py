"""Whatever lies at a path, recognised by content and read without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import UsageError

if TYPE_CHECKING:
    from edgepack.records.facts import SavedModelFacts, TFLiteFacts
    from edgepack.records.manifest import Manifest

HEAD = 8
ZIP = b"PK\x03\x04"
TFLITE = slice(4, 8)


def inspect(path: Path, *, identity: bool = False) -> SavedModelFacts | TFLiteFacts | Manifest:
    """Read a SavedModel directory, a .tflite file or a bundle.

    Args:
        path: where it lies.
        identity: whether to digest what a SavedModel computes, which reads all of its weights.

    Raises:
        UsageError: it is none of these, or cannot be read.
        EdgepackError: it is one of these, and damaged.
    """
    if not path.is_file():
        from edgepack import foresight
        from edgepack.savedmodel import reader as savedmodel

        facts = foresight.foresee(savedmodel.read(path))
        return _identified(facts) if identity else facts
    head = _head(path)
    if head.startswith(ZIP):
        from edgepack.bundle import verify

        return verify.read_manifest(path)
    if head[TFLITE] == b"TFL3":
        from edgepack.tflite import reader as tflite

        return tflite.read(path)
    raise UsageError(
        "is neither a SavedModel directory, nor a .tflite file, nor a bundle",
        where=path,
        hint="Name the directory that holds saved_model.pb, a .tflite, or a bundle's .zip.",
    )


def _identified(facts: SavedModelFacts) -> SavedModelFacts:
    from edgepack.savedmodel.identity import identify

    found = identify(Path(facts.path), tags=facts.tags)
    return facts.model_copy(update={"identity": found})


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path) from error
