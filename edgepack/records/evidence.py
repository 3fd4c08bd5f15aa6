"""What was measured: accuracy, agreement, latency, memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.compat import LeastRelease
from edgepack.records.delegates import DelegateFit
from edgepack.records.edgetpu import EdgeTpuFit
from edgepack.records.facts import Precision
from edgepack.records.micro import MicroFit
from edgepack.records.profile import OpProfile
from edgepack.records.runtimes import RuntimeRun


class Interval(Record):
    """A confidence interval."""

    low: float
    high: float
    level: float = 0.95
    method: str = Field(description="such as newcombe-paired, bootstrap-percentile")


class Metric(Record):
    """A figure on the labelled evaluation samples."""

    name: str
    value: float
    samples: int
    higher_is_better: bool = True
    interval: Interval | None = Field(None, description="for shares of right answers")


class Drop(Record):
    """How much worse a model is than a reference on one metric; positive is worse."""

    metric: str
    value: float
    interval: Interval
    samples: int
    lost: int | None = Field(
        None, description="samples only the reference gets right (proportions)"
    )
    won: int | None = Field(None, description="samples only this model gets right (proportions)")


class Agreement(Record):
    """How close one output is to the reference model's on the same samples."""

    output: str
    samples: int
    top1: float | None = Field(None, description="share of samples with the same argmax")
    cosine: float | None = Field(None, description="mean cosine similarity; None where undefined")
    snr_db: float | None = Field(None, description="signal over error; None where identical")
    max_abs_error: float | None = Field(description="None where no element is finite in both")
    max_abs_reference: float | None = Field(
        None, description="largest absolute value of the reference, where both are finite"
    )
    mean_abs_error: float | None = Field(description="None where no element is finite in both")
    relative_error: float | None = Field(
        None, description="L2 norm of error over L2 norm of reference"
    )


class OutputHealth(Record):
    """Whether one output says anything at all."""

    output: str
    non_finite: int = Field(0, description="elements that are NaN or infinite")
    constant: bool = Field(False, description="the same values for every sample")


class Accuracy(Record):
    """One model on the evaluation samples."""

    samples: int
    metrics: tuple[Metric, ...] = Field((), description="empty where there are no labels")
    drops: tuple[Drop, ...] = Field((), description="against the source; empty for the source")
    agreement: tuple[Agreement, ...] = Field(
        (), description="with the source, by output; empty for the source"
    )
    health: tuple[OutputHealth, ...] = Field((), description="by output")


class Latency(Record):
    """Time of one inference on this machine, milliseconds: of one sample, or of a fixed batch."""

    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float
    invocations: int
    warmup: int = Field(description="invocations before the first that counts")
    threads: int
    runtime: str
    runtime_version: str
    delegate: str = ""
    ratio: float | None = Field(None, description="median over rounds of p50 to float32's")
    ratio_interval: Interval | None = None


class Memory(Record):
    """Peak memory of loading and one inference, above the interpreter's own."""

    peak_bytes: int
    method: str = Field(description="such as VmHWM minus RSS before loading")


class Machine(Record):
    """Where latency and memory were measured."""

    cpu: str
    cores: int
    flags: tuple[str, ...] = ()
    system: str
    python: str


class VariantEvidence(Record):
    """All that is known of one file."""

    variant: str
    precision: Precision
    sha256: str
    size_bytes: int
    accuracy: Accuracy
    latency: Latency | None = None
    memory: Memory | None = None
    profile: OpProfile | None = Field(None, description="None where the file was not run")
    least_releases: tuple[LeastRelease, ...] = Field(
        (), description="of each runtime that knows its operators"
    )
    delegates: tuple[DelegateFit, ...] = Field(
        (), description="what the delegates that targets name would take, by published lists"
    )
    edgetpu: EdgeTpuFit | None = Field(
        None, description="on Coral's Edge TPU; None where no target is one"
    )
    micro: MicroFit | None = Field(
        None, description="on microcontrollers; None where no target is one"
    )
    runs: tuple[RuntimeRun, ...] = Field(
        (), description="on the releases that targets ask for (`runtimes`)"
    )
    note: str = Field("", description="such as: nothing to quantize, named float32")
    not_run: str = Field(
        "", description="why it could not be run here: nothing but its size is measured"
    )


class SourceEvidence(Record):
    """All that is known of the source model on the same samples."""

    accuracy: Accuracy
    latency: Latency | None = None
    chance: float | None = Field(
        None, description="first metric of always naming the commonest class"
    )
    diagnosis: str = Field("", description="what is likely wrong where accuracy is off")


class Skipped(Record):
    """A variant that was asked for and does not count, with its reason."""

    variant: str
    stage: Literal["quantize", "allocate", "invoke", "collapse", "precision"]
    reason: str


class BaselineEvidence(Record):
    """An earlier release's variant, run again beside the new one."""

    bundle: str
    name: str
    version: str
    variant: str
    sha256: str
    size_bytes: int
    drops: tuple[Drop, ...] = Field((), description="of the new variant against this one")
    latency: Latency | None = None
    latency_ratio: float | None = Field(None, description="new p50 over this one's, by rounds")
    latency_ratio_interval: Interval | None = None
    signature_changes: tuple[str, ...] = ()


class Evidence(Record):
    """What a build measured, for the gate and the reports."""

    source: SourceEvidence
    variants: tuple[VariantEvidence, ...]
    skipped: tuple[Skipped, ...] = ()
    baseline: tuple[BaselineEvidence, ...] = ()
    machine: Machine | None = None
