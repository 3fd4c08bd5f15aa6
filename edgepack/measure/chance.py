"""What a model that knows nothing would reach. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.engines.arrays import open_array
from edgepack.measure import metrics
from edgepack.records.stages import Chance

if TYPE_CHECKING:
    from edgepack.records.dataset import ArrayRef, DatasetSpec


def measure_chance(labels: ArrayRef | None, spec: DatasetSpec) -> Chance:
    """The first metric of always naming the commonest class; None where there is no such thing."""
    return Chance(value=metrics.chance(open_array(labels) if labels else None, spec))
