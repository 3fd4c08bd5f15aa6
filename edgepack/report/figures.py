"""Numbers as people read them."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.records.evidence import Drop, Metric

NONE = "-"
SHARES = {"top-1", "top-5", "accuracy"}
UNITS = ("B", "kB", "MB", "GB", "TB")
KILO = 1000
PLAIN = 1e-6  # what is smaller is rounding noise of float32, and reads better as a power of ten


def significant(value: float, digits: int = 3) -> str:
    """Plain decimals with so many digits that count: 0.0812, 3.70, 12.3, 1340; 1.4e-09."""
    if not value or not isfinite(value):
        return f"{value:g}"
    if abs(value) < PLAIN:
        return f"{value:.1e}"
    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    return f"{value:.{decimals}f}"


def size(count: float) -> str:
    """Bytes in decimal units: 812 B, 98.1 kB, 1.25 MB."""
    unit = 0
    while abs(count) >= KILO and unit < len(UNITS) - 1:
        count, unit = count / KILO, unit + 1
    return f"{significant(count) if unit else f'{count:.0f}'} {UNITS[unit]}"


def milliseconds(value: float) -> str:
    """A time: 0.081 ms, 3.70 ms."""
    return f"{significant(value, 2 if value < 1 else 3)} ms"


def change(ratio: float) -> str:
    """How far a ratio is from one: -74 %, +3 %, same."""
    percent = 100 * (ratio - 1)
    return "same" if abs(percent) < 0.5 else f"{percent:+.0f} %"  # noqa: PLR2004 - rounds to 0


def times(ratio: float) -> str:
    """A ratio: 0.45x, 1.49x, 12.3x."""
    return f"{significant(ratio, 2 if ratio < 1 else 3)}x"


def share(value: float) -> str:
    """A share of samples: 99.3 %."""
    return f"{100 * value:.1f} %"


def score(name: str, value: float) -> str:
    """A metric's value, as a share where it is one."""
    return share(value) if name in SHARES else significant(value, 4)


def points(name: str, value: float) -> str:
    """A difference of a metric: 0.2 pt of a share, else in the metric's own unit."""
    if name not in SHARES:
        return significant(value)
    text = f"{100 * value:.1f}"
    return "0.0 pt" if text == "-0.0" else f"{text} pt"


def metric(found: Metric | None) -> str:
    """A metric, or a dash."""
    return score(found.name, found.value) if found else NONE


def drop(found: Drop | None) -> str:
    """A drop and its interval: 0.2 pt (-0.3 to 0.9)."""
    if found is None:
        return NONE
    ends = (points(found.metric, end) for end in (found.interval.low, found.interval.high))
    low, high = (end.removesuffix(" pt") for end in ends)
    return f"{points(found.metric, found.value)} ({low} to {high})"
