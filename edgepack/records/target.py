"""A target profile: what a build for one kind of device must satisfy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.facts import Precision
from edgepack.records.manifest import RuntimeNeed


class Target(Record):
    """A device profile, as `targets/*.toml` declares it."""

    name: str
    description: str
    platform: Literal["android", "ios", "linux"]
    precisions: tuple[Precision, ...] = Field(description="accepted precisions, best first")
    input_dtypes: tuple[str, ...] = Field((), description="accepted input types; any when empty")
    output_dtypes: tuple[str, ...] = Field((), description="accepted output types; any when empty")
    max_size_bytes: int | None = Field(None, gt=0, description="largest .tflite accepted")
    runtime: RuntimeNeed | None = Field(
        None, description="what the app links: artifact and least_version"
    )
