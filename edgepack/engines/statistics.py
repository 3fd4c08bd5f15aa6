"""Summaries of what tensors hold: order-independent, exactly mergeable over shards of samples.

A histogram is keyed by the leading bits of a float32: sign, exponent and four bits of the mantissa.
Its bins are 1/16 of a power of two wide, so that a quantile is known within some 6 % of its value
whatever the range is, and adding counts merges it, as in DDSketch (Masson, Rim and Lee, 2019).
Zero has a bin of its own, whatever its sign; what is nearer to it than 2^-130 counts as zero.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SHIFT = 19  # of a float32's bits: sign, eight of the exponent, four of the mantissa stay
BINS = 1 << (32 - SHIFT)
NEGATIVE = BINS // 2  # the first bin of a negative sign: minus zero's, and so empty
HALVES = 2
MOST = 3e38  # what lies beyond stands for infinity, such as the padding of a maximum
CHANNELS = 4096  # of a last dimension longer than this, no channels are told apart
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Summary:
    """Finite values of one tensor over some samples.

    Args:
        counts: values in each bin, [8192] int64.
        low: least finite value; infinity where there is none.
        high: largest finite value; minus infinity where there is none.
        non_finite: values that are NaN, infinite, or stand for infinity.
        channel_low: least value by index on the last dimension, [channels], or [0].
        channel_high: largest value by index on the last dimension.
    """

    counts: NDArray[np.int64]
    low: float
    high: float
    non_finite: int
    channel_low: NDArray[np.float32]
    channel_high: NDArray[np.float32]

    def __add__(self, other: Summary) -> Summary:
        """Both together, exactly."""
        if not self.seen or not other.seen:
            return self if self.seen else other
        mine = (self.channel_low, self.channel_high)
        theirs = (other.channel_low, other.channel_high)
        if self.channel_low.shape != other.channel_low.shape:  # the shape depends on the sample
            mine = theirs = (_NONE, _NONE)
        return Summary(
            counts=self.counts + other.counts,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            non_finite=self.non_finite + other.non_finite,
            channel_low=np.minimum(mine[0], theirs[0]),
            channel_high=np.maximum(mine[1], theirs[1]),
        )

    @property
    def seen(self) -> int:
        """How many values there were, finite or not."""
        return self.values + self.non_finite

    @property
    def values(self) -> int:
        """How many finite values there were."""
        return int(self.counts.sum())


_NONE = np.zeros(0, np.float32)


def nothing() -> Summary:
    """Of no value at all: adding it changes nothing."""
    return Summary(np.zeros(BINS, np.int64), np.inf, -np.inf, 0, _NONE, _NONE)


def summarize(values: NDArray[np.float32]) -> Summary:
    """One tensor of one invocation."""
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    usable = np.abs(flat) <= MOST  # and not NaN
    good = flat if usable.all() else flat[usable]
    low, high = (good.min(), good.max()) if good.size else (np.inf, -np.inf)
    channel_low, channel_high = _channels(values, clean=good.size == flat.size)
    return Summary(
        counts=_counts(good),
        low=float(low) + 0.0,  # of two zeros that differ in sign, any may be the least
        high=float(high) + 0.0,
        non_finite=int(flat.size - good.size),
        channel_low=channel_low,
        channel_high=channel_high,
    )


def _counts(good: NDArray[np.float32]) -> NDArray[np.int64]:
    counts = np.bincount(good.view(np.uint32) >> SHIFT, minlength=BINS).astype(np.int64)
    counts[0] += counts[NEGATIVE]
    counts[NEGATIVE] = 0
    return counts


def _channels(
    values: NDArray[np.float32], *, clean: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if values.ndim < 2 or values.shape[-1] > CHANNELS or not (clean and values.size):  # noqa: PLR2004
        return _NONE, _NONE
    rows = values.reshape(-1, values.shape[-1])
    return rows.min(axis=0) + np.float32(0), rows.max(axis=0) + np.float32(0)


@dataclass(frozen=True)
class TensorStatistics:
    """One tensor, over the even and the odd samples apart: two disjoint halves."""

    name: str
    halves: tuple[Summary, Summary]

    @property
    def whole(self) -> Summary:
        """Both halves together."""
        return self.halves[0] + self.halves[1]


def save(tensors: Iterable[TensorStatistics], path: Path) -> None:
    """Write them, in their order; the same statistics give the same bytes."""
    found = list(tensors)
    halves = [half for one in found for half in one.halves]
    sparse = [np.flatnonzero(half.counts) for half in halves]
    arrays: dict[str, NDArray[Any]] = {
        "names": np.frombuffer("\0".join(one.name for one in found).encode(), np.uint8),
        "limits": np.array([(half.low, half.high) for half in halves], np.float64).reshape(-1, 2),
        "non_finite": np.array([half.non_finite for half in halves], np.int64),
        "bins": np.array([len(bins) for bins in sparse], np.int64),
        "bin": _joined(sparse).astype(np.uint16),
        "count": _joined([h.counts[b] for h, b in zip(halves, sparse, strict=True)]),
        "channels": np.array([len(half.channel_low) for half in halves], np.int64),
        "channel_low": _joined([half.channel_low for half in halves]).astype(np.float32),
        "channel_high": _joined([half.channel_high for half in halves]).astype(np.float32),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), content.getvalue())


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def load(path: Path) -> tuple[TensorStatistics, ...]:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    halves = list(_halves(arrays))
    names = arrays["names"].tobytes().decode().split("\0") if halves else []
    pairs = zip(halves[::HALVES], halves[1::HALVES], strict=True)
    return tuple(TensorStatistics(*one) for one in zip(names, pairs, strict=True))


def _halves(arrays: Mapping[str, NDArray[Any]]) -> Iterable[Summary]:
    bins, channels = (np.cumsum([0, *arrays[name]]) for name in ("bins", "channels"))
    for place, (low, high) in enumerate(arrays["limits"].tolist()):
        part = slice(bins[place], bins[place + 1])
        own = slice(channels[place], channels[place + 1])
        counts = np.zeros(BINS, np.int64)
        counts[arrays["bin"][part]] = arrays["count"][part]
        yield Summary(
            counts=counts,
            low=low,
            high=high,
            non_finite=int(arrays["non_finite"][place]),
            channel_low=arrays["channel_low"][own],
            channel_high=arrays["channel_high"][own],
        )


def merge(paths: Sequence[Path], target: Path) -> None:
    """Put the statistics of shards together; their order does not matter."""
    together: dict[str, TensorStatistics] = {}
    for path in sorted(paths):
        for one in load(path):
            known = together.get(one.name)
            if known:
                even, odd = (a + b for a, b in zip(known.halves, one.halves, strict=True))
                together[one.name] = replace(known, halves=(even, odd))
            else:
                together[one.name] = one
    save((together[name] for name in sorted(together)), target)
