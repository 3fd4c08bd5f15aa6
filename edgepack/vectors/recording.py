"""What files are fed and answer, as raw files, and how far answers are apart. Runs in a worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.engines.interpreter import open_session
from edgepack.engines.replay import open_replay
from edgepack.errors import ModelError
from edgepack.records.vectors import Distances, Recorded, VectorTensor
from edgepack.vectors import codec, comparison
from edgepack.vectors.sharing import FOLDER, OWN_INPUTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import TFLiteModel
    from edgepack.records.vectors import Differences, Selection, VectorRun

Arrays = dict[str, "NDArray[Any]"]


def record_source(source: Outputs, chosen: Selection, root: Path) -> tuple[VectorTensor, ...]:
    """Write the source's answers to the chosen samples below `root`."""
    rows = np.array(chosen.rows).reshape(-1, chosen.batch)
    answers = [
        {name: open_array(ref)[taken] for name, ref in source.arrays.items()} for taken in rows
    ]
    return _write(answers, root, f"{FOLDER}source")


def record(
    model: TFLiteModel, variant: str, split: SplitData, chosen: Selection, root: Path
) -> Recorded:
    """Write what a file is fed and what it answers below `root`, in folders of its own.

    Raises:
        ModelError: the runtime cannot load or run it.
    """
    session = open_session(model, split)
    samples = {name: open_array(ref) for name, ref in split.inputs.items()}
    rows = np.array(chosen.rows).reshape(-1, chosen.batch)
    fed = [session.stored({name: all_[taken] for name, all_ in samples.items()}) for taken in rows]
    inputs = _write(fed, root, f"{OWN_INPUTS}{variant}")
    replay = open_replay(model, inputs, ())
    given = [replay.answer(one) for one in fed]
    return Recorded(inputs=inputs, outputs=_write(given, root, f"{FOLDER}{variant}"))


def _write(invocations: Sequence[Arrays], root: Path, folder: str) -> tuple[VectorTensor, ...]:
    """One file a tensor, by number: a tensor's name may be no file's."""
    (root / folder).mkdir(parents=True)
    return tuple(
        _tensor(name, [one[name] for one in invocations], root, f"{folder}/{number}.bin")
        for number, name in enumerate(sorted(invocations[0]))
    )


def _tensor(name: str, arrays: Sequence[NDArray[Any]], root: Path, path: str) -> VectorTensor:
    (root / path).write_bytes(codec.encode(arrays))
    first = arrays[0]
    return VectorTensor(name=name, dtype=codec.dtype_name(first), shape=first.shape, path=path)


def compare(run: VectorRun, most: int | None = None) -> Differences:
    """Replay, and compare with what was recorded.

    Args:
        run: the file and its vectors.
        most: how many invocations, the first ones; None for all.

    Raises:
        ModelError: the file takes other tensors, or the runtime cannot load or run it.
        VerificationError: the vectors' files are not what they are said to be.
    """
    return comparison.differences(answers(run, most), _outputs(run))


def compare_files(
    files: Sequence[str], root: str, count: int, recorded: Sequence[VectorTensor]
) -> Differences:
    """Answers that another process wrote, by output as .npy, beside those recorded below `root`.

    Raises:
        VerificationError: the vectors' files are not what they are said to be.
    """
    theirs = [codec.read(Path(root), tensor, count) for tensor in recorded]
    return comparison.differences([np.load(file) for file in files], theirs)


def answers(run: VectorRun, most: int | None = None) -> list[NDArray[Any]]:
    """What a file answers to recorded inputs, [count, ...] by recorded output.

    Args:
        run: the file and its vectors.
        most: how many invocations, the first ones; None for all.

    Raises:
        ModelError: the file takes other tensors, or the runtime cannot load or run it.
        VerificationError: the vectors' files are not what they are said to be.
    """
    root = Path(run.root)
    fed = {tensor.name: codec.read(root, tensor, run.count) for tensor in run.inputs}
    session = open_replay(run.model, run.inputs, run.outputs)
    rows = range(run.count)[:most]
    each = [session.answer({name: all_[row] for name, all_ in fed.items()}) for row in rows]
    return [np.stack([one[tensor.name] for one in each]) for tensor in run.outputs]


def _outputs(run: VectorRun) -> list[NDArray[Any]]:
    return [codec.read(Path(run.root), tensor, run.count) for tensor in run.outputs]


def distances(run: VectorRun, others: Mapping[str, VectorRun]) -> Distances:
    """How far a file's recorded answers are from each other, and other files' from them.

    A file that does not take the same inputs, or does not give outputs of the same names and types,
    is left out: an app would notice.

    Args:
        run: the file, and what was recorded of it.
        others: files that may be mistaken for it, by variant.
    """
    recorded = _outputs(run)
    found = {}
    for variant, other in others.items():
        if (theirs := _instead(run, other)) is not None:
            found[variant] = tuple(value for value, _ in comparison.largest(theirs, recorded))
    return Distances(samples=comparison.pairs(recorded), variants=found)


def _instead(run: VectorRun, other: VectorRun) -> list[NDArray[Any]] | None:
    """What another file answers to a file's inputs; known where they are its own as well."""
    kinds = [(one.name, one.dtype) for one in run.outputs]
    if other.inputs == run.inputs and [(o.name, o.dtype) for o in other.outputs] == kinds:
        return _outputs(other)
    try:
        return answers(run.model_copy(update={"model": other.model}))
    except ModelError:
        return None


def peaks(run: VectorRun) -> tuple[float, ...]:
    """The largest finite absolute value of each recorded output."""
    return tuple(comparison.peak(array) for array in _outputs(run))
