"""Every stage between plan and verdict, side by side where they may be."""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.engines import interpreter
from edgepack.errors import DatasetError
from edgepack.measure.machine import machine
from edgepack.pipeline import baseline as releases
from edgepack.pipeline import (
    comparing,
    diagnose,
    feeding,
    making,
    profiling,
    recipes,
    running,
    sensing,
    timing,
    variants,
)
from edgepack.pipeline.timing import Subjects
from edgepack.pipeline.variants import Built, Inputs
from edgepack.records.evidence import Evidence, Skipped
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from edgepack.pipeline.baseline import Release
    from edgepack.pipeline.choosing import Attempted
    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import Outputs, SampleSet
    from edgepack.records.facts import SemanticIdentity, TFLiteFacts
    from edgepack.records.search import Findings
    from edgepack.records.stages import Conversion, ModelFile


@dataclass(frozen=True)
class Measured:
    """Everything that a build found out, before it is judged."""

    conversion: Conversion
    identity: SemanticIdentity
    samples: SampleSet
    built: tuple[Built, ...]
    evidence: Evidence
    findings: Findings | None


def measure(session: Session, plan: Plan, release: Release | None) -> Measured:
    """Make every variant, run it, compare it, time it, and see where its time goes.

    Raises:
        EdgepackError: what stops the build; what stops one variant is in the evidence.
    """
    inputs = _start(session, plan)
    identity = session.branch(making.identity, session, plan)
    samples = inputs.samples.result()
    _require(samples, plan)
    asked = {
        variant: session.branch(variants.build, session, plan, variant, inputs)
        for variant in plan.settings.variants
        if variant != variants.AUTO
    }
    source = session.branch(diagnose.source_evidence, session, plan, samples, inputs.source)
    found = {variant: future.result() for variant, future in asked.items()}
    if variants.AUTO in plan.settings.variants:
        timed_alone: list[Future[Any]] = [source, identity]
        wait(timed_alone)  # candidates are timed: nothing else may run
        found[variants.AUTO] = variants.build(session, plan, variants.AUTO, inputs)
    results = [found[variant] for variant in plan.settings.variants]
    built = tuple(result for result in results if isinstance(result, Built))
    skipped = tuple(result for result in results if isinstance(result, Skipped))
    split = inputs.fed.result().splits["evaluate"]
    reruns = tuple(
        releases.rerun(session, plan, release, one, split)
        for one in built
        if release and not one.evidence.not_run
    )
    identified = identity.result()
    conversion, float_model = inputs.converted.result()
    judged = source.result()  # from here on nothing else runs: times are next
    subjects = Subjects(float_model, built, reruns, split)
    timed = timing.measure(session, plan, subjects, samples.splits["evaluate"])
    evidence = Evidence(
        source=judged.model_copy(update={"latency": timed.source}),
        variants=profiling.profiled(session, plan, subjects, timed.variants),
        skipped=skipped,
        baseline=timed.baseline,
        machine=machine(),
    )
    findings = _findings(session, plan, inputs, built)
    return Measured(conversion, identified, samples, built, evidence, findings)


def _findings(
    session: Session, plan: Plan, inputs: Inputs, built: tuple[Built, ...]
) -> Findings | None:
    """What is known beside the figures; None where no file needed calibration."""
    calibrated = any((one.recipe and one.recipe.static) or one.search for one in built)
    ground = inputs.ground.result() if calibrated else None
    if ground is None:
        return None
    source = variants.quantizable(session, plan, inputs.converted, inputs.fed)
    return sensing.findings(session, plan, source, ground, built)


def _start(session: Session, plan: Plan) -> Inputs:
    """Begin what everything waits for: TensorFlow imports while samples are decoded."""
    samples = session.branch(making.samples, session, plan)
    converted = session.branch(making.convert, session, plan, samples)
    session.branch(_warm, session, samples, converted)
    fed = session.branch(_fed, session, plan, samples, converted)
    quantized: dict[str, Future[tuple[Attempted, ...]]] = {
        variant: session.branch(variants.attempts, session, plan, variant, converted, fed)
        for variant in plan.settings.variants
        if variant in recipes.MODES
    }
    ground = session.branch(_ground, session, plan, samples, fed)
    first: list[Future[Any]] = [converted, ground, *quantized.values()]
    return Inputs(
        converted=converted,
        samples=samples,
        fed=fed,
        source=session.branch(_source_outputs, session, plan, samples, first),
        quantized=quantized,
        ground=ground,
    )


def _ground(
    session: Session, plan: Plan, samples: Future[SampleSet], fed: Future[SampleSet]
) -> Ground | None:
    """What quantized files are compared on, where any is asked for."""
    if not any(variant in recipes.STATIC for variant in plan.settings.variants):
        return None
    found = samples.result()
    return comparing.ground(session, plan, found, fed.result(), comparing.untouched(found))


def _fed(
    session: Session,
    plan: Plan,
    samples: Future[SampleSet],
    converted: Future[tuple[Conversion, ModelFile]],
) -> SampleSet:
    conversion, file = converted.result()
    for remark in _remarks(conversion, reader.read(Path(file.path))):
        session.warn("convert", remark)
    return feeding.fed(session, plan, samples.result(), conversion)


def _remarks(conversion: Conversion, facts: TFLiteFacts) -> Iterator[str]:
    """What of the conversion the app has to follow, or a person should know."""
    if recipes.trained(facts):
        yield (
            "the model was trained with quantization in mind (fake-quant nodes): int8 by "
            "TFLiteConverter's quantizer takes the ranges it was trained with"
        )
    if conversion.prepared:
        yield from (repair.what for repair in conversion.repairs)
    if conversion.select_ops:
        ops = ", ".join(conversion.select_ops)
        yield f"the app must link the Select-TF ops, and no runtime here can run the file: {ops}"


def _warm(
    session: Session,
    samples: Future[SampleSet],
    converted: Future[tuple[Conversion, ModelFile]],
) -> None:
    """Let idle workers import what they will need, if TensorFlow is not ready by then."""
    samples.result()
    if not converted.done():
        for _ in range(session.cores):
            session.general.submit(interpreter.warm)


def _source_outputs(
    session: Session,
    plan: Plan,
    samples: Future[SampleSet],
    first: Sequence[Future[Any]],
) -> Outputs:
    wait(first)  # what is quantized is run next; only the judge waits for these answers
    first[0].result()
    return running.source_outputs(session, plan, samples.result().splits["evaluate"])


def _require(samples: SampleSet, plan: Plan) -> None:
    """Refuse a build whose samples cannot serve what was asked.

    Raises:
        DatasetError: a static variant without calibration samples, or a search without any to
            choose by.
    """
    if variants.AUTO in plan.settings.variants and comparing.untouched(samples) != "tune":
        raise DatasetError(
            "the variant auto is chosen on the tune split, and the dataset gives it no samples",
            where=plan.settings.dataset,
            hint="Set splits.tune.samples in the dataset spec; 400 tell two points apart.",
        )
    static = [v for v in plan.settings.variants if v in recipes.STATIC]
    calibrate = samples.splits.get("calibrate")
    if static and (calibrate is None or not calibrate.samples):
        raise DatasetError(
            f"{', '.join(static)} needs calibration samples, and the dataset gives none",
            where=plan.settings.dataset,
            hint="Set splits.calibrate.samples in the dataset spec; 100 is usual.",
        )
