"""What the calibrator sees of a model: samples of every signature they fit, and numbers only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.errors import QuantizationError
from edgepack.tflite import reader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.records.dataset import SplitData
    from edgepack.records.tensors import Signature, Tensor

Samples = list[dict[str, "NDArray[Any]"]]


class Numeric:
    """An interpreter that shows zeros for tensors of strings and tables.

    The calibrator takes minima of every tensor; strings have none, and a table's handle cannot be
    read at all.
    """

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._others: dict[int, set[int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._interpreter, name)

    def get_tensor(self, index: int, subgraph: int = 0) -> NDArray[Any]:
        """As the interpreter's, without what is no number."""
        if index in self._no_numbers(subgraph):
            return np.zeros(1, np.int64)
        values: NDArray[Any] = self._interpreter.get_tensor(index, subgraph)
        # The library cannot write a single truth value to its file of statistics.
        return values.astype(np.int64) if values.dtype == bool else values

    def _no_numbers(self, subgraph: int) -> set[int]:
        if subgraph not in self._others:
            details = self._interpreter.get_tensor_details(subgraph)
            others = {d["index"] for d in details if d["dtype"] in (np.bytes_, np.object_)}
            self._others[subgraph] = others
        return self._others[subgraph]


def samples_of(model: str, signature: str, split: SplitData) -> dict[str, Samples]:
    """Samples for every signature of a file: one with the same inputs shares them.

    Raises:
        QuantizationError: the samples do not fit another signature.
    """
    signatures = reader.read(Path(model)).signatures
    main = next((one for one in signatures if one.name == signature), signatures[0])
    for one in signatures:
        if _ports(one) != _ports(main):
            raise QuantizationError(
                f"the samples are for {main.name}, and {one.name} takes other inputs: "
                "no range of its tensors is known",
                where=model,
                hint="Leave that signature out of model.signatures, or build without int8.",
            )
    rows = _rows(main, split)
    return {one.name: rows for one in signatures}


def _ports(signature: Signature) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    return {tensor.name: (tensor.dtype, tensor.dims) for tensor in signature.inputs}


def _rows(signature: Signature, split: SplitData) -> Samples:
    """Views of the samples; a list, for the library goes over them twice."""
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    arrays = {name: open_array(ref) for name, ref in split.inputs.items()}
    return [
        {name: _row(array, row, tensors.get(name)) for name, array in arrays.items()}
        for row in range(split.samples)
    ]


def _row(array: NDArray[Any], row: int, tensor: Tensor | None) -> NDArray[Any]:
    single = tensor is not None and len(tensor.dims or ()) == array.ndim - 1
    return np.asarray(array[row]) if single else array[row : row + 1]
