"""How finely a file's float outputs are graded, where integers are behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import CorruptError, refuse, root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.tflite.graph import Graph

# Operators that make no difference of their input larger, and may stand behind the last integers.
PASSING = frozenset(
    ("EXPAND_DIMS", "LOGISTIC", "RELU", "RELU6", "RESHAPE", "SOFTMAX", "SQUEEZE", "TANH")
)


def float_steps(path: Path) -> dict[str, float]:
    """What one step of the integers behind it changes a float output by, at most.

    Args:
        path: of a .tflite.

    Returns:
        By the tensor's own name, of those outputs that are dequantized integers, or a softmax and
        the like of them.

    Raises:
        ModelError: it is not a whole .tflite.
        OSError: it cannot be read.
    """
    try:
        found = graphs(root(path.read_bytes(), schema.IDENTIFIER))
        return {name: step for graph in found for name, step in _steps(graph)}
    except (CorruptError, RecursionError) as error:
        raise refuse(str(path), error) from error


def _steps(graph: Graph) -> Iterator[tuple[str, float]]:
    makers = {index: node for node in graph.operators for index in node.outputs}
    for output in graph.outputs:
        index, node = output, makers.get(output)
        for _ in graph.operators:  # a damaged file may go in circles
            if node is None or node.name not in PASSING:
                break
            index = node.inputs[0]
            node = makers.get(index)
        if node is not None and node.name == "DEQUANTIZE":
            scales = graph.tensor(node.inputs[0]).quantization
            if scales is not None:
                yield graph.tensor(output).name, max(scales.scales)
