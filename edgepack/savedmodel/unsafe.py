"""Ops of a SavedModel that do more than compute: found, named and refused before anything loads.

A SavedModel is a program: its loader runs initialisers, and its signatures may hold any registered
op. https://github.com/tensorflow/tensorflow/blob/v2.21.0/SECURITY.md
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from edgepack.errors import UnsafeModelError
from edgepack.records.facts import UnsafeUse
from edgepack.savedmodel import messages
from edgepack.savedmodel.effects import (
    SAVER_OPS,
    TABLE_INITIALIZERS,
    UNSAFE_OPS,
    has_effect,
    is_ordinary,
)
from edgepack.savedmodel.reach import LOADING, SAVING, SIGNATURE, Reach, reaches
from edgepack.savedmodel.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from edgepack.savedmodel.messages import MetaGraph
    from edgepack.savedmodel.reach import Place


def unsafe_ops(meta: MetaGraph) -> tuple[UnsafeUse, ...]:
    """Every op of the model that reads or writes files, runs code or reaches the network.

    What every SavedModel does is no finding: its saver, its restoring, and tables filled from
    files of its own assets/.

    Args:
        meta: the MetaGraphDef that is to be built.

    Returns:
        One record an op, sorted by its name.

    Raises:
        WireError: the bytes are no SavedModel.
    """
    graph = messages.graph(meta)
    places = [
        (scope, node)
        for scope, nodes in (("", graph.nodes), *graph.functions.items())
        for node in nodes
        if node.op in UNSAFE_OPS
    ]
    if not places:
        return ()
    sources = Sources(meta, graph)
    found = [place for place in places if has_effect(place, sources)]
    return tuple(_uses(found, sources, reaches(meta, graph)))


def _uses(places: list[Place], sources: Sources, all_: tuple[Reach, ...]) -> Iterator[UnsafeUse]:
    counts: Counter[str] = Counter()
    who: defaultdict[str, set[str]] = defaultdict(set)
    for place in places:
        op = place[1].op
        reached = {reach.name for reach in all_ if reach.holds(place)}
        if is_ordinary(place, sources):
            reached.discard(LOADING)
        if op in SAVER_OPS | TABLE_INITIALIZERS and reached <= {SAVING}:
            continue
        counts[op] += 1
        who[op] |= reached
    for op, count in sorted(counts.items()):
        yield UnsafeUse(op=op, count=count, does=UNSAFE_OPS[op], reached_by=tuple(sorted(who[op])))


def refused(
    uses: Iterable[UnsafeUse], allowed: Collection[str], signatures: Collection[str] | None = None
) -> tuple[UnsafeUse, ...]:
    """What may not be loaded or built: what runs on load or in a signature, and is not allowed.

    Args:
        uses: what `unsafe_ops` found.
        allowed: ops that the user accepts.
        signatures: those that are built; all of them, and the model's functions, where None.
    """
    return tuple(use for use in uses if use.op not in allowed and _runs(use, signatures))


def _runs(use: UnsafeUse, signatures: Collection[str] | None) -> bool:
    if signatures is None:
        return any(by != SAVING for by in use.reached_by)
    return not {LOADING, *(SIGNATURE + name for name in signatures)}.isdisjoint(use.reached_by)


def refuse(
    uses: Iterable[UnsafeUse],
    allowed: Collection[str],
    where: str | Path,
    signatures: Collection[str] | None = None,
) -> None:
    """Refuse a model that would do more than compute.

    Args:
        uses: what `unsafe_ops` found.
        allowed: ops that the user accepts (model.allow_unsafe_ops).
        where: the model.
        signatures: those that are built; all of them, and the model's functions, where None.

    Raises:
        UnsafeModelError: names each op, what it does, who reaches it, and how to allow it.
    """
    found = refused(uses, allowed, signatures)
    if not found:
        return
    names = sorted({*allowed, *(use.op for use in found)})
    listed = ", ".join(f'"{name}"' for name in names)
    raise UnsafeModelError(
        f"the model does more than compute: {'; '.join(map(told, found))}",
        where=where,
        hint="If you trust whoever made it, and want this, say so under [model]: "
        f"allow_unsafe_ops = [{listed}]",
    )


def told(use: UnsafeUse) -> str:
    """One use in words: "ReadFile reads files (signature serving_default)"."""
    times = f" ({use.count} times)" if use.count > 1 else ""
    by = f"reached by {', '.join(use.reached_by)}" if use.reached_by else "which nothing runs"
    return f"{use.op}{times} {use.does}, {by}"
