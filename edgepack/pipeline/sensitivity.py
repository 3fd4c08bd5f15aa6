"""`edgepack sensitivity`: what int8 does to each layer, without building anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import DatasetError, QuantizationError
from edgepack.pipeline import comparing, feeding, making, sensing, trying
from edgepack.pipeline import plan as plans
from edgepack.pipeline.session import Session
from edgepack.quantize import search
from edgepack.quantize.book import Book
from edgepack.records.search import CurvePoint, Sensitivity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.pipeline.build import Request
    from edgepack.pipeline.trying import Hunt
    from edgepack.records.search import Candidate, Stopped

CURVE = (5, 10, 20, 50, 100, 200, 500)  # calibration samples


def sensitivity(request: Request, *, curve: bool = False) -> Sensitivity:
    """Quantize each group alone, and all of them; measure both on samples that judge no build.

    Args:
        request: as for a build.
        curve: whether to calibrate with fewer samples too.

    Raises:
        EdgepackError: what stopped it.
    """
    settings, limits = request.settings, request.settings.limits
    with Session(request.cache, limits, request.emit, request.verbose) as session:
        plan = plans.make(session, settings)
        hunt = prepared(session, plan)
        return _measured(hunt, curve=curve)


def prepared(session: Session, plan: plans.Plan) -> Hunt:
    """Everything that trials need: the float32 file, its statistics, samples to compare on."""
    pending = session.branch(making.samples, session, plan)
    converted = session.branch(making.convert, session, plan, pending)
    samples = pending.result()
    calibrate = samples.splits.get("calibrate")
    if calibrate is None or not calibrate.samples:
        raise DatasetError(
            "there are no calibration samples",
            where=plan.settings.dataset,
            hint="Set splits.calibrate.samples in the dataset spec; 100 is usual.",
        )
    conversion, float_model = converted.result()
    fed = feeding.fed(session, plan, samples, conversion)
    split = fed.splits["calibrate"]
    source = making.Quantizable(
        float_model, split, making.statistics(session, plan, float_model, split)
    )
    name = comparing.untouched(samples)
    ground = comparing.ground(session, plan, samples, fed, name)
    return trying.prepare(session, plan, source, ground)


def _never(_: int) -> Stopped | None:
    return None


def _measured(hunt: Hunt, *, curve: bool) -> Sensitivity:
    book = Book(
        trying.attempts(hunt, searching=False), hunt.goal, hunt.ground.split.samples, _never
    )
    full = search.base(book, hunt.space)
    if full is None:
        raise QuantizationError(
            "no engine can make a static int8 file of this model",
            where=hunt.plan.settings.model.path,
            hint="Recurrent models in WHILE form can be dynamic or weight-only.",
        )
    search.rank(book, hunt.space, full)
    count = range(len(hunt.space.groups))
    alone = tuple(
        book.ask(hunt.space.alone(full, group), "sensitivity", search.SCOUTED) for group in count
    )
    whole = book.ask(full, "reference")
    file = making.quantize(hunt.session, hunt.plan, hunt.recipe(full), hunt.source)
    layers = sensing.layers(
        hunt.session,
        hunt.plan,
        source=hunt.source,
        quantized=file,
        groups=hunt.space.groups,
        ground=hunt.ground,
    )
    return Sensitivity(
        name=hunt.plan.settings.model.name,
        recipe=hunt.recipe(full),
        measure=hunt.goal.measure,
        metric=hunt.goal.metric,
        harm=whole.harm,
        error=whole.error,
        split="tune" if hunt.ground.name == "tune" else "calibrate",
        samples=hunt.ground.split.samples,
        layers=sensing.with_trials(layers, alone),
        advice=sensing.advice(hunt.session, hunt.plan, hunt.source),
        curve=tuple(_curve(hunt, full)) if curve else (),
    )


def _curve(hunt: Hunt, full: Candidate) -> Iterator[CurvePoint]:
    """The same file calibrated with the first samples only."""
    split = hunt.source.calibration
    assert split is not None
    for count in sorted({*(n for n in CURVE if n < split.samples), split.samples}):
        part = split.model_copy(update={"samples": count, "digest": f"{split.digest}:{count}"})
        float_model = hunt.source.float_model
        statistics = making.statistics(hunt.session, hunt.plan, float_model, part)
        source = making.Quantizable(float_model, part, statistics)
        file = making.quantize(hunt.session, hunt.plan, hunt.recipe(full), source)
        found = comparing.measure(hunt.session, hunt.plan, file, hunt.ground)
        budget = hunt.plan.settings.budgets.of(trying.AUTO)
        yield CurvePoint(
            samples=count,
            harm=comparing.harm(found, budget),
            error=comparing.error(found),
        )
