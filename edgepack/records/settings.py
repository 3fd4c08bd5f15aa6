"""What a user asks of a build: `edgepack.toml` with its overrides applied."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.manifest import GREATEST, NAME, VERSION
from edgepack.records.recipe import CLIPPINGS, Clipping, Granularity, Rest
from edgepack.records.search import Objective
from edgepack.records.stages import Runtime

VariantName = Literal[
    "float32",
    "float16",
    "dynamic",
    "weight-only",
    "int8",
    "int8-float-io",
    "int16x8",
    "auto",
]
SequenceRule = Literal["baseline", "ci-run", "commits"]
VARIANTS: tuple[VariantName, ...] = (
    "float32",
    "float16",
    "dynamic",
    "weight-only",
    "int8",
    "int8-float-io",
    "int16x8",
    "auto",
)


class Budget(Record):
    """Limits on one variant. An absent limit is not checked."""

    max_accuracy_drop: float | None = Field(
        0.01, description="largest drop of the first metric against the source, absolute"
    )
    min_accuracy: float | None = Field(None, description="least value of the first metric")
    min_agreement: float | None = Field(
        None, ge=0, le=1, description="least top-1 agreement (or cosine similarity) with the source"
    )
    max_latency_ratio: float | None = Field(
        None, gt=0, description="largest p50 latency divided by float32's"
    )
    max_size_bytes: int | None = Field(None, gt=0)


class BaselineBudget(Record):
    """Limits against the same variant of an earlier release's bundle."""

    max_accuracy_drop: float | None = 0.01
    max_size_ratio: float | None = Field(1.1, gt=0)
    max_latency_ratio: float | None = Field(None, gt=0)
    allow_signature_change: bool = False


class Budgets(Record):
    """Limits for every variant, and stricter or looser ones by variant name."""

    all: Budget = Budget()
    variants: dict[VariantName, Budget] = Field(default_factory=dict)
    baseline: BaselineBudget = BaselineBudget()

    def of(self, variant: str) -> Budget:
        """The limits of one variant: its own where set, the common ones elsewhere."""
        own = self.variants.get(variant)  # type: ignore[call-overload]
        return self.all.model_copy(update=own.model_dump(exclude_unset=True)) if own else self.all


class ModelSettings(Record):
    """Which model is built, and what training said of it."""

    path: str = Field(min_length=1, description="SavedModel directory, relative to the config file")
    name: str = Field(
        pattern=NAME,
        max_length=100,
        description="letters, digits, dots, dashes and underscores, such as pet-classifier",
    )
    version: str = Field(
        pattern=VERSION,
        max_length=100,
        description="three numbers with dots, such as 1.2.0 or 1.2.0-rc.1",
    )
    signature: str = Field(
        "",
        description="SignatureDef that samples are for; by default the only one, "
        "or serving_default",
    )
    signatures: tuple[str, ...] = Field(
        (), description="further SignatureDefs to convert into the same file; '*' is all of them"
    )
    shapes: dict[str, tuple[int, ...]] = Field(
        default_factory=dict,
        description="dimensions by input name, the batch first; -1 stays open. By default a batch "
        "of 1, and what the samples have",
    )
    batched: bool = Field(
        True, description="whether the first dimension of each input counts samples"
    )
    tags: tuple[str, ...] = Field(
        (), description="tags of the meta graph to build; by default the one tagged serve"
    )
    imports: tuple[str, ...] = Field(
        (), description="Python modules that register the custom layers of a Keras file"
    )
    contract: str = Field(
        "", description="file with the signature an app expects, relative to the config file"
    )
    allow_select_tf_ops: bool = Field(
        False, description="take a file that needs TensorFlow's own kernels on the device"
    )
    allow_unsafe_ops: tuple[str, ...] = Field(
        (), description="ops that read or write files, run code or reach the network"
    )
    allow_lambda: bool = Field(
        False, description="run the Python code of a Keras file's Lambda layers"
    )
    expected_accuracy: float | None = Field(
        None, description="first metric of the source on this dataset, as training recorded it"
    )
    accuracy_tolerance: float = Field(0.02, ge=0, description="how far it may be off, absolute")


class LatencySettings(Record):
    """How latency is measured on this machine."""

    threads: int = Field(1, ge=1)
    rounds: int = Field(30, ge=3, description="interleaved rounds over all variants")
    runtime: Runtime = "ai-edge-litert"


class QuantizeSettings(Record):
    """How the static variants (int8, int8-float-io, int16x8) are quantized."""

    engine: Literal["auto", "quantizer", "converter"] = Field(
        "auto",
        description="litert-quantizer, TFLiteConverter's quantizer, or both: the better is kept",
    )
    clipping: Literal["auto", "min-max", "percentile", "mse"] = Field(
        "min-max",
        description="how ranges of activations follow from the calibration samples; "
        "auto tries all and keeps the best",
    )
    granularity: Granularity = Field(
        "channel", description="one scale a channel of the weights, or one a tensor"
    )
    symmetric: bool = Field(
        False, description="zero points of int8 activations are 0, as some accelerators need"
    )

    @property
    def clippings(self) -> tuple[Clipping, ...]:
        """Those that are tried."""
        return CLIPPINGS if self.clipping == "auto" else (self.clipping,)


class SearchSettings(Record):
    """The search for the variant auto: a mixed-precision file within its budget."""

    objective: Objective = Field("latency", description="what is made small within the budget")
    seconds: float = Field(180.0, gt=0, description="longest time, after which the best so far is")
    trials: int = Field(200, ge=1, description="most files that are made and measured")
    rests: tuple[Rest, ...] = Field(
        ("float32", "float16", "dynamic"),
        min_length=1,
        description="precisions for layers that are not int8; int16x8 is slow on most CPUs",
    )
    pick: int | None = Field(
        None, ge=1, description="number of another trial of the same search, built in its place"
    )
    replay: str = Field(
        "", description="search.json of an earlier build whose measurements stand for new ones"
    )


class ReleaseSettings(Record):
    """What the bundle says of itself as a release, and what goes with the models."""

    sequence: Annotated[int, Field(ge=0, le=GREATEST)] | SequenceRule | None = Field(
        None,
        description="a number greater than the last release's, or where to take it from: "
        "baseline (the last release's and one), ci-run or commits",
    )
    expires: str = Field("", description="date after which no verifier takes it, as 2027-06-30")
    license: str = Field("", description="SPDX expression, such as Apache-2.0")
    vectors: int = Field(
        0, ge=0, le=64, description="evaluation samples that go along, with all answers to them"
    )
    provenance: bool = Field(False, description="attach an in-toto SLSA provenance statement")
    sbom: bool = Field(False, description="attach a CycloneDX bill of materials")


class MetadataSettings(Record):
    """TFLite's standard metadata, for apps and people who read the .tflite itself."""

    embed: bool = Field(False, description="write names, normalization and labels into the files")
    description: str = Field("", description="what the model is for; needs embed")
    author: str = Field("", description="who made it; needs embed")


class Limits(Record):
    """What a worker process may use."""

    timeout_seconds: float = Field(1800.0, gt=0, description="longest time of one phase")
    memory_bytes: int | None = Field(
        None, gt=0, description="most data memory; four fifths of the machine's by default"
    )
    pass_environment: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = (
        Field((), description="environment variables that workers get beside those libraries need")
    )


class Settings(Record):
    """One build, wholly described. Paths are absolute once loaded."""

    model: ModelSettings
    dataset: str = Field(min_length=1, description="dataset spec, relative to the config file")
    variants: tuple[VariantName, ...] = ("float32", "float16", "int8")
    targets: tuple[str, ...] = Field(
        (), description="names of built-in profiles, or paths to .toml files"
    )
    budgets: Budgets = Budgets()
    quantize: QuantizeSettings = QuantizeSettings()
    search: SearchSettings = SearchSettings()
    latency: LatencySettings = LatencySettings()
    release: ReleaseSettings = ReleaseSettings()
    metadata: MetadataSettings = MetadataSettings()
    limits: Limits = Limits()
    output: str = Field(
        "dist",
        min_length=1,
        description="directory for bundle and reports, relative to the config file",
    )
