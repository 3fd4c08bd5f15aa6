"""Classes of TensorFlow's ops, as they matter to a TFLite build.

The long lists, and how each was obtained, are in tensorflow_ops.txt.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTS = Path(__file__).with_name("tensorflow_ops.txt")
SECTION = re.compile(r"\[(\w+)\]")

V1_CONTROL_FLOW = frozenset(
    f"{prefix}{op}"
    for prefix in ("", "Ref")
    for op in ("Enter", "Exit", "Merge", "NextIteration", "Switch")
) | {"LoopCond"}
LOOPS = frozenset(("NextIteration", "RefNextIteration", "StatelessWhile", "While"))
V2_CONTROL_FLOW = frozenset(
    ("Case", "For", "If", "StatelessCase", "StatelessIf", "StatelessWhile", "While")
)
CONTROL_FLOW = V1_CONTROL_FLOW | V2_CONTROL_FLOW
REFERENCE_VARIABLES = frozenset(("TemporaryVariable", "Variable", "VariableV2"))
VARIABLES = REFERENCE_VARIABLES | {"VarHandleOp"}
TABLES = frozenset(
    f"{kind}{version}"
    for kind in ("HashTable", "MutableDenseHashTable", "MutableHashTable")
    for version in ("", "V2")
)
# The backward pass. Conv2DBackpropInput is a transposed convolution, too.
GRADIENT = re.compile(r"Grad(V\d)?$|Backprop(Filter|V\d)")


class Needs(NamedTuple):
    """Ops that TFLite's builtin operators do not cover, by what they would take."""

    custom: tuple[str, ...]
    select: tuple[str, ...]
    unconvertible: tuple[str, ...]


def sort_out(ops: Iterable[str]) -> Needs:
    """Sort the ops that builtin operators do not cover.

    Returns:
        Those that TensorFlow does not have, those that its Flex delegate runs on the device, and
        those that TFLite runs in no way.
    """
    uncovered = sorted(set(ops) - BUILTIN - STRUCTURE)
    return Needs(
        custom=tuple(op for op in uncovered if op not in SELECT and op not in NEITHER),
        select=tuple(op for op in uncovered if op in SELECT),
        unconvertible=tuple(op for op in uncovered if op in NEITHER),
    )


def _sections() -> dict[str, frozenset[str]]:
    """The lists by name; a line that starts with # is a comment."""
    names: dict[str, list[str]] = {}
    section = ""
    for line in LISTS.read_text(encoding="utf-8").splitlines():
        if found := SECTION.fullmatch(line):
            section = found[1]
        elif not line.startswith("#"):
            names.setdefault(section, []).extend(line.split())
    return {name: frozenset(listed) for name, listed in names.items()}


_LISTS = _sections()
BUILTIN = _LISTS["builtin"]
STRUCTURE = _LISTS["structure"]
SELECT = _LISTS["select"]
NEITHER = _LISTS["neither"]
