"""One variant from file to evidence: made, named honestly, run on every sample, judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import ModelError
from edgepack.pipeline import judging, making, running
from edgepack.records.evidence import Accuracy, Skipped, VariantEvidence
from edgepack.tflite import reader

if TYPE_CHECKING:
    from concurrent.futures import Future

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import Outputs, SampleSet
    from edgepack.records.facts import Precision, TFLiteFacts
    from edgepack.records.stages import Conversion, ModelFile, TFLiteModel

STATIC = ("int8", "int8-float-io")
PRECISIONS: dict[str, Precision] = {"int8-float-io": "int8"}


@dataclass(frozen=True)
class Inputs:
    """What every variant waits for: the float32 file, the samples, the source's answers.

    `samples` are as the source takes them, `fed` as the file does.
    """

    converted: Future[tuple[Conversion, ModelFile]]
    samples: Future[SampleSet]
    fed: Future[SampleSet]
    source: Future[Outputs]


@dataclass(frozen=True)
class Built:
    """A variant that runs, with its evidence but for latency."""

    file: ModelFile
    facts: TFLiteFacts
    model: TFLiteModel
    evidence: VariantEvidence


class _VariantError(Exception):
    """One variant's end, and not the build's."""

    def __init__(self, skipped: Skipped) -> None:
        super().__init__(skipped.reason)
        self.skipped = skipped


def build(session: Session, plan: Plan, variant: str, inputs: Inputs) -> Built | Skipped:
    """Make and measure one variant; what stops it is its reason, not the build's end."""
    try:
        return _build(session, plan, variant, inputs)
    except _VariantError as refused:
        session.warn("quantize", f"{variant} is left out: {refused.skipped.reason}")
        return refused.skipped


def _build(session: Session, plan: Plan, variant: str, inputs: Inputs) -> Built:
    file = _make(session, plan, variant, inputs)
    facts = reader.read(Path(file.path))
    note = _honest(variant, facts)
    model = running.runnable(plan, file, plan.signature.name, stateful=facts.stateful)
    split = inputs.fed.result().splits["evaluate"]
    conversion, _ = inputs.converted.result()
    try:
        running.smoke_others(session, plan, model, split)
        outputs = running.outputs(session, plan, model, split)
    except ModelError as error:
        if conversion.select_ops:
            return _not_run(Built(file, facts, model, _bare(variant, facts)), conversion)
        raise _refused(variant, "invoke", error.message) from error
    memory = session.branch(running.memory, session, plan, model, split)
    accuracy = judging.evaluate(session, plan, split, outputs, inputs.source.result())
    measured = {"accuracy": accuracy, "memory": memory.result(), "note": note}
    evidence = _bare(variant, facts).model_copy(update=measured)
    return Built(file=file, facts=facts, model=model, evidence=evidence)


def _bare(variant: str, facts: TFLiteFacts) -> VariantEvidence:
    """What the file itself tells."""
    return VariantEvidence(
        variant=variant,
        precision=facts.precision,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        accuracy=Accuracy(samples=0),
    )


def _not_run(built: Built, conversion: Conversion) -> Built:
    """A file whose Select-TF ops no runtime here has: allowed by the config, and marked so."""
    ops = ", ".join(conversion.select_ops)
    why = f"it needs Select-TF ops, which no runtime here has: {ops}"
    return replace(built, evidence=built.evidence.model_copy(update={"not_run": why}))


def _make(session: Session, plan: Plan, variant: str, inputs: Inputs) -> ModelFile:
    _, float_model = inputs.converted.result()
    if variant == making.FLOAT32:
        return float_model
    try:
        ranges = None
        if variant in STATIC:
            split = inputs.fed.result().splits["calibrate"]
            ranges = making.statistics(session, plan, float_model, split)
        return making.quantize(session, plan, variant, float_model, ranges)
    except ModelError as error:
        raise _refused(variant, "quantize", error.message) from error


def _honest(variant: str, facts: TFLiteFacts) -> str:
    """A note where there was nothing to quantize; a refusal where the file is not what it says."""
    asked = PRECISIONS.get(variant, variant)
    if facts.precision == asked:
        return ""
    if asked == making.FLOAT32:
        return f"the converter's file, whose tensors say {facts.precision}"
    if asked in {"float16", "dynamic"} and facts.precision in {"float32", "other"}:
        return f"{asked} changes nothing in this model: it is a {facts.precision} file"
    reason = f"its tensors say {facts.precision}, not {asked}"
    raise _refused(variant, "precision", reason)


def _refused(variant: str, stage: str, reason: str) -> _VariantError:
    return _VariantError(Skipped(variant=variant, stage=stage, reason=reason))
