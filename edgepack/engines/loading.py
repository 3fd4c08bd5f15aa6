"""A source model loaded by whichever of TensorFlow's ways can. Runs in a worker."""

from __future__ import annotations

import re
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.importing import import_tensorflow
from edgepack.engines.programs import ObjectProgram, Program, SessionProgram
from edgepack.engines.refusals import first_line, load_refusal
from edgepack.errors import EdgepackError, RunError
from edgepack.records.facts import Repair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from edgepack.records.stages import SourceModel

BATCH = 256  # large enough to hide TensorFlow's cost of a call
BATCH_ELEMENTS = 2**20  # of all inputs together: activations are many times as large
SESSION = "loaded through a TensorFlow 1 session, which reads the graph alone"
FROM_V1 = Repair(what=SESSION, why="it was saved without an object graph, by TensorFlow 1")
# Weights that do not fit the graph: a session would not look at the object graph that says so.
MISFIT = re.compile(r"[Ss]hape|[Ii]ncompatible")


class LoadedModel:
    """A loaded signature that maps NumPy arrays by input name to arrays by output name."""

    def __init__(self, source: SourceModel, program: Program, repairs: tuple[Repair, ...]) -> None:
        self.program, self.repairs = program, repairs
        self._origin = source.origin or source.path
        self._scalars = source.scalars
        one = source.stateful or source.scalars
        self._fixed_batch = source.fixed_batch or (1 if one else None)

    def __call__(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Answer to one batch, [batch, ...] by name, from the model's initial state.

        Raises:
            RunError: TensorFlow fails on the samples.
        """
        return self.run(self.program, feed)

    def run(
        self,
        function: Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]],
        feed: Mapping[str, NDArray[Any]],
    ) -> dict[str, NDArray[Any]]:
        """Feed one batch to a function over the model's inputs.

        Raises:
            RunError: TensorFlow fails on the samples.
        """
        tf = import_tensorflow()
        fed = {name: a[0] if name in self._scalars else a for name, a in feed.items()}
        try:
            return function(fed)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise RunError(
                "the source model fails on the samples: "
                f"{type(error).__name__}: {first_line(error)}",
                where=self._origin,
                hint="Check the samples against the model: ids within the table, shapes, lengths.",
            ) from error

    @property
    def has_fixed_batch(self) -> bool:
        """Whether the model itself decides how many samples go in at a time."""
        return self._fixed_batch is not None

    def batch_of(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        """How many samples to ask at a time, of arrays [n, ...] by input name."""
        elements = sum(prod(array.shape[1:]) for array in inputs.values())
        return self._fixed_batch or min(BATCH, max(1, BATCH_ELEMENTS // max(1, elements)))


@lru_cache(maxsize=1)  # conversion, answers and timing of one build share the loaded model
def load(source: SourceModel) -> LoadedModel:
    """Load a model from its object graph, or else through a TensorFlow 1 session.

    Raises:
        ModelError: neither can load it; TensorFlow's reason is quoted.
    """
    if not source.objects:
        return LoadedModel(source, _by_session(source), (FROM_V1,))
    try:
        return LoadedModel(source, ObjectProgram(source), ())
    except EdgepackError:
        raise
    except Exception as error:
        if source.function or MISFIT.search(str(error)):
            raise load_refusal(source, error) from error
        why = f"TensorFlow 2 cannot load it: {type(error).__name__}: {first_line(error)}"
        return LoadedModel(source, _by_session(source), (Repair(what=SESSION, why=why),))


def _by_session(source: SourceModel) -> SessionProgram:
    try:
        return SessionProgram(source)
    except EdgepackError:
        raise
    except Exception as error:
        raise load_refusal(source, error) from error


def answer_all(model: LoadedModel, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A model's answers to samples in memory, [n, ...] by name; n at least one."""
    samples = len(next(iter(inputs.values())))
    answers = [model(batch) for _, batch in batches(inputs, samples, model.batch_of(inputs))]
    return {name: np.concatenate([a[name] for a in answers])[:samples] for name in answers[0]}


def batches(
    arrays: Mapping[str, NDArray[Any]], samples: int, batch: int
) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """Slices of `batch` samples; the last one is padded by repeating its last sample."""
    for start in range(0, samples, batch):
        index = np.minimum(np.arange(start, start + batch), samples - 1)
        yield start, {name: array[index] for name, array in arrays.items()}
