"""A private copy of a SavedModel, without what would stop TensorFlow from converting it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from edgepack.errors import OutputError
from edgepack.records.facts import Repair
from edgepack.savedmodel.messages import SLOT_VARIABLES
from edgepack.savedmodel.reader import GRAPH
from edgepack.savedmodel.wire import without

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.records.facts import SavedModelFacts


def prepare(source: Path, facts: SavedModelFacts, into: Path) -> tuple[Repair, ...]:
    """Make a copy of `source` at `into`, and repair it there; the original is never written.

    Weights and assets are linked to, not copied.

    Raises:
        OutputError: the copy cannot be written.
    """
    try:
        into.mkdir(parents=True)
        for entry in source.iterdir():
            if entry.name != GRAPH:
                (into / entry.name).symlink_to(entry.resolve())
        return _graph(source / GRAPH, facts, into / GRAPH)
    except OSError as error:
        raise OutputError(
            f"no room for a working copy: {error.strerror}",
            where=into,
            hint="Free space there, or name another directory with TMPDIR.",
        ) from error


def _graph(source: Path, facts: SavedModelFacts, target: Path) -> tuple[Repair, ...]:
    if not facts.slot_variables:
        shutil.copyfile(source, target)
        return ()
    target.write_bytes(without(source.read_bytes(), SLOT_VARIABLES))
    what = f"dropped {facts.slot_variables} optimizer slot variables from the object graph"
    why = "training state that inference does not use, and that stops TensorFlow from loading it"
    return (Repair(what=what, why=why),)
