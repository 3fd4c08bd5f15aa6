"""Which ops change variables: a model that runs one is stateful."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# TensorFlow's operators on variables that write them, those of random generators included.
# ScatterNd and ScatterNdNonAliasingAdd, named alike, write nothing.
ASSIGNS = re.compile(
    r"Assign\w*"
    r"|(Resource)?(Sparse)?Apply\w+"
    r"|(Resource)?Scatter(Nd)?(Add|Sub|Mul|Div|Min|Max|Update)"
    r"|(Resource)?StridedSliceAssign"
    r"|(Resource)?CountUpTo"
    r"|Rng(ReadAnd)?Skip"
    r"|Stateful(Uniform|StandardNormal|TruncatedNormal|RandomBinomial)\w*"
)


def assigns(ops: Iterable[str]) -> bool:
    """Whether one of these ops changes a variable."""
    return any(map(ASSIGNS.fullmatch, ops))
