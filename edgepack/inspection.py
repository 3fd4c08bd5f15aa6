"""Whatever lies at a path, recognised by content and read without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import formats

if TYPE_CHECKING:
    from edgepack.records.facts import SavedModelFacts, TFLiteFacts
    from edgepack.records.manifest import Manifest

# Read as SavedModels; what is wrong with version directories is for their reader to say.
SAVED_MODELS = frozenset(("saved-model", "hub-module", "versions"))


def inspect(path: Path, *, identity: bool = False) -> SavedModelFacts | TFLiteFacts | Manifest:
    """Read a SavedModel directory, a .tflite file or a bundle.

    Args:
        path: where it lies.
        identity: whether to digest what a SavedModel computes, which reads all of its weights.

    Raises:
        FormatError: it is none of these; says what it is, and what makes a SavedModel of it.
        UsageError: it cannot be read.
        EdgepackError: it is one of these, and damaged.
    """
    found = formats.recognise(path)
    if found.kind in SAVED_MODELS:
        from edgepack import foresight
        from edgepack.savedmodel import reader as savedmodel

        facts = foresight.foresee(savedmodel.read(path))
        return _identified(facts) if identity else facts
    if found.kind == "bundle":
        from edgepack.bundle import verify

        return verify.read_manifest(path)
    if found.kind == "tflite":
        from edgepack.tflite import reader as tflite

        return _described(tflite.read(path))
    raise formats.refuse(found)


def _described(facts: TFLiteFacts) -> TFLiteFacts:
    from edgepack.compat.least import least
    from edgepack.metadata import embedding

    found = embedding.read(Path(facts.path).read_bytes(), facts.path)
    return facts.model_copy(
        update={"metadata": found, "least_releases": least(facts.asked, facts.kernels)}
    )


def _identified(facts: SavedModelFacts) -> SavedModelFacts:
    from edgepack.savedmodel.identity import identify

    found = identify(Path(facts.path), tags=facts.tags)
    return facts.model_copy(update={"identity": found})
