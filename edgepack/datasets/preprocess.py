"""From a decoded sample to a model input, in the order that `Preprocess` documents. In a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.datasets import strings
from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.records.dataset import Preprocess
    from edgepack.records.tensors import Tensor

IMAGE_RANK = 3


@dataclass(frozen=True)
class Prepared:
    """One input of one sample, and how many of its values the input's type could not hold."""

    array: NDArray[Any]
    clipped: int


def preprocess_sample(decoded: NDArray[Any], preprocess: Preprocess, tensor: Tensor) -> Prepared:
    """Scale, normalize, lay out, cast and shape one sample for one input.

    Raises:
        DatasetError: its type or shape is not the input's; names the key to change.
    """
    if tensor.dtype == "string":
        return Prepared(_shaped(_text(decoded, tensor), tensor), 0)
    if decoded.dtype.kind not in "biuf":
        raise DatasetError(
            f"samples of {decoded.dtype.name} cannot feed the input {tensor.name!r}",
            hint="Samples must be numbers.",
        )
    values = _laid_out(_normalized(decoded, preprocess), preprocess)
    array, clipped = _cast(values, np.dtype(preprocess.dtype))
    return Prepared(_shaped(array, tensor), clipped)


def _text(decoded: NDArray[Any], tensor: Tensor) -> NDArray[np.bytes_]:
    if decoded.dtype.kind not in "SUO":
        raise DatasetError(
            f"samples of {decoded.dtype.name} cannot feed the input {tensor.name!r}",
            hint="It takes strings: store an array of dtype U or S.",
        )
    return strings.encoded(decoded)


def _normalized(decoded: NDArray[Any], preprocess: Preprocess) -> NDArray[Any]:
    values = decoded
    if (preprocess.scale, preprocess.offset) != (1.0, 0.0):
        values = values * np.float32(preprocess.scale) + np.float32(preprocess.offset)
    if preprocess.mean:
        values = values - _channels("mean", preprocess.mean, values)
    if preprocess.std:
        values = values / _channels("std", preprocess.std, values)
    return values


def _channels(key: str, figures: tuple[float, ...], values: NDArray[Any]) -> NDArray[Any]:
    """One figure, or one a channel."""
    channels = values.shape[-1] if values.ndim else 1
    if len(figures) not in {1, channels}:
        raise DatasetError(
            f"{key} has {len(figures)} values, a sample {channels} in its last dimension",
            hint=f"Give {key} one value, or one a channel.",
        )
    return np.asarray(figures, np.float32)


def _laid_out(values: NDArray[Any], preprocess: Preprocess) -> NDArray[Any]:
    if preprocess.layout == "nchw" and values.ndim == IMAGE_RANK:
        return values.transpose(2, 0, 1)
    return values


def _cast(values: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], int]:
    """The values in another type, and how many it cannot hold; none is ever wrapped.

    Floats become the nearest integer. A float type of fewer bits holds every finite value that
    does not become infinite; bool holds 0 and 1.
    """
    if values.dtype == dtype:
        return values, 0
    if dtype.kind == "b":
        return values != 0, int(np.count_nonzero((values != 0) & (values != 1)))
    if dtype.kind == "f":
        cast = values.astype(dtype)
        return cast, int(np.count_nonzero(np.isfinite(values) & ~np.isfinite(cast)))
    whole = np.rint(values.astype(np.float64)) if values.dtype.kind == "f" else values
    low, high = _bounds(whole.dtype, np.iinfo(dtype))
    held = (whole >= low) & (whole <= high)  # NaN is not
    return np.where(held, whole, 0).astype(dtype), held.size - int(held.sum())


def _bounds(dtype: np.dtype[Any], info: np.iinfo[Any]) -> tuple[Any, Any]:
    """The least and the largest value of `dtype` that an integer type holds, exact in `dtype`."""
    if dtype.kind == "f":  # float64 has no 2**63 - 1, only the power of two above it
        return float(info.min), np.nextafter(float(info.max + 1), 0)
    if dtype.kind == "b":
        return np.False_, np.True_
    own = np.iinfo(dtype)
    return dtype.type(max(own.min, info.min)), dtype.type(min(own.max, info.max))


def _shaped(array: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """The sample in the input's shape; dimensions of one may come and go."""
    if tensor.dims is None:
        return array
    wanted = tensor.dims[1:]
    if _fits(array.shape, wanted):
        return array
    if -1 not in wanted and _solid(array.shape) == _solid(wanted):
        return array.reshape(wanted)
    raise DatasetError(
        f"a sample of shape {list(array.shape)} does not fit the input {tensor.name!r}, "
        f"which takes {list(wanted)}",
        hint=f"Set inputs.{tensor.name}.resize, color, layout, audio or columns in the spec.",
    )


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(w in {-1, s} for s, w in pairs)


def _solid(shape: tuple[int, ...]) -> list[int]:
    return [size for size in shape if size != 1]
