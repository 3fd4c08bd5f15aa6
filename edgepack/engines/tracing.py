"""A .tflite whose every intermediate tensor can be read after an invocation. Runs in a worker."""

from __future__ import annotations

import warnings
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.interpreter import Session, dequantize
from edgepack.engines.subgraph import Subgraph
from edgepack.errors import RuntimeRefusalError
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgepack.records.dataset import SplitData
    from edgepack.records.stages import TFLiteModel
    from edgepack.tflite.graph import Graph


class Trace(Session):
    """A session that keeps every tensor.

    The kernels are those that also serve without: XNNPACK writes what is inside its parts of the
    graph too when it is asked to, and rounds int8 otherwise than the runtime's own kernels do.
    """

    def _open(self) -> None:
        self._interpreter = _preserving(self._model)
        self._graph = Subgraph(self._interpreter, self._model.signature)
        self.batch = self._fit()
        details = self._interpreter.get_tensor_details(self._graph.index)
        self._details = {detail["name"]: detail for detail in details}

    def tensor(self, name: str) -> NDArray[Any] | None:
        """A tensor's real values after the last invocation; nothing where the file has none.

        Quantized ones are dequantized. What is neither float nor quantized, such as a shape or a
        text, does not count, nor does what the runtime has optimized away.
        """
        detail = self._details.get(name)
        if detail is None or not (_is_float(detail) or detail["quantization"][0]):
            return None
        try:
            stored = self._interpreter.get_tensor(detail["index"], self._graph.index)
        except ValueError:  # no data: nothing computes it
            return None
        return dequantize(stored, detail)

    def activations(self) -> Iterator[str]:
        """Names of the float tensors that depend on the samples and are read, in graph order.

        What a loop leaves behind and nobody reads may be memory that nothing was written to.
        """
        graph = self._graph_of_file
        made = {index for node in graph.operators for index in node.outputs} | {*graph.inputs}
        read = {index for node in graph.operators for index in node.inputs} | {*graph.outputs}
        for index in sorted(made & read):
            if graph.tensors[index].dtype == "float32":
                yield graph.tensors[index].name

    def scale(self, name: str) -> float | None:
        """The step of a quantized tensor, or of what a DEQUANTIZE made the float tensor of."""
        detail = self._details.get(self._restored.get(name, name))
        return float(detail["quantization"][0]) or None if detail else None

    @cached_property
    def _graph_of_file(self) -> Graph:
        content = Path(self._model.path).read_bytes()
        return graphs(root(content, schema.IDENTIFIER))[self._graph.index]

    @cached_property
    def _restored(self) -> dict[str, str]:
        """What each output of a DEQUANTIZE was before, by name."""
        graph = self._graph_of_file
        return {
            graph.tensor(node.outputs[0]).name: graph.tensor(node.inputs[0]).name
            for node in graph.operators
            if node.name == "DEQUANTIZE"
        }


def _is_float(detail: dict[str, Any]) -> bool:
    return bool(np.issubdtype(detail["dtype"], np.floating))


def open_trace(model: TFLiteModel, split: SplitData) -> Trace:
    """A trace whose inputs have the shapes of a split's samples.

    Raises:
        RuntimeRefusalError: the runtime cannot load the file with them.
        SignatureError: the file's inputs are not the samples'.
    """
    try:
        return Trace(model, {name: ref.shape[1:] for name, ref in split.inputs.items()})
    except (RuntimeError, ValueError) as error:
        what = f"ai-edge-litert cannot load it to look into it: {str(error).strip()[:400]}"
        raise RuntimeRefusalError(what, where=model.path) from error


def _preserving(model: TFLiteModel) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it takes memory is known
        return Interpreter(
            model_path=model.path,
            num_threads=model.threads,
            experimental_preserve_all_tensors=True,
        )
