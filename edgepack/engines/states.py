"""Ranges of what an LSTM kernel keeps to itself: its states, and sums between its gates.

No interpreter shows those from outside, and the int8 kernel does not load without them; kernels of
TensorFlow's calibrator tell them. It is given one sample a run, as a run begins with empty
states: TFLiteConverter lets those of one sample run on into the next, and finds other ranges.
Of a state it sees what is left at a sample's end, not the steps before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.arrays import open_array, rows_of
from edgepack.engines.importing import import_tensorflow
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgepack.records.dataset import SplitData

KERNELS = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM")


def lstms(content: bytes) -> frozenset[str]:
    """Names of the first outputs of every LSTM kernel in a file."""
    return frozenset(
        graph.tensor(node.outputs[0]).name
        for graph in graphs(root(content, schema.IDENTIFIER))
        for node in graph.operators
        if node.name in KERNELS
    )


def can_observe(content: bytes) -> bool:
    """Whether TensorFlow's calibrator may run a file.

    With a loop in it the process dies of signal 11; of several signatures with states it can
    allocate only one, and then fails to reset the others.
    """
    return len(graphs(root(content, schema.IDENTIFIER))) == 1


def observed(content: bytes, samples: SplitData) -> bytes:
    """The file with its LSTM kernels' inner tensors, and TensorFlow's ranges of all tensors.

    Args:
        content: a float32 file that `can_observe` allows.
        samples: of its only signature.
    """
    import_tensorflow()
    from tensorflow.lite.python.optimize.calibrator import Calibrator, add_intermediate_tensors

    calibrator = Calibrator(add_intermediate_tensors(content))
    found = content
    for feed in _feeds(content, samples):
        found = calibrator.calibrate(lambda feed=feed: iter([feed]))
    return bytes(found)


def _feeds(content: bytes, samples: SplitData) -> Iterator[list[NDArray[Any]]]:
    """One invocation's inputs after the other, in the order of the graph's inputs."""
    inputs = _inputs(content)
    arrays = {name: open_array(samples.inputs[name]) for name in inputs}
    sizes = [
        shape[0]
        for name, (_, shape) in inputs.items()
        if len(shape) == arrays[name].ndim and shape[0] > 0
    ]
    batch = max([1, *sizes])
    for row in range(0, samples.samples, batch):
        rows = rows_of(arrays, row, batch)
        yield [
            np.asarray(rows[name] if len(shape) == arrays[name].ndim else rows[name][0], dtype, "C")
            for name, (dtype, shape) in inputs.items()
        ]


def _inputs(content: bytes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape by the signature's name, in the order of the graph's inputs."""
    from ai_edge_litert import schema_py_generated as flat

    model = flat.ModelT.InitFromPackedBuf(content, 0)
    (signature,), (graph,) = model.signatureDefs, model.subgraphs
    names = {int(port.tensorIndex): port.name.decode() for port in signature.inputs}
    found = [(names[int(index)], graph.tensors[index]) for index in graph.inputs]
    return {
        name: (schema.TENSOR_TYPES[tensor.type], tuple(map(int, tensor.shape)))
        for name, tensor in found
    }
