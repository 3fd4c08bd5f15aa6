"""What litert-quantizer's files lack for runtimes other than the newest (docs/runtimes.md).

Biases beside float16 weights stay float32. ai-edge-litert 1.1.0 to 1.3.0 and TensorFlow 2.19 take a
convolution's for float16 then, and answer something else without a word, or refuse a depthwise one.
They are stored in float16 here, as TFLiteConverter stores them.

Operators that it adds are named in the newer field of the two that there are. Runtimes before
TensorFlow 2.4 read the older one, and take DEQUANTIZE for ADD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WEIGHTS = 1  # their place among a kernel's inputs
BIASES = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
LARGEST = float(np.finfo(np.float16).max)
LAST_OLD = 127  # what the older field says of operators that it has no number for
EMPTY = 0  # the buffer of tensors without data


def mended(content: bytes) -> bytes:
    """A file that older runtimes read, too; the same bytes where it lacks nothing.

    A bias that float16 cannot hold stays as it is.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(bytearray(content))
    done = [_Halving(model, graph, schema).done() for graph in model.subgraphs]
    if not any((*done, _named(model))):
        return content
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _named(model: Any) -> bool:
    """Name operators in the older field, too; whether one was not."""
    odd = [
        code
        for code in model.operatorCodes
        if code.deprecatedBuiltinCode != min(code.builtinCode, LAST_OLD)
    ]
    for code in odd:
        code.deprecatedBuiltinCode = min(code.builtinCode, LAST_OLD)
    return bool(odd)


@dataclass(frozen=True)
class _Halving:
    """One subgraph of a model, as the generated schema has them."""

    model: Any
    graph: Any
    schema: Any

    def done(self) -> bool:
        """Store the biases; whether there were any."""
        widened = [self._widened(*one) for one in dict(self._biases()).items()]
        self.graph.operators = [*widened, *self.graph.operators]
        return bool(widened)

    def _biases(self) -> Iterator[tuple[int, int]]:
        """Biases by index, each with the operator code that widens the weights beside it."""
        names = {number: name for name, number in vars(self.schema.BuiltinOperator).items()}
        codes = [names.get(one.builtinCode, "") for one in self.model.operatorCodes]
        widens = {}
        for node in self.graph.operators:
            name, place = codes[node.opcodeIndex], BIASES.get(codes[node.opcodeIndex], 0)
            if name == "DEQUANTIZE" and self._is_half(int(node.inputs[0])):
                widens[int(node.outputs[0])] = node.opcodeIndex
            elif 0 < place < len(node.inputs) and int(node.inputs[WEIGHTS]) in widens:
                bias = int(node.inputs[place])
                if bias >= 0 and self._fits(bias):
                    yield bias, widens[int(node.inputs[WEIGHTS])]

    def _is_half(self, tensor: int) -> bool:
        return bool(self.graph.tensors[tensor].type == self.schema.TensorType.FLOAT16)

    def _fits(self, bias: int) -> bool:
        """Whether it is a float32 constant that float16 holds."""
        values = self._values(bias)
        return values is not None and bool(np.abs(values).max() <= LARGEST)

    def _values(self, bias: int) -> NDArray[np.float32] | None:
        tensor = self.graph.tensors[bias]
        data = self.model.buffers[tensor.buffer].data
        if tensor.type != self.schema.TensorType.FLOAT32 or data is None or not len(data):
            return None
        return np.frombuffer(np.asarray(data, np.uint8).tobytes(), "<f4")

    def _widened(self, bias: int, code: int) -> Any:
        """The operator that makes float32 of the bias, whose numbers are stored in halves now."""
        values, tensor = self._values(bias), self.graph.tensors[bias]
        assert values is not None  # it fits
        small, buffer = self.schema.TensorT(), self.schema.BufferT()
        buffer.data = np.frombuffer(values.astype("<f2").tobytes(), np.uint8)
        small.name, small.shape = tensor.name + b"_float16", tensor.shape
        small.type, small.buffer = self.schema.TensorType.FLOAT16, len(self.model.buffers)
        self.model.buffers.append(buffer)
        self.graph.tensors.append(small)
        tensor.buffer = EMPTY
        node = self.schema.OperatorT()
        node.opcodeIndex, node.inputs, node.outputs = code, [len(self.graph.tensors) - 1], [bias]
        return node
