"""The versions of operators that a file's tensors ask for, whatever version it states.

The quantizer states version 1 of every operator it changes, so that an old runtime takes the file
and computes something else.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edgepack.records.tensors import OpUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.tflite.graph import Graph, GraphOperator, GraphTensor

# The least version whose kernel takes these types: of the first input, or of the first two, and of
# a second one with a scale for each channel. What shapes and options ask for is not here: there the
# file's word is taken. Of fully connected layers with a scale for each channel see kernels.py.
# google-ai-edge/LiteRT, tflite/converter/tools/versioning/op_version.cc at
# 119ae633cc864d7c797a4b259706961f4baf22ed, read on 2026-11-24.
ASKED = {
    "AVERAGE_POOL_2D int8": 2,
    "AVERAGE_POOL_2D int16": 3,
    "CONV_2D float32 int8": 2,
    "CONV_2D float32 int8 per-channel": 5,
    "CONV_2D int8 int4": 7,
    "CONV_2D int8 int8": 3,
    "DEPTHWISE_CONV_2D float32 int8": 4,
    "DEPTHWISE_CONV_2D float32 int8 per-channel": 6,
    "DEPTHWISE_CONV_2D int8 int4": 7,
    "DEPTHWISE_CONV_2D int8 int8": 3,
    "FULLY_CONNECTED float32 int8": 3,
    "FULLY_CONNECTED int16 int16": 7,
    "FULLY_CONNECTED int16 int4": 13,
    "FULLY_CONNECTED int8 int4": 10,
    "FULLY_CONNECTED int8 int8": 4,
    "GATHER bool": 3,
    "GATHER int8": 2,
    "MAX_POOL_2D int8": 2,
    "MAX_POOL_2D int16": 3,
    "MUL complex64": 6,
    "MUL int64": 5,
    "MUL int8": 2,
    "MUL uint32": 7,
    "TRANSPOSE bool": 3,
    "TRANSPOSE int8": 2,
}


def asked(subgraphs: Sequence[Graph]) -> tuple[OpUse, ...]:
    """Operators by the higher of two versions: what the file states, and what its types ask for."""
    counts = Counter(
        (node.name, _version(node, graph), node.custom)
        for graph in subgraphs
        for node in graph.operators
    )
    return tuple(
        OpUse(name=name, version=version, custom=custom, count=count)
        for (name, version, custom), count in sorted(counts.items())
    )


def _version(node: GraphOperator, graph: Graph) -> int:
    tensors = [graph.tensor(index) for index in node.inputs[:2] if index >= 0]
    words = [node.name, *(tensor.dtype for tensor in tensors), *_spread(tensors)]
    keys = (" ".join(words[:count]) for count in range(2, len(words) + 1))
    return max(node.version, *(ASKED.get(key, 0) for key in keys), 0)


def _spread(tensors: list[GraphTensor]) -> tuple[str, ...]:
    scales = tensors[-1].quantization if tensors else None
    return ("per-channel",) if scales and len(scales.scales) > 1 else ()
