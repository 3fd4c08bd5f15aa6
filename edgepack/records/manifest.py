"""The manifest: what a bundle holds and what is known of it, for device teams."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.dataset import Preprocess, Split
from edgepack.records.evidence import Accuracy, Skipped
from edgepack.records.facts import Precision, Repair, SemanticIdentity, UnsafeUse
from edgepack.records.stages import DeviceInput
from edgepack.records.tensors import OpUse, Signature
from edgepack.records.verdict import Verdict


class SourceEntry(Record):
    """The model that was converted."""

    digest: str
    size_bytes: int
    tags: tuple[str, ...]
    signature: str
    tensorflow_version: str
    tensorflow_git_version: str
    keras_version: str
    fingerprint: dict[str, str]
    repairs: tuple[Repair, ...]
    identity: SemanticIdentity | None = Field(
        None, description="what it computes, as digests that saving it again does not change"
    )
    version_directory: str = Field(
        "", description="the one of several version directories that the model was read from"
    )
    unsafe_ops: tuple[UnsafeUse, ...] = Field(
        (), description="what it does beyond computing, as the config allowed"
    )
    accuracy: Accuracy


class ToolVersions(Record):
    """Versions of what made the bundle."""

    edgepack: str
    python: str
    tensorflow: str
    tensorflow_git_version: str
    quantizer: str
    runtime: str = Field(description="runtime and version that accuracy was measured with")


class DatasetEntry(Record):
    """What calibrated and judged the variants."""

    name: str
    digest: str
    seed: int
    samples: dict[Split, int]
    skipped: int


class ModelEntry(Record):
    """One .tflite of the bundle."""

    variant: str
    path: str
    precision: Precision
    size_bytes: int
    sha256: str
    signatures: tuple[Signature, ...]
    ops: tuple[OpUse, ...]
    min_runtime_version: str
    stateful: bool
    conversion: dict[str, str] = Field(description="engine and options that made the file")
    accuracy: Accuracy
    note: str = ""
    float_ops: tuple[str, ...] | None = Field(
        None, description="operators that compute in float; none in a full integer file"
    )
    select_ops: tuple[str, ...] = Field(
        (), description="TensorFlow ops whose kernels (Select-TF) the app must link"
    )
    prepared_inputs: tuple[DeviceInput, ...] = Field(
        (), description="inputs that stand for inputs of the source: the app prepares them"
    )


class TargetEntry(Record):
    """Which variants a target can take, best first."""

    name: str
    variants: tuple[str, ...]


class Manifest(Record):
    """`manifest.json`, format version 1."""

    schema_version: Literal[1] = 1
    name: str
    version: str
    epoch: int = Field(
        315_532_800,
        ge=315_532_800,
        le=4_354_819_198,
        description="time of the zip's entries, seconds since 1970: SOURCE_DATE_EPOCH or 1980",
    )
    failed: bool = Field(description="the gate refused this build; shipped only by --allow-failed")
    source: SourceEntry
    dataset: DatasetEntry
    preprocessing: dict[str, Preprocess] = Field(description="by signature input name")
    classes: tuple[str, ...]
    models: tuple[ModelEntry, ...]
    targets: tuple[TargetEntry, ...]
    skipped: tuple[Skipped, ...]
    verdict: Verdict = Field(
        description="checks on what inputs determine; latency is in the report"
    )
    tools: ToolVersions
