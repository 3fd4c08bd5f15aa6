"""Which samples are recorded: those whose answers tell models, and samples, apart.

Runs in a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.engines.interpreter import open_session
from edgepack.records.vectors import Selection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import TFLiteModel

POOL_BYTES = 64 << 20  # of answers as float32; of larger ones, evenly spaced samples are looked at
FAR = 10  # one in so many of the samples is far from those already taken


def select(
    model: TFLiteModel, split: SplitData, source: Outputs, answers: Sequence[Outputs], count: int
) -> Selection:
    """Choose `count` samples, or as many more as the file's fixed batch takes.

    Where there are fewer, the last one fills up the batch.

    Args:
        model: one of the files, which all take the same batch.
        split: what it is fed from.
        source: the source's answers to the split.
        answers: each file's.
        count: how many samples are wanted.
    """
    batch = open_session(model, split).batch
    whole = -(-min(count, split.samples) // batch) * batch
    rows = choose(source, answers, min(whole, split.samples))
    return Selection(rows=(*rows, *[rows[-1]] * (whole - len(rows))), batch=batch)


def choose(source: Outputs, answers: Sequence[Outputs], count: int) -> tuple[int, ...]:
    """Rows, the most telling first; fewer of them are the first ones of more.

    Each is, among the tenth of the samples whose answers by the source are farthest from those of
    all rows already taken, the one on which the files' answers are farthest from the source's:
    there another file's would be noticed first. Of equals it is the first.
    """
    pool = _pool(source, count)
    told = _answers(source, source, pool)
    differ = np.max([_far(_answers(one, source, pool), told) for one in answers], axis=0)
    nearest = np.full(len(pool), np.inf, np.float32)
    taken: list[int] = []
    for _ in range(count):
        nearest[taken] = -1
        left = len(pool) - len(taken)
        least = np.partition(nearest, -max(1, left // FAR))[-max(1, left // FAR)]
        chosen = int(np.where(nearest >= least, differ, -1).argmax())
        taken.append(chosen)
        nearest = np.minimum(nearest, _far(told, told[chosen]))
    return tuple(int(pool[row]) for row in taken)


def _pool(source: Outputs, count: int) -> NDArray[np.int64]:
    """Rows that are looked at."""
    elements = sum(int(np.prod(ref.shape[1:])) for ref in source.arrays.values())
    most = max(count, POOL_BYTES // (4 * max(1, elements)))
    spaced = np.linspace(0, source.samples - 1, min(most, source.samples))
    return np.unique(spaced.astype(np.int64))


def _answers(outputs: Outputs, source: Outputs, pool: NDArray[np.int64]) -> NDArray[np.float32]:
    """One row a sample, [n, elements], each output in units of the source's range."""
    found = []
    for name in sorted(source.arrays):
        own, theirs = (open_array(one.arrays[name])[pool] for one in (outputs, source))
        found.append(_flat(own) / _range(theirs))
    rows: NDArray[np.float32] = np.nan_to_num(np.concatenate(found, axis=1), posinf=0, neginf=0)
    return rows


def _flat(rows: NDArray[Any]) -> NDArray[np.float32]:
    real = np.abs(rows) if rows.dtype.kind == "c" else rows
    return real.astype(np.float32).reshape(len(rows), -1)


def _range(rows: NDArray[Any]) -> float:
    values = _flat(rows)
    known = values[np.isfinite(values)]
    return float(known.max(initial=0) - known.min(initial=0)) or 1.0


def _far(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest difference by row, [n]."""
    largest: NDArray[np.float32] = np.abs(rows - others).max(axis=1, initial=0)
    return largest
