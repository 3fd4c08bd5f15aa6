"""The manifest: what a bundle holds and what is known of it, for device teams."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from edgepack.records.base import Record
from edgepack.records.dataset import Preprocess, Split
from edgepack.records.evidence import Accuracy, Skipped
from edgepack.records.facts import Precision, Repair, SemanticIdentity, UnsafeUse
from edgepack.records.stages import DeviceInput
from edgepack.records.tensors import OpUse, Signature
from edgepack.records.verdict import Verdict

SequenceSource = Literal["", "given", "baseline", "ci-run", "commits"]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
VERSION = r"^[0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?$"
GREATEST = 2**53 - 1  # the last whole number that every JSON reader has


class DigestSet(Record):
    """Digests of one thing by algorithm, as in-toto's DigestSet has them."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="in lower-case hexadecimal")


def _as_set(value: Any) -> Any:
    """What manifests said before they had digest sets: the SHA-256 alone."""
    return {"sha256": value} if isinstance(value, str) else value


Digests = Annotated[DigestSet, BeforeValidator(_as_set)]


class SourceEntry(Record):
    """The model that was converted."""

    digest: Digests = Field(description="of the sorted names and digests of its files")
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
    digest: Digests = Field(description="of the prepared samples and their labels")
    seed: int
    samples: dict[Split, int]
    skipped: int


class ModelEntry(Record):
    """One .tflite of the bundle."""

    variant: str
    path: str
    precision: Precision
    size_bytes: int
    digest: Digests = Field(validation_alias=AliasChoices("digest", "sha256"))
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


class RuntimeNeed(Record):
    """What the app links to run the models, as the target's profile declares it."""

    artifact: str = Field(description="such as com.google.ai.edge.litert:litert")
    least_version: str = Field("", description="in the artifact's own numbering")
    below_version: str = Field("", description="the first version that is not meant any more")
    api: str = Field("", description="which of its interfaces, such as Interpreter")


class PassedOver(Record):
    """A variant that a target does not get."""

    variant: str
    reason: str


class TargetEntry(Record):
    """Which variants a target can take, best first: the first is the one to ship."""

    name: str
    variants: tuple[str, ...]
    platform: str = Field("", description="the profile's, such as android")
    runtime: RuntimeNeed | None = None
    passed_over: tuple[PassedOver, ...] = Field(
        (), description="every variant but the first, and why"
    )
    proven_on: tuple[str, ...] = Field(
        (), description="releases on which the first was run and answered as it did here"
    )
    packaging: tuple[str, ...] = Field((), description="the profile's hints for the app's build")


class Manifest(Record):
    """`manifest.json`, format version 1."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME, max_length=100)
    version: str = Field(pattern=VERSION, max_length=100)
    sequence: int | None = Field(
        None,
        ge=0,
        le=GREATEST,
        description="greater for each later release; what edgepack.lock holds against older ones",
    )
    sequence_source: SequenceSource = Field("", description="where the sequence was taken from")
    expires: str = Field(
        "",
        pattern=r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?$",
        description="second of UTC from which on no verifier takes the bundle; empty: none",
    )
    license: str = Field("", description="SPDX licence expression of the models")
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
    attachments: tuple[str, ...] = Field(
        (), description="further members: golden vectors, provenance, bill of materials"
    )
