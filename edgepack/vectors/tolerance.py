"""How far a right answer may be from the recorded one, from how far known runtimes' are."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Decimal

# Beyond the measured spread, as other processors add up in yet another order. Where one of three
# kinds of kernels was left out of the measurement, it was off by up to 1.5 times what the others
# were (three models in float32, float16, dynamic range and int8).
FACTOR = 3.0
# Machine epsilons of an output's largest value, where nothing larger was measured: 4e-6 of a
# float32 score of 1. Weights as float16 changed answers by 1.5e-5 and more (eleven models).
FLOAT_FLOOR = 32.0
EPSILONS = {"float16": 2.0**-10, "float32": 2.0**-23, "float64": 2.0**-52, "complex64": 2.0**-23}


def tolerance(spread: float, dtype: str, peak: float, step: float) -> float:
    """The largest difference that is taken for the same model's.

    It is FACTOR times the spread, at least one step of an output that is graded, at least
    FLOAT_FLOOR machine epsilons of a float's largest value, and rounded up to one significant
    digit, so that it does not change with every run. Integers that stand for themselves, as a class
    index does, have no step: they must be equal unless a spread was measured.

    Args:
        spread: largest difference among configurations, in units of what is stored.
        dtype: NumPy's name of what is stored.
        peak: the largest finite absolute value recorded.
        step: 1 for a quantized output, a scale for a float one that integers are behind, else 0.
    """
    floor = max(step, FLOAT_FLOOR * EPSILONS.get(dtype, 0.0) * peak)
    most = max(FACTOR * spread, floor)
    return rounded_up(most) if dtype in EPSILONS else float(math.ceil(most))


def rounded_up(value: float) -> float:
    """The least number of one significant digit that is not below a positive one; 0 for 0."""
    exact = Decimal(value)
    if not exact:
        return 0.0
    digit = Decimal(1).scaleb(exact.adjusted())
    return float((exact / digit).to_integral_value(ROUND_CEILING) * digit)
