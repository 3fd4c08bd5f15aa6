"""What outputs say, sample by sample, and whether labels agree. Runs in a worker.

Outputs are read in chunks of rows, so that they may be larger than memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHUNK_BYTES = 16 << 20
TOP = 5
WRONG = -1  # the class of an answer that is not finite
SLACK = 1e-3  # how far a dequantized probability may lie outside 0..1
MAPS = 3  # dimensions of a class for each pixel, [n, height, width]


def chunks(array: NDArray[Any]) -> Iterator[slice]:
    """Slices of rows that take about 16 MB as float64."""
    size = max(1, CHUNK_BYTES // (8 * max(1, array[:1].size)))
    for start in range(0, len(array), size):
        yield slice(start, start + size)


def flat(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Rows as float64, [n, k]."""
    return np.asarray(rows, np.float64).reshape(len(rows), -1)


def finite_rows(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Samples all of whose elements are finite, [n]."""
    if not np.issubdtype(array.dtype, np.inexact):
        return np.ones(len(array), bool)
    return np.concatenate([np.isfinite(flat(array[part])).all(1) for part in chunks(array)])


def columns(array: NDArray[Any]) -> int:
    """Elements a sample: scores of as many classes, or 1 for a class index or a sigmoid."""
    return int(np.prod(array.shape[1:], dtype=np.int64))


def class_ids(array: NDArray[Any]) -> NDArray[np.int64]:
    """The class that each answer names, [n]; -1 where it is not finite.

    Scores or logits of several classes are compared, the first of equals wins. A single integer is
    a class index, and so are floats that are whole numbers with one above 1; other single floats
    are a sigmoid or a logit of class 1.
    """
    if columns(array) > 1:
        return np.concatenate([_argmax(flat(array[part])) for part in chunks(array)])
    values = flat(array)[:, 0]
    finite = np.isfinite(values)
    known = values[finite]
    if np.array_equal(known, np.round(known)) and (known.max(initial=0) > 1 or _whole(array)):
        found = np.where(finite, values, WRONG)
    else:
        found = np.where(finite, values > _threshold(values), WRONG)
    return found.astype(np.int64)


def _whole(array: NDArray[Any]) -> bool:
    return np.issubdtype(array.dtype, np.integer)


def _argmax(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.where(np.isfinite(rows).all(1), rows.argmax(1), WRONG)


def class_labels(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Class indices, [n].

    Raises:
        DatasetError: the labels are not one whole number a sample.
    """
    values = np.asarray(labels)
    single = values.size == len(values) and values.dtype.kind in "biuf"
    if not single or not np.array_equal(values, np.round(values)):
        raise DatasetError(
            f"labels must be class indices, one a sample; these are {values.dtype.name} of shape "
            f"{values.shape}",
            hint="Set task in the dataset spec to what the labels mean.",
        )
    return values.reshape(-1).astype(np.int64)


def _labels_within(labels: NDArray[Any], classes: int) -> NDArray[np.int64]:
    ids = class_labels(labels)
    outside = ids[(ids < 0) | (ids >= classes)]
    if classes > 1 and len(outside):
        raise DatasetError(
            f"label {outside[0]} has no column in an output of {classes} (0 to {classes - 1})",
            hint="Labels count from 0, in the order of the model's outputs.",
        )
    return ids


def top_1(array: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Samples whose label is the class with the highest score, [n]."""
    right: NDArray[np.bool_] = class_ids(array) == _labels_within(labels, columns(array))
    return right


def top_5(array: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Samples whose label is among the five highest scores, [n]; the first of equals wins.

    Raises:
        DatasetError: the output has no more than five columns.
    """
    if columns(array) <= TOP:
        raise DatasetError(f"top-5 needs more than five columns; the output has {columns(array)}")
    ids = _labels_within(labels, columns(array))
    return np.concatenate([_among(flat(array[part]), ids[part]) for part in chunks(array)])


def _among(rows: NDArray[np.float64], ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    best = np.argsort(-rows, axis=1, kind="stable")[:, :TOP]
    hit: NDArray[np.bool_] = (best == ids[:, None]).any(1) & np.isfinite(rows).all(1)
    return hit


def binary_labels(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Which samples are of class 1, [n].

    Raises:
        DatasetError: a label is neither 0 nor 1.
    """
    ids = class_labels(labels)
    other = ids[(ids != 0) & (ids != 1)]
    if len(other):
        raise DatasetError(f"label {other[0]} in a binary task; labels are 0 or 1")
    first: NDArray[np.bool_] = ids == 1
    return first


def binary_scores(array: NDArray[Any]) -> tuple[NDArray[np.float64], float]:
    """How much each answer speaks for class 1, [n], and above what it means class 1.

    Of two columns it is the second's lead over the first, above 0. A single column is taken for
    probabilities, above 0.5, where all lie in 0..1, and for logits, above 0, elsewhere.

    Raises:
        DatasetError: the output has more than two columns.
    """
    if columns(array) > 2:  # noqa: PLR2004
        raise DatasetError(
            f"a binary task needs one or two columns; the output has {columns(array)}",
            hint="Set output or task in the dataset spec.",
        )
    rows = flat(array)
    if rows.shape[1] == 1:
        return rows[:, 0], _threshold(rows[:, 0])
    with np.errstate(invalid="ignore"):
        return rows[:, 1] - rows[:, 0], 0.0


def _threshold(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    inside = known.min(initial=0) >= -SLACK and known.max(initial=1) <= 1 + SLACK
    return 0.5 if inside else 0.0


def binary_hits(array: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Samples on whose class the model is right, [n]; one that is not finite is wrong."""
    scores, threshold = binary_scores(array)
    says: NDArray[np.bool_] = scores > threshold
    right: NDArray[np.bool_] = (says == binary_labels(labels)) & np.isfinite(scores)
    return right


def overlaps(
    array: NDArray[Any], labels: NDArray[Any], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pixels in both and in either of answer and label, by sample and class.

    Labels outside the classes, such as 255, mark pixels that do not count.

    Args:
        array: [n, height, width, classes] scores, or [n, height, width] or [.., 1] classes.
        labels: [n, height, width] or [n, height, width, 1].
        classes: how many there are at least, where the output is not one of scores.

    Returns:
        Intersections [n, classes], unions [n, classes], samples that are finite [n].

    Raises:
        DatasetError: labels and outputs differ in size.
    """
    scored = array.ndim > MAPS and array.shape[-1] > 1
    true = labels[..., 0] if labels.ndim > MAPS and labels.shape[-1] == 1 else labels
    if true.shape[:MAPS] != array.shape[:MAPS] or true.ndim != MAPS:
        raise DatasetError(
            f"label maps of shape {labels.shape} do not fit an output of shape {array.shape}",
            hint="The model's output and the labels must have the same height and width.",
        )
    usable = finite_rows(array)
    count = array.shape[-1] if scored else max(classes, _highest(array, usable) + 1)
    both, either = np.zeros((2, len(array), count), np.int64)
    for row in np.flatnonzero(usable):
        answer = array[row].argmax(-1) if scored else array[row].astype(np.int64)
        pair = true[row].reshape(-1), answer.reshape(-1)
        counted = (pair[0] >= 0) & (pair[0] < count)
        if counted.any():
            both[row], either[row] = _overlap(pair[0][counted], pair[1][counted], count)
    return both, either, usable


def _overlap(
    true: NDArray[Any], answers: NDArray[Any], classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of each class in both and in either; counted, as scikit-learn's table is slow."""
    both, told, said = (
        np.bincount(ids, minlength=classes)[:classes]
        for ids in (true[true == answers], true, answers[answers >= 0])
    )
    return both, told + said - both


def _highest(array: NDArray[Any], usable: NDArray[np.bool_]) -> int:
    return max((int(array[row].max()) for row in np.flatnonzero(usable)), default=0)
