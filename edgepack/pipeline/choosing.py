"""The engine and clipping of a fixed variant: every one that is allowed is made and compared."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import ModelError, QuantizationError
from edgepack.pipeline import comparing, making
from edgepack.records.search import EngineChoice, Option

if TYPE_CHECKING:
    from edgepack.pipeline.comparing import Ground
    from edgepack.pipeline.making import Quantizable
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.recipe import Recipe
    from edgepack.records.settings import Budget
    from edgepack.records.stages import ModelFile


@dataclass(frozen=True)
class Made:
    """A quantized file, how it was made, and what it was chosen over, if over anything."""

    file: ModelFile
    recipe: Recipe | None
    choice: EngineChoice | None = None


@dataclass(frozen=True)
class Attempted:
    """A file, or why there is none."""

    recipe: Recipe
    file: ModelFile | None
    failure: ModelError | None = None


def attempts(
    session: Session, plan: Plan, recipes: tuple[Recipe, ...], source: Quantizable
) -> tuple[Attempted, ...]:
    """Make a file by every recipe."""
    return tuple(_attempted(session, plan, recipe, source) for recipe in recipes)


def _attempted(session: Session, plan: Plan, recipe: Recipe, source: Quantizable) -> Attempted:
    try:
        return Attempted(recipe, making.quantize(session, plan, recipe, source))
    except ModelError as error:
        return Attempted(recipe, None, error)


def choose(
    session: Session, plan: Plan, variant: str, found: tuple[Attempted, ...], ground: Ground
) -> Made:
    """Keep the file that does least harm on samples that do not judge the build.

    Raises:
        ModelError: none of them could be made and run; the first one's reason.
    """
    budget = plan.settings.budgets.of(variant)
    pending = [session.branch(_option, session, plan, one, ground, budget) for one in found]
    options = tuple(future.result() for future in pending)
    chosen = min(range(len(options)), key=lambda index: (*_quality(options[index]), index))
    file = found[chosen].file
    if options[chosen].failure or file is None:
        raise found[0].failure or QuantizationError(options[0].failure)
    choice = EngineChoice(
        variant=variant,
        split="tune" if ground.name == "tune" else "calibrate",
        samples=ground.split.samples,
        options=options,
        chosen=chosen,
        metric=comparing.yardstick(plan, ground, variant).metric,
        why=_why(options, chosen),
    )
    return Made(file, found[chosen].recipe, choice)


def _option(session: Session, plan: Plan, one: Attempted, ground: Ground, budget: Budget) -> Option:
    if one.file is None:
        return Option(recipe=one.recipe, failure=one.failure.message if one.failure else "")
    size = Path(one.file.path).stat().st_size
    try:
        measured = comparing.measure(session, plan, one.file, ground)
    except ModelError as error:
        return Option(recipe=one.recipe, failure=error.message, size_bytes=size)
    return Option(
        recipe=one.recipe,
        failure=comparing.collapsed(measured),
        harm=comparing.harm(measured, budget),
        error=comparing.error(measured),
        size_bytes=size,
    )


def _quality(option: Option) -> tuple[bool, float, float]:
    """What counts, in this order: that it runs, little harm, answers near the source's."""
    harm = inf if option.harm is None else max(option.harm, 0.0)
    return bool(option.failure), harm, inf if option.error is None else option.error


def _why(options: tuple[Option, ...], chosen: int) -> str:
    best = options[chosen]
    others = [one for index, one in enumerate(options) if index != chosen and not one.failure]
    if not others:
        return "no other file could be made and run"
    second = min(others, key=_quality)
    if _quality(second) == _quality(best):
        return "no difference: the preferred one"
    if _quality(second)[1] > _quality(best)[1]:
        return "least harm"
    return "the same harm, and answers nearer to the source's"
