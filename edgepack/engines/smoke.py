"""One invocation of the signatures of a file that no samples are for. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array
from edgepack.engines.interpreter import loaded
from edgepack.engines.subgraph import Subgraph
from edgepack.errors import RuntimeRefusalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgepack.records.dataset import SplitData
    from edgepack.records.stages import TFLiteModel


def smoke_others(model: TFLiteModel, others: tuple[str, ...], split: SplitData) -> None:
    """Run each of the other signatures once: on a sample's inputs where it has them, else on zeros.

    Raises:
        RuntimeRefusalError: one cannot be allocated or run.
    """
    for name in others:
        try:
            graph = Subgraph(loaded(model), name)
            graph.allocate()
            for key, detail in graph.inputs.items():
                graph.feed(key, _value(key, detail, split))
            graph.invoke()
        except (RuntimeError, ValueError) as error:
            raise RuntimeRefusalError(
                f"the signature {name} cannot be run: {str(error).strip()[:400]}", where=model.path
            ) from error


def _value(name: str, detail: dict[str, Any], split: SplitData) -> NDArray[Any]:
    shape, dtype = tuple(detail["shape"]), detail["dtype"]
    if name in split.inputs:
        row = open_array(split.inputs[name])[:1]
        if row.shape == shape and row.dtype == dtype:
            return np.ascontiguousarray(row)
    return np.zeros(shape, "S1" if dtype in (np.bytes_, np.object_) else dtype)
