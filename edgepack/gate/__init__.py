"""The gate: budgets and evidence make a verdict. Pure over records."""

from __future__ import annotations

from edgepack.gate.judge import judge
from edgepack.gate.source import source_checks
from edgepack.gate.targets import selection

__all__ = ["judge", "selection", "source_checks"]
