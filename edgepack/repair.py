"""A private copy of a SavedModel, without what would stop TensorFlow from converting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import ModelError, OutputError, UsageError
from edgepack.records.facts import Repair
from edgepack.savedmodel.messages import SLOT_VARIABLES
from edgepack.savedmodel.reader import GRAPH
from edgepack.savedmodel.wire import WireError, without

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.records.facts import SavedModelFacts


def prepare(source: Path, facts: SavedModelFacts, into: Path) -> tuple[Repair, ...]:
    """Make a copy of `source` at `into`, and repair it there; the original is never written.

    Weights and assets are linked to, not copied.

    Raises:
        UsageError: `source` can no longer be read.
        ModelError: a part of the graph that `facts` did not need is damaged.
        OutputError: the copy cannot be written.
    """
    graph, others = _contents(source)
    graph, repairs = _repaired(graph, facts, source)
    try:
        into.mkdir(parents=True)
        for entry in others:
            (into / entry.name).symlink_to(entry.resolve())
        (into / GRAPH).write_bytes(graph)
    except OSError as error:
        raise OutputError(
            f"the working copy cannot be written: {error.strerror}",
            where=into,
            hint="Make room there, or name another directory with TMPDIR.",
        ) from error
    return repairs


def _contents(source: Path) -> tuple[bytes, list[Path]]:
    """The graph, and everything beside it."""
    try:
        others = [entry for entry in source.iterdir() if entry.name != GRAPH]
        return (source / GRAPH).read_bytes(), others
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=source) from error


def _repaired(
    graph: bytes, facts: SavedModelFacts, source: Path
) -> tuple[bytes, tuple[Repair, ...]]:
    if not facts.slot_variables:
        return graph, ()
    try:
        graph = without(graph, SLOT_VARIABLES)
    except WireError as error:
        raise ModelError(f"its object graph is damaged: {error}", where=source / GRAPH) from error
    what = f"dropped {facts.slot_variables} optimizer slot variables from the object graph"
    why = "training state that inference does not use, and that stops TensorFlow from loading it"
    return graph, (Repair(what=what, why=why),)
