"""What one signature of a loaded .tflite runs: a subgraph, whose tensors are bound by name.

The interpreters' public methods reach the first subgraph only, and a file has one for each of its
signatures. Their signature runners reach the others but resize, run and copy in one call, which
could not be timed apart; so this goes by the calls that these runners make. Runs in a worker.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Details = dict[str, dict[str, Any]]


class Subgraph:
    """Inputs and outputs of a signature by name, of a file without signatures by the tensors' own.

    Args:
        interpreter: of ai-edge-litert or tflite-runtime.
        signature: its name; empty for the only one, or where the file has none.

    Raises:
        ValueError: the file has no such signature.
    """

    def __init__(self, interpreter: Any, signature: str) -> None:
        self._interpreter = interpreter
        self._calls = interpreter._interpreter  # noqa: SLF001 - see above
        self.index = 0
        self.inputs: Details = {d["name"]: d for d in interpreter.get_input_details()}
        self.outputs: Details = {d["name"]: d for d in interpreter.get_output_details()}
        if signature or interpreter.get_signature_list():
            runner = interpreter.get_signature_runner(signature or None)
            self.index = runner._subgraph_index  # noqa: SLF001 - see above
            self.inputs, self.outputs = runner.get_input_details(), runner.get_output_details()

    def resize(self, name: str, shape: Sequence[int]) -> None:
        """Give an input another shape, before `allocate`."""
        size = np.array(shape, np.int32)
        self._calls.ResizeInputTensor(self.inputs[name]["index"], size, False, self.index)

    def allocate(self) -> None:
        """Make room for every tensor.

        tflite-runtime gives no part of a file to XNNPACK unless it is asked for all that a run of
        the first subgraph needs, which is the call that names none (one convolution took 2.25 ms
        in place of 0.64). That this may fail, as no sample gave it a shape, is nothing to the run
        of another signature.
        """
        if not self.index:
            self._calls.AllocateTensors()
            return
        with suppress(RuntimeError, ValueError):
            self._calls.AllocateTensors()
        self._calls.AllocateTensors(self.index)

    def feed(self, name: str, values: NDArray[Any]) -> None:
        """Copy values into an input."""
        self._calls.SetTensor(self.inputs[name]["index"], values, self.index)

    def invoke(self) -> None:
        """Run once."""
        self._calls.Invoke(self.index)

    def read(self, name: str) -> NDArray[Any]:
        """A copy of an output."""
        values: NDArray[Any] = self._calls.GetTensor(self.outputs[name]["index"], self.index)
        return values
