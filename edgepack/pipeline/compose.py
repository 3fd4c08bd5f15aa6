"""Manifest and report, put together from what the stages returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.pipeline import making, releasing
from edgepack.records.manifest import (
    DatasetEntry,
    DigestSet,
    Manifest,
    ModelEntry,
    SourceEntry,
    TargetEntry,
    ToolVersions,
)
from edgepack.records.report import BundleRef, Report

if TYPE_CHECKING:
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.releasing import Sequence
    from edgepack.pipeline.variants import Built
    from edgepack.records.dataset import SampleSet
    from edgepack.records.evidence import Evidence
    from edgepack.records.facts import SemanticIdentity
    from edgepack.records.search import Findings
    from edgepack.records.stages import Conversion
    from edgepack.records.verdict import Verdict


@dataclass(frozen=True)
class Outcome:
    """Everything a build found out."""

    plan: Plan
    samples: SampleSet
    conversion: Conversion
    identity: SemanticIdentity
    built: tuple[Built, ...]
    evidence: Evidence
    verdict: Verdict
    findings: Findings | None
    targets: tuple[TargetEntry, ...]
    sequence: Sequence


def manifest(outcome: Outcome) -> Manifest:
    """What the bundle says: nothing in it depends on the machine's speed or on the time."""
    plan = outcome.plan
    return Manifest(
        name=plan.settings.model.name,
        version=plan.settings.model.version,
        sequence=outcome.sequence.number,
        sequence_source=outcome.sequence.source,
        expires=releasing.expires(plan.settings.release.expires),
        license=plan.settings.release.license,
        failed=not outcome.verdict.passed,
        source=_source(outcome),
        dataset=_dataset(outcome),
        preprocessing={t.name: plan.spec.preprocess(t.name) for t in plan.signature.inputs},
        classes=outcome.samples.classes,
        models=tuple(_model(built, outcome) for built in outcome.built),
        targets=outcome.targets,
        skipped=outcome.evidence.skipped,
        verdict=_reproducible(outcome.verdict),
        tools=_tools(outcome),
    )


def report(outcome: Outcome, bundle: BundleRef | None) -> Report:
    """What people read, latency and memory included."""
    return Report(
        name=outcome.plan.settings.model.name,
        version=outcome.plan.settings.model.version,
        bundle=bundle,
        source=_source(outcome),
        dataset=_dataset(outcome),
        lints=outcome.samples.lints,
        evidence=outcome.evidence,
        targets=outcome.targets,
        verdict=outcome.verdict,
        tools=_tools(outcome),
        findings=outcome.findings,
    )


def _source(outcome: Outcome) -> SourceEntry:
    facts = outcome.plan.facts
    return SourceEntry(
        digest=DigestSet(sha256=facts.digest),
        size_bytes=facts.size_bytes,
        tags=facts.tags,
        signature=outcome.plan.signature.name,
        tensorflow_version=facts.tensorflow_version,
        tensorflow_git_version=facts.tensorflow_git_version,
        keras_version=facts.keras_version,
        fingerprint=facts.fingerprint,
        identity=outcome.identity,
        version_directory=facts.version_directory,
        unsafe_ops=facts.unsafe,
        repairs=(*outcome.plan.source.repairs, *outcome.conversion.repairs),
        accuracy=outcome.evidence.source.accuracy,
    )


def _dataset(outcome: Outcome) -> DatasetEntry:
    samples = outcome.samples
    return DatasetEntry(
        name=outcome.plan.spec.name,
        digest=DigestSet(sha256=samples.digest),
        seed=samples.seed,
        samples={split: data.samples for split, data in samples.splits.items()},
        skipped=len(samples.skipped),
    )


def _model(built: Built, outcome: Outcome) -> ModelEntry:
    facts, evidence = built.facts, built.evidence
    return ModelEntry(
        variant=evidence.variant,
        path=f"models/{evidence.variant}.tflite",
        precision=facts.precision,
        size_bytes=facts.size_bytes,
        digest=DigestSet(sha256=facts.sha256),
        signatures=facts.signatures,
        ops=facts.ops,
        min_runtime_version=facts.min_runtime_version,
        stateful=facts.stateful,
        float_ops=facts.float_ops,
        select_ops=outcome.conversion.select_ops,
        prepared_inputs=outcome.conversion.prepared,
        conversion=_conversion(built, outcome),
        accuracy=evidence.accuracy,
        note=evidence.note,
    )


def _conversion(built: Built, outcome: Outcome) -> dict[str, str]:
    made, recipe = outcome.conversion, built.recipe
    steps = {"engine": made.engine, "float32_by": f"tensorflow {made.tensorflow_version}"}
    if recipe is None:
        return steps
    steps |= {"engine": making.engine_version(outcome.plan, recipe), "recipe": recipe.mode}
    if recipe.static:
        steps |= {
            "calibration": recipe.clipping,
            "calibration_samples": str(outcome.samples.splits["calibrate"].samples),
            "weights": f"per {recipe.granularity}",
        }
    if recipe.kept:
        steps |= {"not_quantized": ", ".join(recipe.kept), "not_quantized_as": recipe.rest}
    return steps


def _tools(outcome: Outcome) -> ToolVersions:
    versions = outcome.plan.versions
    return ToolVersions(
        edgepack=versions.edgepack,
        python=versions.python,
        tensorflow=versions.tensorflow,
        tensorflow_git_version=outcome.conversion.tensorflow_git_version,
        quantizer=versions.quantizer,
        runtime=versions.runtime,
    )


def _reproducible(verdict: Verdict) -> Verdict:
    checks = tuple(check for check in verdict.checks if not check.measured_here)
    return verdict.model_copy(update={"checks": checks})
