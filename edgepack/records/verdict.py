"""What the gate decided, check by check."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.evidence import Interval

Outcome = Literal["pass", "fail", "inconclusive"]


class Check(Record):
    """One value held against one budget."""

    subject: str = Field(description="source, a variant, target:NAME, baseline:VARIANT")
    name: str = Field(description="the budget's key, such as max_accuracy_drop")
    value: float | None = Field(description="None where there was nothing to measure")
    budget: float | None
    outcome: Outcome
    interval: Interval | None = None
    samples_needed: int | None = Field(
        None, description="samples that would decide, if inconclusive"
    )
    measured_here: bool = Field(False, description="depends on this machine (latency, memory)")
    detail: str = ""


class Verdict(Record):
    """The gate's decision."""

    passed: bool
    strict: bool = False
    checks: tuple[Check, ...]
