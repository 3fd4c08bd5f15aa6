"""Where a graph without signatures is entered and left, as far as its nodes tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

# Ops whose results nobody takes, and which are no answer of a model.
NO_OUTPUT = frozenset(
    [
        "Assert",
        "Assign",
        "AssignVariableOp",
        "Const",
        "HistogramSummary",
        "ImageSummary",
        "IsVariableInitialized",
        "MergeSummary",
        "MergeV2Checkpoints",
        "NoOp",
        "Print",
        "ReadVariableOp",
        "Restore",
        "RestoreV2",
        "Save",
        "SaveV2",
        "ScalarSummary",
        "ShardedFilename",
        "VarHandleOp",
        "VarIsInitializedOp",
        "Variable",
        "VariableV2",
    ]
)
SAVER = re.compile(r"(?:.*/)?save(?:_[0-9]+)?/[^/]*")  # what tf.train.Saver adds to a graph


class Node(NamedTuple):
    """Name, op and inputs of a NodeDef."""

    name: str
    op: str
    inputs: tuple[str, ...]


class Ends(NamedTuple):
    """Names of nodes: placeholders that are used, and those whose results nobody takes."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def ends(nodes: Iterable[Node]) -> Ends:
    """Most often the inputs and outputs of a model."""
    taken: set[str] = set()
    inputs: list[str] = []
    others: list[str] = []
    for node in nodes:
        taken.update(one.removeprefix("^").partition(":")[0] for one in node.inputs)
        if SAVER.fullmatch(node.name):
            continue
        if node.op.startswith("Placeholder"):
            inputs.append(node.name)
        elif node.op not in NO_OUTPUT:
            others.append(node.name)
    used = tuple(name for name in inputs if name in taken)
    return Ends(used, tuple(name for name in others if name not in taken))
