"""What quantization does to each layer, and what the calibration samples are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import ModelError
from edgepack.files import sha256_file
from edgepack.measure.advice import advise
from edgepack.measure.layers import layers as measure_layers
from edgepack.pipeline import making, recipes, running
from edgepack.records.search import Advice, Findings, Layers, LayerSensitivity

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.making import Quantizable
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.variants import Built
    from edgepack.records.recipe import Group
    from edgepack.records.search import CalibrationAdvice, SearchResult, Trial
    from edgepack.records.stages import ModelFile

ROWS = 100  # samples that layers are looked at on


def findings(
    session: Session, plan: Plan, source: Quantizable, ground: Ground, built: tuple[Built, ...]
) -> Findings:
    """What was chosen, searched and noticed."""
    search = next((one.search for one in built if one.search), None)
    found = advice(session, plan, source)
    for one in found:
        session.warn("calibrate", one.message)
    return Findings(
        choices=tuple(one.choice for one in built if one.choice),
        search=search,
        sensitivity=_searched(session, plan, source, ground, search) if search else (),
        advice=found,
    )


def _searched(
    session: Session, plan: Plan, source: Quantizable, ground: Ground, search: SearchResult
) -> tuple[LayerSensitivity, ...]:
    """Layers as a search ranked them; nothing where it had no need to, or did not get there."""
    groups = range(len(search.groups))
    ranked = {one.candidate.kept: one for one in search.trials if one.stage == "sensitivity"}
    keys = [tuple(other for other in groups if other != group) for group in groups]
    if not all(key in ranked for key in keys):
        return ()
    alone = tuple(ranked[key] for key in keys)
    full = alone[0].candidate.model_copy(update={"kept": ()})
    recipe = recipes.of_candidate(full, search.groups, plan.settings.quantize)
    try:
        file = making.quantize(session, plan, recipe, source)
        found = layers(
            session, plan, source=source, quantized=file, groups=search.groups, ground=ground
        )
    except ModelError:  # such as a full file that does not run, which is why groups were ranked
        found = tuple(_bare(group) for group in search.groups)
    return with_trials(found, alone)


def _bare(group: Group) -> LayerSensitivity:
    return LayerSensitivity(group=group.name, ops=group.ops, tensor=group.tensors[-1])


def advice(session: Session, plan: Plan, source: Quantizable) -> tuple[CalibrationAdvice, ...]:
    """What the statistics and the samples themselves say of the calibration split."""
    assert source.calibration is not None
    assert source.statistics is not None
    split, statistics = source.calibration, source.statistics
    key = {
        "statistics": sha256_file(statistics),
        "samples": split.digest,
        "numpy": plan.versions.numpy,
    }

    def make(_: Path) -> Advice:
        call = session.general.submit(advise, str(statistics), split)
        return Advice(advice=call.result())

    return session.cache.stage("advice", key, Advice, make)[0].advice


def layers(  # noqa: PLR0913 - two files, and what they are compared on
    session: Session,
    plan: Plan,
    *,
    source: Quantizable,
    quantized: ModelFile,
    groups: tuple[Group, ...],
    ground: Ground,
) -> tuple[LayerSensitivity, ...]:
    """Each group in a fully quantized file, beside float32."""
    assert source.statistics is not None
    statistics = source.statistics
    key = {
        "model": source.float_model.sha256,
        "quantized": quantized.sha256,
        "statistics": sha256_file(statistics),
        "groups": " ".join(name for group in groups for name in (group.name, *group.tensors)),
        "rows": str(ROWS),
        "samples": ground.split.digest,
        "runtime": plan.versions.runtime,
    }

    def make(_: Path) -> Layers:
        session.tell("layers", f"comparing {len(groups)} layer groups with float32")
        name, stateful = plan.signature.name, plan.facts.stateful
        call = session.general.submit(
            measure_layers,
            (
                running.runnable(plan, source.float_model, name, stateful=stateful),
                running.runnable(plan, quantized, name, stateful=stateful),
            ),
            groups,
            str(statistics),
            ground.split,
            ROWS,
        )
        return Layers(layers=call.result())

    return session.cache.stage("layers", key, Layers, make)[0].layers


def with_trials(
    layers: tuple[LayerSensitivity, ...], alone: tuple[Trial, ...]
) -> tuple[LayerSensitivity, ...]:
    """Layers with what quantizing each alone did.

    Args:
        layers: by group, in graph order.
        alone: a trial for each, in the same order.
    """
    total = sum(trial.error**2 for trial in alone if trial.error is not None)
    return tuple(
        layer.model_copy(
            update={
                "harm": trial.harm,
                "error": trial.error,
                "share": trial.error**2 / total if trial.error is not None and total else None,
            }
        )
        for layer, trial in zip(layers, alone, strict=True)
    )
