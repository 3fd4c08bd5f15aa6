"""What a running build says of its progress."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Level = Literal["progress", "info", "warning"]


class Event(Record):
    """A stage has begun, got somewhere, or has something that a person should read."""

    stage: str = Field(description="short stable name, such as convert")
    message: str
    done: int | None = Field(None, ge=0, description="steps finished, where they are counted")
    total: int | None = Field(None, ge=0, description="steps there are, where they are counted")
    level: Level = "progress"
