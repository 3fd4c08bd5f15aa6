"""One .tflite fed with what was recorded for it, in the types and shapes that it stores.

Runs in a worker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.interpreter import Session, refusal
from edgepack.errors import SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgepack.records.stages import TFLiteModel
    from edgepack.records.vectors import VectorTensor

    Tensors = tuple[VectorTensor, ...]
Arrays = dict[str, "NDArray[Any]"]


class Replay(Session):
    """An interpreter whose inputs have the shapes of recorded ones, batch included.

    Args:
        model: the file, its signature, threads, runtime and kernels.
        inputs: what is going to be fed.
        outputs: what is going to be compared; none while there is nothing recorded yet.

    Raises:
        SignatureError: the file takes or gives others.
        RuntimeError, ValueError: the runtime refuses the file, or the shapes.
    """

    def __init__(self, model: TFLiteModel, inputs: Tensors, outputs: Tensors) -> None:
        self._recorded = inputs, outputs
        super().__init__(model, {tensor.name: tensor.shape for tensor in inputs})

    def _fit(self) -> int:
        self._check()
        inputs = self._graph.inputs
        for name, shape in self._shapes.items():
            if inputs[name]["shape"].tolist() != list(shape):
                self._graph.resize(name, shape)
        self._graph.allocate()
        return 1

    def _check(self) -> None:
        """Compare names and types: the interpreter would take any bytes of the right length."""
        own = self._graph.inputs, self._graph.outputs
        for side, details, tensors in zip(("inputs", "outputs"), own, self._recorded, strict=True):
            found = {name: _dtype(detail) for name, detail in details.items()}
            recorded = {tensor.name: tensor.dtype for tensor in tensors}
            if tensors and found != recorded:
                raise SignatureError(
                    f"the file's {side} are {_worded(found)}, those recorded {_worded(recorded)}",
                    where=self._model.path,
                )

    def answer(self, fed: Mapping[str, NDArray[Any]]) -> Arrays:
        """What the file gives, as it stores it, from a state without memory.

        Raises:
            RuntimeRefusalError: the runtime fails on this.
        """
        try:
            self.reset()
            for name, values in fed.items():
                self._graph.feed(name, values)
            self.invoke()
        except (RuntimeError, ValueError) as error:
            raise refusal(self._model, "fails on the vectors", error) from error
        return {name: np.array(self._graph.read(name)) for name in self._graph.outputs}


def open_replay(model: TFLiteModel, inputs: Tensors, outputs: Tensors) -> Replay:
    """A session for recorded tensors.

    Raises:
        RuntimeRefusalError: the runtime cannot load the file.
        SignatureError: the file takes or gives other tensors.
        MissingExtraError: the runtime is not installed.
    """
    try:
        return Replay(model, inputs, outputs)
    except (RuntimeError, ValueError) as error:
        raise refusal(model, "cannot load it", error) from error


def _dtype(detail: Mapping[str, Any]) -> str:
    kind = np.dtype(detail["dtype"])
    return "string" if kind.kind in "SO" else kind.name


def _worded(tensors: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({dtype})" for name, dtype in sorted(tensors.items())) or "none"
