"""Files that app teams take over: verifiers of bundles, and models as C arrays."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Platform = Literal["android", "ios", "java", "microcontroller"]


class ConsumerFile(Record):
    """One file of those that were asked for."""

    path: str
    state: Literal["written", "kept", "replaced"] = Field(
        description="kept: it was there, with the same bytes"
    )


class Export(Record):
    """What `edgepack export` left."""

    platform: Platform
    files: tuple[ConsumerFile, ...]
    next: str = Field(description="what to do with them, in one line")
    page: str = Field(description="of the documentation, which tells how")
