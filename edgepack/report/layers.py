"""Sensitivity of layer groups, calibration advice and engine choices, in rows and sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report import figures, trials
from edgepack.report.figures import NONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edgepack.records.search import (
        CurvePoint,
        EngineChoice,
        LayerSensitivity,
        Option,
    )

HARM_HEADINGS = ("Group", "Ops", "SNR, dB", "Error/scale", "Harm alone", "Share of error")
TENSOR_HEADINGS = ("Group", "Worst tensor", "Range", "Saturated", "Dead", "float16")
CURVE_HEADINGS = ("Samples", "Harm", "Error")
NAMED_OPS = 3
FLOAT16_MAX = 65504
NEAR = 2.0  # headroom below which float16 is in doubt


def harm_rows(layers: Iterable[LayerSensitivity], metric: str = "") -> Iterator[tuple[str, ...]]:
    """What quantization does to each group, and what each alone does to the outputs."""
    for one in layers:
        yield (
            one.group,
            _ops(one.ops),
            NONE if one.snr_db is None else f"{one.snr_db:.1f}",
            _number(one.error_over_scale),
            trials.harm(one.harm, metric),
            _share(one.share),
        )


def tensor_rows(layers: Iterable[LayerSensitivity]) -> Iterator[tuple[str, ...]]:
    """The tensor that suffers most in each group: its range, and what is odd about it."""
    for one in layers:
        yield (
            one.group,
            _first(one.tensor) or NONE,
            _range(one),
            _share(one.saturation),
            f"{one.dead_channels} of {one.channels}" if one.channels else NONE,
            _float16(one.float16_headroom),
        )


def _ops(names: Sequence[str]) -> str:
    more = f" +{len(names) - NAMED_OPS}" if len(names) > NAMED_OPS else ""
    return ", ".join(names[:NAMED_OPS]) + more


def _first(tensor: str) -> str:
    """The first of the names that fusing ops has strung together."""
    return tensor.partition(";")[0]


def _number(value: float | None) -> str:
    return NONE if value is None else figures.significant(value)


def _share(value: float | None) -> str:
    return NONE if value is None else figures.share(value)


def _range(one: LayerSensitivity) -> str:
    if one.low is None or one.high is None:
        return NONE
    return f"{figures.significant(one.low)} to {figures.significant(one.high)}"


def _float16(headroom: float | None) -> str:
    if headroom is None:
        return NONE
    if headroom >= NEAR:
        return "fits"
    return "overflows" if headroom < 1 else f"near limit ({figures.times(headroom)})"


def worst(layers: Sequence[LayerSensitivity], count: int) -> list[LayerSensitivity]:
    """The groups with the largest shares of the error, the largest first."""
    known = [one for one in layers if one.share is not None]
    return sorted(known, key=lambda one: -(one.share or 0.0))[:count]


def near_float16(layers: Iterable[LayerSensitivity]) -> Iterator[str]:
    """A sentence for each group that float16 may not hold."""
    for one in layers:
        if one.float16_headroom is not None and one.float16_headroom < NEAR:
            told = "overflows float16" if one.float16_headroom < 1 else "is near float16's limit"
            largest = figures.significant(FLOAT16_MAX / one.float16_headroom)
            yield f"{one.group} {told}: {_first(one.tensor)} reaches {largest} of {FLOAT16_MAX}"


def curve_rows(curve: Iterable[CurvePoint], metric: str = "") -> Iterator[tuple[str, ...]]:
    """What more calibration samples bring."""
    for one in curve:
        yield str(one.samples), trials.harm(one.harm, metric), _number(one.error)


def choice_lines(choices: Iterable[EngineChoice]) -> Iterator[str]:
    """Which way of making each variant was kept, why, and the figures of all."""
    for one in choices:
        kept = one.options[one.chosen]
        others = [option for option in one.options if option is not kept]
        told = "; ".join(_option(option, one.metric) for option in (kept, *others))
        yield (
            f"{one.variant}: {_way(kept)} was kept ({one.why}), "
            f"compared on {one.samples} {one.split} samples: {told}"
        )


def _way(option: Option) -> str:
    return f"{option.recipe.engine} {option.recipe.clipping}"


def _option(option: Option, metric: str) -> str:
    if option.failure:
        return f"{_way(option)} failed, {trials.short(option.failure)}"
    told = [f"{_way(option)} harm {trials.harm(option.harm, metric)}"]
    if option.error is not None:
        told.append(f"relative error {figures.significant(option.error)}")
    return ", ".join((*told, figures.size(option.size_bytes)))
