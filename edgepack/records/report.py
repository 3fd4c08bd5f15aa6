"""What a build leaves for people: `report.json`, from which the other reports are drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.dataset import Lint
from edgepack.records.evidence import Evidence
from edgepack.records.manifest import DatasetEntry, SourceEntry, TargetEntry, ToolVersions
from edgepack.records.search import Findings
from edgepack.records.verdict import Verdict


class BundleRef(Record):
    """The bundle a report speaks of."""

    path: str = Field(description="file name, beside the report")
    sha256: str
    size_bytes: int
    contents_sha256: str = Field(
        "", description="of its SHA256SUMS, which further signatures do not change"
    )


class Report(Record):
    """`report.json`, format version 1."""

    schema_version: Literal[1] = 1
    name: str
    version: str
    bundle: BundleRef | None = Field(description="None where the gate withheld it")
    source: SourceEntry
    dataset: DatasetEntry
    lints: tuple[Lint, ...]
    evidence: Evidence
    targets: tuple[TargetEntry, ...]
    verdict: Verdict
    tools: ToolVersions
    findings: Findings | None = Field(None, description="None where nothing was quantized")


class BuildResult(Record):
    """What `edgepack.build` returns."""

    passed: bool
    bundle: str | None = Field(description="path of the bundle, None where withheld")
    report: Report
    report_json: str
    report_markdown: str
    search_json: str | None = Field(None, description="log of the search, where one was made")
    cached: tuple[str, ...] = Field((), description="stages taken from the cache")
