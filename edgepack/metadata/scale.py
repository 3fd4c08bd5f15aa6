"""How values are scaled: from (value * scale + offset - mean) / std to (value - mean) / std."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.records.metadata import Normalization

if TYPE_CHECKING:
    from edgepack.records.dataset import Preprocess
    from edgepack.records.tensors import Tensor

# What the format's 32-bit floats hold as normal numbers.
SMALLEST, LARGEST = 2.0**-126, (2 - 2.0**-23) * 2.0**127


def normalization(preprocess: Preprocess, tensor: Tensor) -> Normalization | None:
    """The standard's figures for what `preprocess` does.

    With s, o, m, d for scale, offset, mean and std:
    (v * s + o - m) / d = (v - (m - o) / s) / (d / s).

    Returns:
        None where no figures do the same: a scale or std of 0, or one for each channel in a tensor
        whose last dimension is not the channels.
    """
    means, stds = preprocess.mean or (0.0,), preprocess.std or (1.0,)
    count = max(len(means), len(stds))
    if not preprocess.scale or not _fits(count, preprocess, tensor):
        return None
    means, stds = _spread(means, count), _spread(stds, count)
    mean = tuple((value - preprocess.offset) / preprocess.scale for value in means)
    std = tuple(value / preprocess.scale for value in stds)
    held = all(abs(value) <= LARGEST for value in mean)
    held = held and all(SMALLEST <= abs(value) <= LARGEST for value in std)
    return Normalization(mean=mean, std=std) if held else None


def _fits(count: int, preprocess: Preprocess, tensor: Tensor) -> bool:
    """Whether one figure, or one for each index of the last dimension, is what an app needs."""
    if count == 1:
        return True
    last = tensor.dims[-1] if tensor.dims else 0
    return preprocess.layout == "nhwc" and last == count


def _spread(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    return values * count if len(values) == 1 else values


def words(preprocess: Preprocess) -> str:
    """The formula with its figures; nothing where values stay as they are."""
    figures = {
        "scale": (preprocess.scale,) if preprocess.scale != 1 else (),
        "offset": (preprocess.offset,) if preprocess.offset else (),
        "mean": preprocess.mean,
        "std": preprocess.std,
    }
    given = [f"{name} {', '.join(map(str, values))}" for name, values in figures.items() if values]
    if not given:
        return ""
    return f"(value * scale + offset - mean) / std with {', '.join(given)}"
