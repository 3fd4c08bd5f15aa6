"""What a build says while it runs."""

from __future__ import annotations

from typing import Literal

from edgepack.records.base import Record


class Event(Record):
    """Something happened in a stage."""

    stage: str
    message: str
    done: int | None = None
    total: int | None = None
    level: Literal["progress", "info", "warning"] = "progress"
