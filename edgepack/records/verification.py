"""What `edgepack verify` found of a bundle that holds."""

from __future__ import annotations

from pydantic import Field

from edgepack.records.base import Record


class Verification(Record):
    """A bundle, every byte of which was checked. One that does not hold is an error instead."""

    path: str
    sha256: str
    size_bytes: int
    name: str
    version: str
    schema_version: int = Field(description="of the manifest")
    failed: bool = Field(description="the gate refused this build; shipped only by --allow-failed")
    variants: tuple[str, ...] = Field(description="in the manifest's order")
