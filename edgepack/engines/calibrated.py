"""A float32 .tflite with the ranges of its activations written in, as TensorFlow's quantizer reads.

The quantizer takes a tensor without a range for one that is not to be quantized. So where all that
makes and uses a tensor is kept in float, its range is withheld; names alone would not do, as the
quantizer passes over some that it is told to leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    Range = tuple[float, float]

FLOAT32 = 0  # TensorType.FLOAT32


def calibrated(content: bytes, ranges: Mapping[str, Range], kept: Collection[str]) -> bytes:
    """The same file with minima and maxima.

    Args:
        content: the float32 file.
        ranges: by tensor name.
        kept: names of the first outputs of operators that stay float.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:
        inside = _inside(graph, kept)
        for index, tensor in enumerate(graph.tensors):
            limits = ranges.get(tensor.name.decode())
            if limits and index not in inside and _is_activation(model, tensor):
                tensor.quantization = schema.QuantizationParametersT()
                tensor.quantization.min, tensor.quantization.max = [limits[0]], [limits[1]]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _is_activation(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return tensor.type == FLOAT32 and (data is None or not len(data))


def _inside(graph: Any, kept: Collection[str]) -> set[int]:
    """Tensors that only kept operators make and use."""
    touched: dict[int, list[bool]] = {}
    for node in graph.operators:
        stays = graph.tensors[node.outputs[0]].name.decode() in kept
        for index in (*node.inputs, *node.outputs):
            touched.setdefault(int(index), []).append(stays)
    return {index for index, stays in touched.items() if all(stays)}
