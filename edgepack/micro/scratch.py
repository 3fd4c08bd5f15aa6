"""What TFLite Micro's own kernels ask for beside tensors, and keep for each channel, in bytes.

Read in tensorflow/lite/micro/kernels of tensorflow/tflite-micro at
90b983c2b3f1480642e040bbd2ddb37b998f3424 on 2026-11-28. Kernels of others (CMSIS-NN) ask for more.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.tflite.graph import Graph, GraphOperator, GraphTensor

WEIGHTS = 1  # place among the inputs
INTEGERS = {"int8": 4, "int16": 8}  # an accumulator, by what is accumulated
CHANNELS = {"CONV_2D": 0, "TRANSPOSE_CONV": 0, "DEPTHWISE_CONV_2D": 3}  # the weights' dimension
REDUCERS = frozenset(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"))
UNPACKED = frozenset(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"))
LUT = 513 * 2  # each of two tables of a softmax on int16
LSTM_BUFFERS = 4


def elements(tensor: GraphTensor) -> int:
    """How many numbers it has; open dimensions count as what the file says."""
    return prod(max(size, 0) for size in tensor.shape or ())


def scratch(node: GraphOperator, graph: Graph) -> tuple[int, ...]:
    """Buffers that one node needs while it runs.

    Raises:
        CorruptError: it names a tensor that is not there.
    """
    used = [graph.tensor(index) for index in node.inputs if index >= 0]
    made = [graph.tensor(index) for index in node.outputs if index >= 0]
    if not used or not made:
        return ()
    if node.name in UNPACKED and len(used) > WEIGHTS and used[WEIGHTS].dtype == "int4":
        return (elements(used[WEIGHTS]),)
    return _of_kernel(node.name, used, made[0])


def _of_kernel(name: str, used: list[GraphTensor], made: GraphTensor) -> tuple[int, ...]:
    rank = 4 * len(used[0].shape or ())
    if name == "TRANSPOSE_CONV" and made.dtype in INTEGERS:
        return (INTEGERS[made.dtype] * elements(made),)
    if name in REDUCERS:
        axes = 4 * elements(used[-1])
        sums = (4 * elements(made),) if name == "MEAN" and made.dtype in INTEGERS else ()
        return (*sums, rank, axes)
    if name == "SVDF" and len(used) > WEIGHTS:
        filters = 4 * (used[WEIGHTS].shape or (1,))[0] * (used[0].shape or (1,))[0]
        return (filters, 4 * elements(made)) if made.dtype == "int8" else (filters,)
    if name == "UNIDIRECTIONAL_SEQUENCE_LSTM":
        states = [one for one in used if one.variable]
        size = max((elements(one) for one in states), default=0)
        return ((4 if made.dtype == "float32" else 2) * size,) * LSTM_BUFFERS
    return {"MIRROR_PAD": (rank, rank), "ADD_N": (8 * len(used),)}.get(name, ())


def kept(node: GraphOperator, graph: Graph) -> tuple[int, ...]:
    """Buffers that one node keeps beside its fixed data.

    Raises:
        CorruptError: it names a tensor that is not there.
    """
    used = [graph.tensor(index) for index in node.inputs if index >= 0]
    if node.name == "SOFTMAX" and used and used[0].dtype == "int16":
        return LUT, LUT
    if len(used) <= WEIGHTS:
        return ()
    weights = used[WEIGHTS]
    if node.name in CHANNELS and len(weights.shape or ()) > CHANNELS[node.name]:
        return (4 * max(0, (weights.shape or ())[CHANNELS[node.name]]),) * 2
    scales = weights.quantization.scales if weights.quantization else ()
    return (4 * len(scales),) * 2 if node.name == "FULLY_CONNECTED" and len(scales) > 1 else ()
