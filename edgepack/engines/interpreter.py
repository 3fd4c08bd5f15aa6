"""One .tflite on one interpreter: by-name inputs and outputs, quantized and dequantized here.

Serves ai-edge-litert and tflite-runtime, whose `Interpreter` classes agree. Runs in a worker.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import (
    create_outputs,
    open_array,
    open_outputs,
    rows,
    rows_of,
    single_value,
    write_rows,
)
from edgepack.engines.subgraph import Subgraph
from edgepack.errors import MissingExtraError, RuntimeRefusalError, SignatureError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import TFLiteModel

LONGEST = 400  # characters of a runtime's own words
Arrays = dict[str, "NDArray[Any]"]
MODULES = {
    "ai-edge-litert": "ai_edge_litert.interpreter",
    "tflite-runtime": "tflite_runtime.interpreter",
}
RESOLVERS = {
    "default": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}


class Session:
    """An allocated interpreter for one signature of one model.

    Args:
        model: the file, its signature, threads and runtime.
        shapes: shape of one sample by input name, without the batch dimension.

    Raises:
        SignatureError: the file's inputs are not the samples'.
        RuntimeError, ValueError: the runtime refuses the file, or the samples' shapes.
    """

    def __init__(self, model: TFLiteModel, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._model, self._shapes = model, shapes
        self._open()

    def _open(self) -> None:
        self._interpreter = loaded(self._model)
        self._graph = Subgraph(self._interpreter, self._model.signature)
        self.batch = self._fit()

    def _fit(self) -> int:
        """Give every input its sample's shape and allocate; return the batch size.

        An input with as many dimensions as a sample takes one sample an invocation, such as a flag,
        a rate, or a sound of any length. The runtime describes one of unknown rank as if it had no
        dimensions; the samples tell them apart.
        """
        if set(self._shapes) != set(self._graph.inputs):
            raise SignatureError(
                f"the file's inputs are {sorted(self._graph.inputs)}, "
                f"the samples' {sorted(self._shapes)}",
                where=self._model.path,
            )
        inputs = self._graph.inputs.items()
        self._single = {n for n, d in inputs if d["shape"].size == len(self._shapes[n])}
        counted = [d for n, d in inputs if n not in self._single and d["shape"].size]
        batch = max([1, *(int(detail["shape_signature"][0]) for detail in counted)])
        for name, detail in inputs:
            shape = [*([] if name in self._single else [batch]), *self._shapes[name]]
            if detail["shape"].tolist() != shape:
                self._graph.resize(name, shape)
        self._graph.allocate()
        return batch

    @property
    def subgraph(self) -> int:
        """Which of the file's subgraphs is run."""
        return self._graph.index

    def operators(self) -> list[dict[str, Any]]:
        """Nodes of the first subgraph: the file's own, then those of delegates."""
        found = self._interpreter._get_ops_details()  # noqa: SLF001 - no public way to see them
        return list(found)

    def _has_op(self, name: str) -> bool:
        return any(op["op_name"] == name for op in self.operators())

    @property
    def delegate(self) -> str:
        """XNNPACK where the runtime gave it at least one part of the graph, else empty."""
        return "XNNPACK" if self._has_op("DELEGATE") else ""

    def feed(self, batch: Mapping[str, NDArray[Any]]) -> None:
        """Quantize float samples where the input is quantized, and copy them in.

        Raises:
            ShapeError: an input without dimensions is to take different values in one batch.
        """
        for name, values in self.stored(batch).items():
            self._graph.feed(name, values)

    def stored(self, batch: Mapping[str, NDArray[Any]]) -> Arrays:
        """Samples as the file's inputs take them: of their type, quantized where they are.

        Raises:
            ShapeError: as `feed` does.
        """
        return {
            name: quantize(
                single_value(name, batch[name]) if name in self._single else batch[name], detail
            )
            for name, detail in self._graph.inputs.items()
        }

    def invoke(self) -> None:
        """Run once on what was fed."""
        self._graph.invoke()

    def reset(self) -> None:
        """Forget the state that a stateful model keeps between invocations.

        Variable tensors can be reset; a resource variable is only ever initialized once for an
        interpreter, so that one needs a new interpreter. So does a file of several signatures: of
        those beyond the first the runtime does not tell the ops, and it resets all or none.
        """
        if not self._model.stateful:
            return
        several = len(self._interpreter.get_signature_list()) > 1
        if several or self._graph.index or self._has_op("VAR_HANDLE"):
            self._open()
        else:
            self._interpreter.reset_all_variables()

    def outputs(self) -> Arrays:
        """The outputs of the last invocation, dequantized, [batch, ...] by name."""
        return {
            name: dequantize(self._graph.read(name), detail)
            for name, detail in self._graph.outputs.items()
        }

    def __call__(self, batch: Mapping[str, NDArray[Any]]) -> Arrays:
        """Reset, feed, invoke, read.

        Raises:
            RuntimeRefusalError: the runtime fails on these samples.
        """
        try:
            self.reset()
            self.feed(batch)
            self.invoke()
            return self.outputs()
        except (RuntimeError, ValueError) as error:
            raise refusal(self._model, "fails on the samples", error) from error


def warm() -> None:
    """Import what every variant needs, while the machine waits for TensorFlow anyway."""
    import_module("litert_quantizer.quantizer")
    import_module(MODULES["ai-edge-litert"])


def quantize(values: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[Any]:
    """Float values as the input stores them: q = round(x / scale + zero_point), saturated.

    Strings, bytes of one width, stay as they are: both runtimes take them without their padding.
    """
    dtype, (scale, zero_point) = detail["dtype"], detail["quantization"]
    if values.dtype.kind != "f" or not np.issubdtype(dtype, np.integer) or not scale:
        return np.asarray(values, dtype, "C")
    info = np.iinfo(dtype)
    stored: NDArray[Any] = np.rint(values / scale + zero_point).clip(info.min, info.max)
    return stored.astype(dtype)


def dequantize(stored: NDArray[Any], detail: Mapping[str, Any]) -> NDArray[Any]:
    """Stored values as the real ones they stand for: scale * (q - zero_point)."""
    scale, zero_point = detail["quantization"]
    if not scale:
        return stored
    real: NDArray[Any] = np.float32(scale) * (stored.astype(np.float32) - np.float32(zero_point))
    return real


def smoke(model: TFLiteModel, split: SplitData, directory: Path) -> Outputs:
    """Allocate and invoke on the first real sample; make room for every sample's outputs.

    Raises:
        RuntimeRefusalError: the runtime cannot load or run the file.
        RunError, ShapeError: an output does not hold one row of numbers a sample.
    """
    session = open_session(model, split)
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    answer = rows(session(rows_of(arrays, 0, session.batch)), session.batch)
    return create_outputs(answer, split.samples, directory)


def predict(model: TFLiteModel, split: SplitData, outputs: Outputs, start: int, stop: int) -> int:
    """Run samples start to stop and write their outputs; return how many.

    Raises:
        RuntimeRefusalError: the runtime fails on a sample.
        ShapeError: an output's shape depends on the sample.
    """
    session = open_session(model, split)
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    written = open_outputs(outputs)
    for row in range(start, stop, session.batch):
        answer = rows(session(rows_of(arrays, row, session.batch)), session.batch)
        write_rows(answer, written, row, min(row + session.batch, stop))
    return stop - start


def open_session(model: TFLiteModel, split: SplitData) -> Session:
    """A session whose inputs have the shapes of a split's samples.

    Raises:
        RuntimeRefusalError: the runtime cannot load the file with them.
        SignatureError: the file's inputs are not the samples'.
        MissingExtraError: the runtime is not installed.
    """
    shapes = {name: ref.shape[1:] for name, ref in split.inputs.items()}
    try:
        return Session(model, shapes)
    except (RuntimeError, ValueError) as error:
        raise refusal(model, "cannot load it", error) from error


def refusal(model: TFLiteModel, what: str, error: Exception) -> RuntimeRefusalError:
    """What the runtime said, after its name, as an error."""
    said = str(error).strip()[:LONGEST]
    return RuntimeRefusalError(f"{model.runtime} {what}: {said}", where=model.path)


def runtime_version(runtime: str) -> str:
    """The installed version of a runtime's distribution."""
    return version(runtime)


def loaded(model: TFLiteModel) -> Any:
    """The runtime's own interpreter, not yet allocated.

    Raises:
        MissingExtraError: the runtime is not installed.
    """
    try:
        module = import_module(MODULES[model.runtime])
    except ImportError as error:
        raise MissingExtraError(
            f"{model.runtime} is not installed",
            hint="tflite-runtime has wheels for Python 3.11 and older only; use ai-edge-litert."
            if model.runtime == "tflite-runtime"
            else 'Install it with: pip install "edgepack[build]"',
        ) from error
    resolver = getattr(module.OpResolverType, RESOLVERS[model.kernels])
    return module.Interpreter(
        model_path=model.path, num_threads=model.threads, experimental_op_resolver_type=resolver
    )
