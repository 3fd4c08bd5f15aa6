"""What calibration samples are worth, as measured of them. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.engines import ranges
from edgepack.measure.odd_samples import duplicates_and_noise
from edgepack.records.search import CalibrationAdvice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.dataset import SplitData

FEW = 20  # samples: each half that is compared has ten
SHOWN = 3  # tensors that a message names


def advise(statistics: str, split: SplitData) -> tuple[CalibrationAdvice, ...]:
    """Warnings on a calibration split, the gravest first; none where all is well.

    Args:
        statistics: path of what calibration found.
        split: the calibration split.
    """
    return (
        *_from_statistics(statistics, split.samples),
        *duplicates_and_noise(split, split.samples),
    )


def _from_statistics(statistics: str, samples: int) -> Iterator[CalibrationAdvice]:
    if samples < FEW:
        what = f"{samples} calibration samples are few: 100 are usual"
        yield CalibrationAdvice(code="few-samples", message=what)
    elif found := ranges.halves_disagree(statistics):
        names = tuple(one.name for one in found)
        worst = max(one.ratio for one in found)
        yield CalibrationAdvice(
            code="halves-disagree",
            message=f"two halves of the calibration samples give {len(names)} tensors ranges that "
            f"differ by up to {worst:.0%}: more samples, or more like those of the field, "
            f"would help ({_shown(names)})",
            tensors=names,
        )
    if found := ranges.outliers(statistics):
        names = tuple(one.name for one in found)
        worst_one = found[0]
        yield CalibrationAdvice(
            code="outliers",
            message=f"{len(names)} tensors have ranges set by few values: {worst_one.share:.2%} of "
            f"them reach {worst_one.ratio:.1f} times as far as the rest; "
            f'clipping = "percentile" or "mse" leaves them out ({_shown(names)})',
            tensors=names,
        )


def _shown(names: tuple[str, ...]) -> str:
    short = [name.split(";")[0].rsplit("/", 2)[-1] for name in names[:SHOWN]]
    more = len(names) - len(short)
    return ", ".join(short) + (f" and {more} more" if more else "")
