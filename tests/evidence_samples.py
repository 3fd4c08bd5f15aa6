"""Evidence of a small build, each part of which a test may replace."""

from __future__ import annotations

from edgepack.quantize import front
from edgepack.records.delegates import DelegateFit, Fallback
from edgepack.records.edgetpu import EdgeTpuFit, NotCompiled
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
from edgepack.records.facts import TFLiteFacts
from edgepack.records.micro import ArenaSize, MicroFit
from edgepack.records.profile import Coverage, OpCount, OpProfile, OpTime, TypeTime
from edgepack.records.recipe import Group, Recipe
from edgepack.records.runtimes import RuntimeRun
from edgepack.records.search import (
    CalibrationAdvice,
    Candidate,
    EngineChoice,
    Findings,
    Goal,
    LayerSensitivity,
    Option,
    SearchResult,
    Sensitivity,
    Trial,
)
from edgepack.records.settings import Budget, Budgets, ModelSettings, Settings
from edgepack.records.target import Target
from edgepack.records.tensors import OpUse, Signature, Tensor
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


def files(evidence: Evidence, **changes) -> dict[str, TFLiteFacts]:
    """What is in the file of each variant; int8 takes and gives integers, all others floats."""
    found = {}
    for one in evidence.variants:
        ports = signature() if one.precision == "int8" else signature("float32", "float32")
        facts = TFLiteFacts(
            path=f"{one.variant}.tflite",
            sha256=one.sha256,
            size_bytes=one.size_bytes,
            precision=one.precision,
            signatures=(ports,),
            ops=(OpUse(name="CONV_2D", version=3, count=2), OpUse(name="SOFTMAX", count=1)),
            weight_types={"int8": 2, "int32": 2} if one.precision == "int8" else {"float32": 4},
            float_ops=() if one.precision == "int8" else ("CONV_2D", "SOFTMAX"),
        )
        found[one.variant] = facts.model_copy(update=changes)
    return found


def profile(**changes) -> OpProfile:
    """Twelve operators in two parts around one that stays with the runtime."""
    kernel = ("Convolution", "Convolution (NHWC, QC8) IGEMM", "XNNPACK")
    stays = ("AVERAGE_POOL_2D", "AVERAGE_POOL_2D", "")
    kinds = [kernel] * 9 + [stays] + [("Softmax", "Softmax (NC, F32)", "XNNPACK")] * 2
    times = [12.5, 9.0, 7.25, 6.0, 5.5, 5.0, 4.5, 4.0, 3.5, 2.75, 0.5, 0.0]
    total = sum(times)
    ops = tuple(
        OpTime(
            type=kind,
            name=name,
            delegate=delegate,
            partition=int(number > 9) if delegate else None,
            node=number % 10,
            tensor="" if delegate else "net/pool/AvgPool;net/flat",
            calls=1,
            mean_us=time,
            share=figure(time / total),
        )
        for number, ((kind, name, delegate), time) in enumerate(zip(kinds, times, strict=True))
    )
    given = OpProfile(
        runtime="ai-edge-litert 2.3.0",
        threads=1,
        invocations=198,
        total_us=total,
        hidden_us=11.0,
        ops=ops,
        types=(
            _type_time("Convolution", "XNNPACK", 9, sum(times[:9]), total),
            _type_time("AVERAGE_POOL_2D", "", 1, 2.75, total),
            _type_time("Softmax", "XNNPACK", 2, 0.5, total),
        ),
        coverage=Coverage(
            delegate="XNNPACK",
            nodes=12,
            delegated=11,
            partitions=2,
            left=(OpCount(type="AVERAGE_POOL_2D", count=1),),
        ),
    )
    return given.model_copy(update=changes)


def on_devices() -> dict[str, object]:
    """What a file would be on devices, and was on another release."""
    behind = Fallback(operator="SOFTMAX", count=1, why="int8 input")
    source = {"source": "a page", "at": "1", "read_on": "2026-11-28"}
    gpu = DelegateFit(
        delegate="gpu", nodes=3, delegated=2, partitions=1, fallback=(behind,), **source
    )
    absent = NotCompiled(why="edgetpu_compiler is not on PATH")
    coral = EdgeTpuFit(
        path="int8",
        integer_only=True,
        static=True,
        inputs=("int8",),
        outputs=("int8",),
        faults=(),
        operators=3,
        mapped=2,
        unsupported=(behind,),
        size_bytes=60_000,
        fits_on_chip=True,
        read_on="2026-11-28",
        not_compiled=absent,
    )
    arena = ArenaSize(
        bytes=24_272, method="measured", runtime="tflite-micro==1.0", planned=20_000, kept=4_272
    )
    board = MicroFit(
        flash_bytes=60_000,
        arena=arena,
        unsupported=(),
        float_operators=(),
        unaccelerated=("SOFTMAX",),
        open_shapes=(),
        objections=(),
    )
    old = RuntimeRun(variant="int8", runtime="tflite-runtime==2.14.0", loads=True, agrees=True)
    return {"delegates": (gpu,), "edgetpu": coral, "micro": board, "runs": (old,)}


def _type_time(name: str, delegate: str, count: int, time: float, total: float) -> TypeTime:
    share = figure(time / total)
    return TypeTime(type=name, delegate=delegate, count=count, mean_us=time, share=share)


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


GROUPS = tuple(
    Group(name=name, tensors=(f"net/{name}/out;net/{name}/relu",), ops=ops, weights_bytes=size)
    for name, ops, size in (
        ("stem", ("CONV_2D",), 640),
        ("log_energy", ("FULLY_CONNECTED", "SQUARE", "ADD", "LOG"), 131_072),
        ("conv_2", ("CONV_2D", "MEAN"), 73_984),
        ("dense", ("FULLY_CONNECTED", "SOFTMAX"), 2_080),
    )
)
NO_RANGE = "ValueError: Failed to get quantization parameters for tensor: net/{}/out. " + "x" * 200


def trial(number: int, candidate: dict, figures: tuple | str, stage: str = "reference") -> Trial:
    """One with harm, error, latency ratio and bytes, or the reason why it failed."""
    given = Trial(number=number, candidate=Candidate(**candidate), stage=stage)
    if isinstance(figures, str):
        return given.model_copy(update={"failure": figures})
    harm, error, ratio, size = figures
    measured = {"harm": harm, "error": error, "latency_ratio": ratio, "size_bytes": size}
    few = 100 if stage == "sensitivity" else 400
    return given.model_copy(
        update={**measured, "latency_ms": ratio and figure(0.84 * ratio), "samples": few}
    )


def search(**changes) -> SearchResult:
    """A search in which full int8 collapses, and one group kept in float16 mends it."""
    converter = {"engine": "converter"}
    tried = (
        ({"mode": "float32"}, (0.0, 3.5e-07, 1.0, 512_304), "reference"),
        ({"mode": "float16"}, (0.0, 0.00016, 1.003, 260_744), "reference"),
        ({"mode": "dynamic"}, (-0.0025, 0.0063, 0.52, 139_240), "reference"),
        ({"clipping": "mse"}, (0.31, 0.79, 0.33, 143_000), "reference"),
        (converter, (0.3975, 0.826, 0.3417, 143_008), "reference"),
        ({"kept": (1, 2, 3)}, (0.01, 0.031, 0.99, 512_688), "sensitivity"),
        ({"kept": (0, 2, 3)}, (0.38, 0.82, 0.97, 416_080), "sensitivity"),
        ({"kept": (0, 1, 3)}, (0.0, 0.0086, 0.66, 403_584), "sensitivity"),
        ({"kept": (0, 1, 2)}, (-0.01, 0.016, 1.0, 511_280), "sensitivity"),
        ({"kept": (1,), **converter}, NO_RANGE.format("stem"), "bisection"),
        ({"kept": (1,)}, (0.0025, 0.015, 0.38, 239_464), "bisection"),
        ({"kept": (0, 1)}, (0.0, 0.014, 0.41, 240_104), "refinement"),
        ({"kept": (1,), "clipping": "mse"}, (0.02, 0.05, 0.37, 239_464), "finish"),
        ({"kept": (1,), "rest": "float16"}, (0.0025, 0.0151, 0.37, 174_000), "finish"),
        ({"kept": (1,), "clipping": "percentile"}, NO_RANGE.format("dense"), "finish"),
        ({"kept": (0, 1), "rest": "float16"}, "the same answer to every sample: scores", "finish"),
    )
    trials = tuple(trial(number, *one) for number, one in enumerate(tried, 1))
    counted = [one for one in trials if front.counts(one, 400)]
    goal = Goal(max_harm=0.005, measure="drop of the first metric")
    best = front.best(counted, goal)
    assert best is not None
    given = SearchResult(
        goal=goal,
        groups=GROUPS,
        trials=trials,
        front=front.front(counted),
        chosen=best.number,
        met=True,
        stopped="done",
        seconds=12.25,
        samples=400,
        why="the quickest of 9 files, of those that do no more harm than 0.005",
    )
    return given.model_copy(update=changes)


def layers() -> tuple[LayerSensitivity, ...]:
    """Of the groups of `search`; one that nothing is known of, one that float16 cannot hold."""
    known = (
        {"snr_db": 38.6, "error_over_scale": 0.287, "low": -1.14, "high": 1.14, "channels": 16},
        {"snr_db": 0.6, "error_over_scale": 86.6, "low": -13.8, "high": 70_000, "channels": 40},
        {"snr_db": 2.3, "error_over_scale": 7.92, "low": 0.0, "high": 40_000, "channels": 64},
        {},
    )
    more = (
        {"harm": 0.01, "error": 0.031, "share": 0.0014, "saturation": 0.0, "dead_channels": 3},
        {"harm": 0.38, "error": 0.82, "share": 0.998, "saturation": 0.0123},
        {"harm": 0.0, "error": 0.0086, "share": 0.0001, "saturation": 0.0},
        {"harm": -0.01, "error": 0.016, "share": 0.0004},
    )
    headroom = (57_459.6, 0.936, 1.638, None)
    return tuple(
        LayerSensitivity(
            group=group.name,
            ops=group.ops,
            tensor=group.tensors[0],
            float16_headroom=room,
            **a,
            **b,
        )
        for group, room, a, b in zip(GROUPS, headroom, known, more, strict=True)
    )


ADVICE = (
    CalibrationAdvice(
        code="duplicates", message="7 of 100 calibration samples are copies of others"
    ),
)


def findings(**changes) -> Findings:
    choice = EngineChoice(
        variant="int8",
        split="tune",
        samples=400,
        options=(
            Option(recipe=Recipe(mode="int8"), harm=0.31, error=0.79, size_bytes=143_000),
            Option(
                recipe=Recipe(mode="int8", engine="converter"),
                harm=0.3975,
                error=0.826,
                size_bytes=143_008,
            ),
            Option(recipe=Recipe(mode="int8", clipping="mse"), failure=NO_RANGE.format("stem")),
        ),
        chosen=0,
        why="least harm: 0.3100, the next 0.3975",
    )
    given = Findings(choices=(choice,), search=search(), sensitivity=layers(), advice=ADVICE)
    return given.model_copy(update=changes)


def sensitivity(**changes) -> Sensitivity:
    given = Sensitivity(
        name="digits",
        recipe=Recipe(mode="int8", engine="converter"),
        measure="drop of the first metric",
        harm=0.3975,
        error=0.826,
        split="tune",
        samples=400,
        layers=layers(),
        advice=ADVICE,
    )
    return given.model_copy(update=changes)
