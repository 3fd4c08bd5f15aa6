"""TensorFlow: one float32 conversion, and the source model's own answers. Runs in a worker."""

from __future__ import annotations

import sys
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import (
    create_outputs,
    open_array,
    open_outputs,
    require_rows,
    write_rows,
)
from edgepack.engines.refusals import first_line, reason, refusal
from edgepack.errors import ModelError
from edgepack.records.facts import Repair
from edgepack.records.stages import Conversion
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import SourceModel

LIST_OP = "TensorListReserve"
SINGLE_BATCH = Repair(
    what="converted the lists of recurrent layers for one sample at a time",
    why="their element shape depends on the batch, which TFLite's builtin ops need to know",
)
FUNCTION = Repair(
    what="converted the function that TensorFlow loads, in place of the files",
    why="read from the files, the converter leaves the weights out of the .tflite",
)
FLOAT32 = "float32.tflite"
BATCH = 256  # large enough to hide TensorFlow's cost of a call
BATCH_ELEMENTS = 2**20  # of all inputs together: activations are many times as large


def import_tensorflow() -> Any:
    """The module, without the scikit-learn that Keras would load along for its wrappers.

    That is a quarter of the time of `import tensorflow` where scikit-learn is installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    sys.modules["sklearn"] = None  # type: ignore[assignment] # an import of it now fails at once
    try:
        return import_module("tensorflow")
    finally:
        del sys.modules["sklearn"]


def convert(source: SourceModel, target: Path) -> Conversion:
    """Convert one signature to a float32 .tflite of builtin ops.

    Raises:
        ModelError: the converter refuses the model; its own reason is quoted.
    """
    tf = import_tensorflow()
    repairs: tuple[Repair, ...] = ()
    try:
        content = _converter(source).convert()
    except ModelError:
        raise
    except Exception as error:
        if LIST_OP not in str(error):
            raise refusal(source, error) from error
        content, repairs = _convert_single_batch(source), (SINGLE_BATCH,)
    if _is_hollow(content):
        content, repairs = _convert_function(source), (FUNCTION,)
    target.write_bytes(content)
    return Conversion(
        engine="tf.lite.TFLiteConverter",
        tensorflow_version=tf.version.VERSION,
        tensorflow_git_version=tf.version.GIT_VERSION,
        repairs=repairs,
    )


def _converter(source: SourceModel) -> Any:
    tf = import_tensorflow()
    try:
        return tf.lite.TFLiteConverter.from_saved_model(
            source.path, signature_keys=[source.signature], tags=set(source.tags)
        )
    except Exception as error:
        raise refusal(source, error) from error


def _convert_single_batch(source: SourceModel) -> bytes:
    """Recurrent layers keep their steps in lists whose element shape must be known."""
    converter = _converter(source)
    converter._experimental_default_to_single_batch_in_tensor_list_ops = True  # noqa: SLF001
    try:
        content: bytes = converter.convert()
    except Exception as error:
        raise refusal(source, error) from error
    return content


def _is_hollow(content: bytes) -> bool:
    """Whether a file reads variables that nothing in it ever sets: its weights are lost."""
    ops = {op.name for op in reader.parse(content, FLOAT32).ops}
    return "READ_VARIABLE" in ops and "ASSIGN_VARIABLE" not in ops


def _convert_function(source: SourceModel) -> bytes:
    """Let TensorFlow load the model, and convert the function it made with its weights."""
    tf = import_tensorflow()
    model = LoadedModel(source)
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([model.function], model.root)
        content: bytes = converter.convert()
    except Exception as error:
        raise refusal(source, error) from error
    if _is_hollow(content):
        raise ModelError(
            "TensorFlow's converter leaves the weights out of the file",
            where=source.origin or source.path,
            hint="Save the model again with tf.saved_model.save.",
        )
    return content


def predict(source: SourceModel, split: SplitData, directory: Path) -> Outputs:
    """Run the source model over a split and leave its outputs in `directory`.

    Raises:
        ModelError: TensorFlow cannot load it, or an output has not one row a sample.
    """
    model = LoadedModel(source)
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    outputs: Outputs | None = None
    written: dict[str, NDArray[Any]] = {}
    size = model.batch_of(arrays)
    for start, batch in _batches(arrays, split.samples, size):
        answer = model(batch)
        require_rows(answer, size)
        if outputs is None:
            outputs = create_outputs(answer, split.samples, directory)
            written = open_outputs(outputs)
        write_rows(answer, written, start, min(start + size, split.samples))
    assert outputs is not None  # a split of no samples never gets here
    return outputs


class LoadedModel:
    """A loaded signature that maps NumPy arrays by input name to arrays by output name."""

    def __init__(self, source: SourceModel) -> None:
        tf = import_tensorflow()

        self._origin = source.origin or source.path
        try:
            self.root = tf.saved_model.load(source.path, tags=list(source.tags))
            self.function = self.root.signatures[source.signature]
        except Exception as error:
            raise ModelError(
                f"TensorFlow cannot load the model: {type(error).__name__}: {first_line(error)}",
                where=self._origin,
            ) from error
        self._dtypes = {
            name: spec.dtype for name, spec in self.function.structured_input_signature[1].items()
        }
        self._stateful = source.stateful
        self._fixed_batch = source.fixed_batch or (1 if source.stateful else None)
        self._initial = [v.numpy() for v in self._variables()] if source.stateful else []

    def __call__(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Answer to one batch, [batch, ...] by name, from the model's initial state."""
        tf = import_tensorflow()

        self._reset()
        tensors = {n: tf.constant(a, dtype=self._dtypes[n]) for n, a in feed.items()}
        try:
            answer = self.function(**tensors)
            return {name: np.asarray(value) for name, value in answer.items()}
        except tf.errors.OpError as error:
            raise ModelError(
                f"the source model fails on the samples: {type(error).__name__}: {reason(error)}",
                where=self._origin,
            ) from error

    def batch_of(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        """How many samples to ask at a time, of arrays [n, ...] by input name."""
        elements = sum(prod(array.shape[1:]) for array in inputs.values())
        return self._fixed_batch or min(BATCH, max(1, BATCH_ELEMENTS // max(1, elements)))

    def _variables(self) -> list[Any]:
        return list(self.function.variables)

    def _reset(self) -> None:
        if self._stateful:
            for variable, value in zip(self._variables(), self._initial, strict=True):
                variable.assign(value)


def answer_all(model: LoadedModel, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """A model's answers to samples in memory, [n, ...] by name; n at least one."""
    samples = len(next(iter(inputs.values())))
    answers = [model(batch) for _, batch in _batches(inputs, samples, model.batch_of(inputs))]
    return {name: np.concatenate([a[name] for a in answers])[:samples] for name in answers[0]}


def _batches(
    arrays: Mapping[str, NDArray[Any]], samples: int, batch: int
) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
    """Slices of `batch` samples; the last one is padded by repeating its last sample."""
    for start in range(0, samples, batch):
        index = np.minimum(np.arange(start, start + batch), samples - 1)
        yield start, {name: array[index] for name, array in arrays.items()}
