"""How far a right answer may be from the recorded one, from how far known runtimes' are."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal

# Beyond the measured spread: other processors' kernels add up in yet another order.
FACTOR = 4.0
# Machine epsilons of an output's largest value: what rounding alone does to a sum of a few terms.
FLOAT_FLOOR = 8.0
EPSILONS = {"float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52, "complex64": 2.0**-23}


def tolerance(spread: float, dtype: str, peak: float, *, quantized: bool) -> float:
    """The largest difference that is taken for the same model's.

    It is FACTOR times the spread, at least FLOAT_FLOOR machine epsilons of the largest value, and
    rounded up to one significant digit, so that it does not change with every run. A quantized
    output may be one step off; an integer that stands for itself, as a class index does, not.

    Args:
        spread: largest difference among configurations, in units of what is stored.
        dtype: NumPy's name of what is stored.
        peak: the largest finite absolute value recorded.
        quantized: whether it has a scale.
    """
    if epsilon := EPSILONS.get(dtype):
        return rounded_up(max(FACTOR * spread, FLOAT_FLOOR * epsilon * peak))
    return float(math.ceil(max(FACTOR * spread, 1.0 if quantized else 0.0)))


def rounded_up(value: float) -> float:
    """The least number of one significant digit that is not below a positive one; 0 for 0."""
    exact = Decimal(value)
    if not exact:
        return 0.0
    digit = Decimal(1).scaleb(exact.adjusted())
    return float((exact / digit).to_integral_value(ROUND_CEILING) * digit)
