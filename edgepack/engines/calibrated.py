"""A float32 .tflite with the ranges of its activations written in, as TensorFlow's quantizer reads.

The quantizer takes a tensor without a range for one that is not to be quantized. So where all that
makes and uses a tensor is kept in float, its range is withheld; names alone would not do, as the
quantizer passes over some that it is told to leave. Loops and branches have no ranges: inside of
them all stays float.

A model that was trained with quantization in mind brings ranges along, as pairs of QUANTIZE and
DEQUANTIZE that the quantizer takes over. A range of ours beside them would overrule them, even for
weights: those would get one scale for all channels, and the kernels refuse the file.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from edgepack.errors import QuantizationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    Range = tuple[float, float]

FLOAT32 = 0  # TensorType.FLOAT32
EIGHT_BITS = frozenset((3, 9))  # TensorType.UINT8, INT8
QUANTIZE, DEQUANTIZE = 114, 6  # BuiltinOperator


def calibrated(content: bytes, ranges: Mapping[str, Range], kept: Collection[str]) -> bytes:
    """The same file with minima and maxima.

    Args:
        content: the float32 file; ranges of kernels' inner tensors that it has already stay.
        ranges: by tensor name.
        kept: names of the first outputs of operators that stay float.

    Raises:
        QuantizationError: it was trained for other integers than those of 8 bits.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    entered = {signature.subgraphIndex for signature in model.signatureDefs or ()} or {0}
    for number, graph in enumerate(model.subgraphs):
        known = ranges if number in entered else {}
        withheld = _inside(graph, kept) | _trained(model, graph)
        inner = _inner(graph) - withheld
        for index, tensor in enumerate(graph.tensors):
            limits = known.get(tensor.name.decode()) if index not in withheld else None
            if _is_activation(model, tensor) and index not in inner:
                _set(tensor, limits)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _set(tensor: Any, limits: Range | None) -> None:
    from ai_edge_litert import schema_py_generated as schema

    tensor.quantization = schema.QuantizationParametersT()
    if limits:
        tensor.quantization.min, tensor.quantization.max = [limits[0]], [limits[1]]


def _is_activation(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return tensor.type == FLOAT32 and (data is None or not len(data))


def _inside(graph: Any, kept: Collection[str]) -> set[int]:
    """Tensors that only kept operators make and use."""
    touched: dict[int, list[bool]] = {}
    for node in graph.operators:
        stays = graph.tensors[node.outputs[0]].name.decode() in kept
        for index in chain(node.inputs, node.outputs, _intermediates(node)):
            touched.setdefault(int(index), []).append(stays)
    return {index for index, stays in touched.items() if all(stays)}


def _inner(graph: Any) -> set[int]:
    """Tensors of which only a kernel itself can tell the range."""
    inner = {int(index) for node in graph.operators for index in _intermediates(node)}
    return inner | {index for index, tensor in enumerate(graph.tensors) if tensor.isVariable}


def _intermediates(node: Any) -> Iterator[int]:
    return iter(() if node.intermediates is None else node.intermediates)


def _trained(model: Any, graph: Any) -> set[int]:
    """Tensors on both sides of a QUANTIZE and DEQUANTIZE that training has left.

    Raises:
        QuantizationError: the quantizer would take the type over, which kernels then refuse.
    """
    found: set[int] = set()
    for node in graph.operators:
        code = model.operatorCodes[node.opcodeIndex].builtinCode
        if code == QUANTIZE:
            if graph.tensors[node.outputs[0]].type not in EIGHT_BITS:
                raise QuantizationError("the model was trained for other integers than int8")
            found.add(int(node.inputs[0]))
        if code == DEQUANTIZE:
            found.add(int(node.outputs[0]))
    return found
