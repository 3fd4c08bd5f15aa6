"""Which recipes make a variant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import QuantizationError
from edgepack.records.recipe import ENGINES, Recipe

if TYPE_CHECKING:
    from edgepack.records.facts import Precision, TFLiteFacts
    from edgepack.records.recipe import Engine, Granularity, Group, Mode
    from edgepack.records.search import Candidate
    from edgepack.records.settings import QuantizeSettings

MODES: dict[str, Mode] = {
    "float16": "float16",
    "dynamic": "dynamic",
    "weight-only": "weight-only",
    "int8": "int8",
    "int8-float-io": "int8",
    "int16x8": "int16x8",
}
FLOAT_IO = ("int8-float-io", "int16x8")
STATIC = ("int8", "int8-float-io", "int16x8", "auto")


def recipes(variant: str, settings: QuantizeSettings) -> tuple[Recipe, ...]:
    """Every way to make a variant that the config allows, the preferred one first.

    Args:
        variant: its name; neither float32 nor auto, which no recipe makes.
        settings: engines, clippings and the like.

    Raises:
        QuantizationError: none of the engines that are allowed can do this.
    """
    mode = MODES[variant]
    if mode not in {"int8", "int16x8"}:
        return (Recipe(mode=mode, granularity=_granularity(mode, settings)),)
    return tuple(
        Recipe(
            mode=mode,
            engine=engine,
            clipping=clipping,
            granularity=settings.granularity,
            float_io=variant in FLOAT_IO,
            symmetric=settings.symmetric and mode == "int8",
        )
        for clipping in settings.clippings
        for engine in engines(mode, settings)
    )


def engines(mode: Mode, settings: QuantizeSettings) -> tuple[Engine, ...]:
    """Engines that can make a static mode, as far as that is known before trying.

    Raises:
        QuantizationError: none of those that are allowed.
    """
    wanted = ENGINES if settings.engine == "auto" else (settings.engine,)
    reasons = {one: _cannot(one, mode, settings) for one in wanted}
    able = tuple(one for one in wanted if not reasons[one])
    if not able:
        raise QuantizationError("; ".join(f"the {one} {why}" for one, why in reasons.items()))
    return able


def _cannot(engine: Engine, mode: Mode, settings: QuantizeSettings) -> str:
    """Why an engine cannot do this; empty where nothing is known against it."""
    if engine == "converter" and mode == "int16x8":
        return "makes no int16x8 file of a converted model that loads"
    if engine == "converter" and settings.symmetric:
        return "makes no symmetric activations"
    return ""


def _granularity(mode: Mode, settings: QuantizeSettings) -> Granularity:
    """What the config says, but for dynamic: its kernels need one scale a channel."""
    return "channel" if mode == "dynamic" else settings.granularity


def trained(facts: TFLiteFacts) -> bool:
    """Whether a float32 file brings ranges along, of fake-quant nodes it was trained with."""
    return any(op.name in {"QUANTIZE", "FAKE_QUANT"} for op in facts.ops)


def precision(variant: str) -> Precision:
    """What a variant's tensors must say."""
    found: Precision = "float32" if variant == "float32" else MODES[variant]
    return found


def of_candidate(
    candidate: Candidate, groups: tuple[Group, ...], settings: QuantizeSettings
) -> Recipe:
    """A candidate's recipe. Inputs and outputs stay float32, as the source's are.

    Raises:
        ValueError: it is the float32 file, which no recipe makes.
    """
    if candidate.mode == "float32":
        raise ValueError("no recipe makes the float32 file")
    return Recipe(
        mode=candidate.mode,
        engine=candidate.engine,
        clipping=candidate.clipping,
        granularity=_granularity(candidate.mode, settings),
        float_io=True,
        symmetric=settings.symmetric and candidate.mode == "int8",
        kept=tuple(name for index in candidate.kept for name in groups[index].tensors),
        rest=candidate.rest,
    )
