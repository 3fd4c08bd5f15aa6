"""Rewrites of a frozen graph, each of which puts builtin ops in place of what TFLite lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgepack.engines import pooling, tensor_arrays

if TYPE_CHECKING:
    from edgepack.engines.graphs import Frozen
    from edgepack.records.facts import Repair

REWRITES = (
    (tensor_arrays.lists_for_arrays, tensor_arrays.REPAIR),
    (pooling.flat_pooling, pooling.REPAIR),
)


def rewritten(frozen: Frozen) -> tuple[Frozen, tuple[Repair, ...]]:
    """Apply every rewrite that finds something to do; a settled graph's shapes are known."""
    repairs: list[Repair] = []
    for rewrite, repair in REWRITES:
        graph_def = rewrite(frozen.graph_def)
        if graph_def is not None:
            frozen, repairs = replace(frozen, graph_def=graph_def), [*repairs, repair]
    return frozen, tuple(repairs)
