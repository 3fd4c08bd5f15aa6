"""Evidence of a small build, each part of which a test may replace."""

from __future__ import annotations

from edgepack.records.evidence import (
    Accuracy,
    Agreement,
    BaselineEvidence,
    Drop,
    Evidence,
    Interval,
    Latency,
    Machine,
    Memory,
    Metric,
    OutputHealth,
    SourceEvidence,
    VariantEvidence,
)
from edgepack.records.settings import Budget, Budgets, ModelSettings, Settings
from edgepack.records.target import Target
from edgepack.records.tensors import Signature, Tensor
from edgepack.stats import figure, newcombe_paired, wilson

HEALTHY = (OutputHealth(output="scores"),)
AGREEMENT = Agreement(
    output="scores",
    samples=1000,
    top1=0.998,
    cosine=0.99991,
    snr_db=41.2,
    max_abs_error=0.031,
    mean_abs_error=0.002,
    relative_error=0.0087,
)


def top1(value: float, samples: int = 1000) -> Metric:
    interval = wilson(value * samples, samples)
    return Metric(name="top-1", value=figure(value), samples=samples, interval=interval)


def accuracy(
    lost: int = 1,
    won: int = 1,
    *,
    right: int = 950,
    samples: int = 1000,
    agreement: tuple[Agreement, ...] = (AGREEMENT,),
    health: tuple[OutputHealth, ...] = HEALTHY,
) -> Accuracy:
    """A variant's, where the source is right on `right` samples."""
    both, neither = right - lost, samples - right - won
    drop = Drop(
        metric="top-1",
        value=figure((lost - won) / samples),
        interval=newcombe_paired(both, lost, won, neither),
        samples=samples,
        lost=lost,
        won=won,
    )
    return Accuracy(
        samples=samples,
        metrics=(top1((both + won) / samples, samples),),
        drops=(drop,),
        agreement=agreement,
        health=health,
    )


def unlabelled(*agreement: Agreement) -> Accuracy:
    return Accuracy(samples=1000, agreement=agreement or (AGREEMENT,), health=HEALTHY)


def source(value: float | None = 0.95, samples: int = 1000, **changes) -> SourceEvidence:
    metrics = () if value is None else (top1(value, samples),)
    given = Accuracy(samples=samples, metrics=metrics, health=HEALTHY)
    chance = None if value is None else 0.1
    return SourceEvidence(accuracy=given, chance=chance).model_copy(update=changes)


def latency(p50: float, ratio: float | None = None, spread: float = 0.02) -> Latency:
    interval = ratio and Interval(
        low=figure(ratio * (1 - spread)), high=figure(ratio * (1 + spread)), method="median"
    )
    return Latency(
        p50_ms=p50,
        p90_ms=p50 * 1.1,
        p95_ms=figure(p50 * 1.2),
        p99_ms=p50 * 1.5,
        mean_ms=p50,
        std_ms=p50 / 10,
        invocations=3000,
        warmup=200,
        threads=1,
        runtime="ai-edge-litert",
        runtime_version="2.3.0",
        delegate="XNNPACK",
        ratio=ratio,
        ratio_interval=interval,
    )


def variant(name: str = "int8", size: int = 60_000, **changes) -> VariantEvidence:
    given = VariantEvidence(
        variant=name,
        precision=name,
        sha256="12" * 32,
        size_bytes=size,
        accuracy=accuracy(),
        latency=latency(0.0812, 0.45),
        memory=Memory(peak_bytes=1_250_000, method="VmHWM"),
    )
    return given.model_copy(update=changes)


def float32(**changes) -> VariantEvidence:
    exact = AGREEMENT.model_copy(update={"top1": 1.0, "cosine": 1.0, "snr_db": None})
    given = {"accuracy": accuracy(0, 0, agreement=(exact,)), "latency": latency(0.18, 1.0, 0.0)}
    return variant("float32", 230_000, **(given | changes))


def evidence(*variants: VariantEvidence, **changes) -> Evidence:
    given = Evidence(
        source=source(),
        variants=variants or (variant(),),
        machine=Machine(cpu="Some CPU @ 2.0GHz", cores=2, system="Linux 6.1", python="3.11.9"),
    )
    return given.model_copy(update=changes)


def baseline(**changes) -> BaselineEvidence:
    given = BaselineEvidence(
        bundle="digits-1.0.0.zip",
        name="digits",
        version="1.0.0",
        variant="int8",
        sha256="34" * 32,
        size_bytes=60_000,
        drops=accuracy().drops,
        latency=latency(0.08),
        latency_ratio=1.01,
        latency_ratio_interval=Interval(low=0.99, high=1.03, method="median"),
    )
    return given.model_copy(update=changes)


def settings(budget: Budget | None = None, *variants: str, **changes) -> Settings:
    """Settings of one variant, int8, and no budget but those given."""
    model = ModelSettings(path="m", name="digits", version="1.1.0", **changes.pop("model", {}))
    budgets = Budgets(all=budget or Budget(max_size_bytes=10**9), **changes.pop("budgets", {}))
    return Settings(
        model=model, dataset="d.toml", variants=variants or ("int8",), budgets=budgets, **changes
    )


def signature(inputs: str = "int8", outputs: str = "int8") -> Signature:
    given = Tensor(name="image", dtype=inputs, shape=(1, 8, 8, 1))
    return Signature(
        name="serving_default",
        inputs=(given,),
        outputs=(Tensor(name="scores", dtype=outputs, shape=(1, 10)),),
    )


def target(**changes) -> Target:
    given = Target(
        name="phone", description="a phone", platform="android", precisions=("int8", "float16")
    )
    return given.model_copy(update=changes)
