"""Axes of a drawing: where values lie on it, and which of them are written at the axis."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PAD = 0.06  # of the axis, beyond the outermost values
NARROW = 1e-9
WIDE = 5.0  # largest over least value, from which on a logarithmic axis is easier to read
BESIDE, ABOVE = 44.0, 26.0  # least distance of two ticks, which are wider than high


@dataclass(frozen=True)
class Axis:
    """Where values lie between two ends, in the drawing's units.

    Args:
        start: end of the axis at its least values.
        end: end of the axis at its largest values.
        low: least value, bent.
        high: largest value, bent.
        bend: what makes equal steps of values equal steps of the axis.
        ticks: values that are written at the axis, ascending.
    """

    start: float
    end: float
    low: float
    high: float
    bend: Callable[[float], float]
    ticks: tuple[float, ...] = ()

    def at(self, value: float) -> float:
        """Where a value lies."""
        return self.start + self._share(value) * (self.end - self.start)

    def has(self, value: float) -> bool:
        """Whether a value lies between both ends."""
        return 0 <= self._share(value) <= 1

    def _share(self, value: float) -> float:
        return (self.bend(value) - self.low) / (self.high - self.low)


def plain(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis for costs: linear, or logarithmic where positive values are far apart."""
    low, high = min(values), max(values)
    if low > 0 and high / low > WIDE:
        return _ticked(_axis((low, high), log10, start, end), _round_numbers((low, high)), BESIDE)
    axis = _axis((low, high), float, start, end)
    return _ticked(axis, _steps(axis.low, axis.high), BESIDE)


def bent(values: Iterable[float], limit: float, start: float, end: float) -> Axis:
    """An axis that is linear up to a limit on both sides of 0, and logarithmic beyond.

    It shows what is within a limit and what is a hundred times as far off. Both 0 and the limit
    are on it.
    """

    def bend(value: float) -> float:
        part = abs(value) / limit
        return copysign(part if part <= 1 else 1 + log10(part), value)

    given = (0.0, limit, *values)
    axis = _axis((min(given), max(given)), bend, start, end)
    numbers = list(_round_numbers((limit / 10, max(map(abs, given)))))
    return _ticked(axis, [0.0, *numbers, *(-number for number in numbers)], ABOVE)


def _axis(
    ends: tuple[float, float], bend: Callable[[float], float], start: float, end: float
) -> Axis:
    low, high = map(bend, ends)
    width = high - low
    pad = PAD * width if width > NARROW * max(abs(low), abs(high)) else PAD * (abs(low) or 1)
    return Axis(start, end, low - pad, high + pad, bend)


def _ticked(axis: Axis, values: Iterable[float], apart: float) -> Axis:
    """An axis with as many ticks as there is room for, the first values first."""
    kept: list[float] = []
    for value in values:
        if axis.has(value) and all(abs(axis.at(value) - axis.at(k)) >= apart for k in kept):
            kept.append(value)
    return Axis(axis.start, axis.end, axis.low, axis.high, axis.bend, tuple(sorted(kept)))


def _round_numbers(ends: tuple[float, float]) -> Iterator[float]:
    """Powers of ten around two positive values, then five, two and three times them, and so on."""
    powers = range(floor(log10(ends[0])) - 1, floor(log10(ends[1])) + 2)
    for factor in (1, 5, 2, 3, 7):
        for power in powers:
            yield float(f"{factor}e{power}")


def _steps(low: float, high: float) -> list[float]:
    """Four to ten round numbers at equal distances."""
    step = _step((high - low) / 4)
    first, last = floor(low / step), floor(high / step)
    digits = max(0, 2 - floor(log10(step)))
    return [round(number * step, digits) for number in range(first, last + 1)]


def _step(most: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is no more than that."""
    power = 10.0 ** floor(log10(most))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= most * (1 + NARROW))
