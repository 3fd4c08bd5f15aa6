"""What a microcontroller needs to run a file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record


class ArenaSize(Record):
    """Memory for tensors, TensorFlow Lite Micro's tensor arena."""

    bytes: int
    method: Literal["measured", "estimated"]
    detail: str = Field("", description="what measured it, or what the estimate leaves out")
