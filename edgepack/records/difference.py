"""What changed between two bundles."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Area = Literal[
    "interface", "release", "targets", "runtime", "models", "evidence", "source", "tools", "files"
]


class Change(Record):
    """One thing that is not as it was."""

    area: Area = Field(description="what kind of thing it is; these are the areas by weight")
    subject: str = Field(description="bundle, a variant, or target:NAME")
    part: str = Field("", description="part of the subject, such as: input image")
    what: str = Field(description="what of it changed, such as dtype; docs/diff.md lists them")
    before: str = Field("", description="empty where it is new")
    after: str = Field("", description="empty where it is gone")
    breaking: bool = False
    why: str = Field("", description="what breaks, of a breaking change")
    detail: str = Field("", description="more about it")


class Side(Record):
    """One of the two bundles."""

    path: str
    name: str
    version: str
    sequence: int | None
    sha256: str = Field(description="of the file")
    contents_sha256: str = Field(description="of SHA256SUMS, which signatures do not change")
    size_bytes: int
    signed_by: tuple[str, ...] = Field(description="keys, by the SHA-256 of each; not checked here")


class Difference(Record):
    """Two bundles that hold, and all that differs."""

    before: Side
    after: Side
    same_contents: bool = Field(description="at most signatures differ")
    breaking: bool = Field(description="an app written for one does not work with the other")
    changes: tuple[Change, ...] = Field(description="most important first")
