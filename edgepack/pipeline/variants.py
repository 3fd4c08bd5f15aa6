"""One variant from file to evidence: made, named honestly, run on every sample, judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.compat.least import least
from edgepack.errors import ModelError
from edgepack.pipeline import (
    choosing,
    describing,
    judging,
    making,
    recipes,
    running,
    searching,
    trying,
)
from edgepack.pipeline.choosing import Made
from edgepack.records.evidence import Accuracy, Skipped, VariantEvidence
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from edgepack.pipeline.choosing import Attempted
    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import Outputs, SampleSet
    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.recipe import Recipe
    from edgepack.records.search import EngineChoice, SearchResult
    from edgepack.records.stages import Conversion, ModelFile, TFLiteModel

AUTO = trying.AUTO
NOTES_SHOWN = 3


@dataclass(frozen=True)
class Inputs:
    """What every variant waits for: the float32 file, the samples, the source's answers.

    `samples` are as the source takes them, `fed` as the file does; `quantized` are the files of
    each variant that has to be quantized, `ground` what they are compared on.
    """

    converted: Future[tuple[Conversion, ModelFile]]
    samples: Future[SampleSet]
    fed: Future[SampleSet]
    source: Future[Outputs]
    quantized: Mapping[str, Future[tuple[Attempted, ...]]]
    ground: Future[Ground | None]


@dataclass(frozen=True)
class Built:
    """A variant that runs, with its evidence but for latency, and how it was made."""

    file: ModelFile
    facts: TFLiteFacts
    model: TFLiteModel
    evidence: VariantEvidence
    recipe: Recipe | None = None
    choice: EngineChoice | None = None
    search: SearchResult | None = None


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
    built = _made(session, plan, variant, inputs)
    split = inputs.fed.result().splits["evaluate"]
    conversion, _ = inputs.converted.result()
    try:
        running.smoke_others(session, plan, built.model, split)
        outputs = running.outputs(session, plan, built.model, split)
    except ModelError as error:
        if conversion.select_ops:
            return _not_run(built, conversion)
        raise _refused(variant, "invoke", error.message) from error
    memory = session.branch(running.memory, session, plan, built.model, split)
    accuracy = judging.evaluate(session, plan, split, outputs, inputs.source.result())
    measured = {"accuracy": accuracy, "memory": memory.result()}
    return replace(built, evidence=built.evidence.model_copy(update=measured))


def _made(session: Session, plan: Plan, variant: str, inputs: Inputs) -> Built:
    """A variant's file, and what it says of itself."""
    made, search = _make(session, plan, variant, inputs)
    file = describing.described(session, plan, made.file, inputs.samples)
    facts = reader.read(Path(file.path))
    said = search.why if search else _honest(variant, facts)
    note = "; ".join(filter(None, (said, *_shortened(file.notes))))
    return Built(
        file=file.model_copy(update={"variant": variant}),
        facts=facts,
        model=running.runnable(plan, file, plan.signature.name, stateful=facts.stateful),
        evidence=_bare(variant, facts).model_copy(update={"note": note}),
        recipe=made.recipe,
        choice=made.choice,
        search=search,
    )


def _shortened(notes: tuple[str, ...]) -> tuple[str, ...]:
    """The first notes, and how many more there are: one may be said of each tensor."""
    more = len(notes) - NOTES_SHOWN
    return (*notes[:NOTES_SHOWN], f"and so {more} more") if more > 0 else notes


def _bare(variant: str, facts: TFLiteFacts) -> VariantEvidence:
    """What the file itself tells."""
    return VariantEvidence(
        variant=variant,
        precision=facts.precision,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        least_releases=least(facts.asked, facts.kernels),
        accuracy=Accuracy(samples=0),
    )


def _not_run(built: Built, conversion: Conversion) -> Built:
    """A file whose Select-TF ops no runtime here has: allowed by the config, and marked so."""
    ops = ", ".join(conversion.select_ops)
    why = f"it needs Select-TF ops, which no runtime here has: {ops}"
    return replace(built, evidence=built.evidence.model_copy(update={"not_run": why}))


def _make(
    session: Session, plan: Plan, variant: str, inputs: Inputs
) -> tuple[Made, SearchResult | None]:
    _, float_model = inputs.converted.result()
    if variant == making.FLOAT32:
        return Made(float_model, None), None
    try:
        if variant == AUTO:
            source = quantizable(session, plan, inputs.converted, inputs.fed)
            return searching.search(session, plan, source, _ground(inputs))
        return _kept(session, plan, variant, inputs), None
    except ModelError as error:
        raise _refused(variant, "quantize", error.message) from error


def _kept(session: Session, plan: Plan, variant: str, inputs: Inputs) -> Made:
    """The better file, where there are several."""
    found = inputs.quantized[variant].result()
    if len(found) > 1:
        return choosing.choose(session, plan, variant, found, _ground(inputs))
    if found[0].failure:
        raise found[0].failure
    assert found[0].file is not None
    return Made(found[0].file, found[0].recipe)


def _ground(inputs: Inputs) -> Ground:
    found = inputs.ground.result()
    assert found is not None  # a static variant is asked for
    return found


def attempts(
    session: Session,
    plan: Plan,
    variant: str,
    converted: Future[tuple[Conversion, ModelFile]],
    fed: Future[SampleSet],
) -> tuple[Attempted, ...]:
    """Every file that a variant may be.

    Raises:
        QuantizationError: no engine that is allowed can make one.
    """
    _, float_model = converted.result()
    ways = recipes.recipes(variant, plan.settings.quantize)
    source = making.Quantizable(float_model)
    if ways[0].static:
        source = quantizable(session, plan, converted, fed)
    return choosing.attempts(session, plan, ways, source)


def quantizable(
    session: Session,
    plan: Plan,
    converted: Future[tuple[Conversion, ModelFile]],
    fed: Future[SampleSet],
) -> making.Quantizable:
    """The float32 file with statistics of its tensors."""
    _, float_model = converted.result()
    split = fed.result().splits["calibrate"]
    statistics = making.statistics(session, plan, float_model, split)
    return making.Quantizable(float_model, split, statistics)


def _honest(variant: str, facts: TFLiteFacts) -> str:
    """A note where there was nothing to quantize; a refusal where the file is not what it says."""
    asked = recipes.precision(variant)
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
