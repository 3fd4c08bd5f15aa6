"""Rows of text that are padded to the longest of them, so that no length is known before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.savedmodel.wire import signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.savedmodel.messages import Node
    from edgepack.savedmodel.wire import Message

PADS = "RaggedTensorToTensor"  # its first input is the shape to pad to
INT32 = 3
WIDTH = {INT32: 4}
MINUS_ONE = 0xFF  # each byte of it
# TensorProto: tensor_content (4), int_val (7), int64_val (10)
CONTENT, VALUES = 4, (7, 10)


def pads_to_longest(nodes: Iterable[Node]) -> bool:
    """Whether rows are padded without a length, as Keras' TextVectorization does by default."""
    every = list(nodes)
    pads = [node for node in every if node.op == PADS and node.inputs]
    if not pads:
        return False
    constants = {node.name: node for node in every if node.op == "Const"}
    shapes = [constants.get(node.inputs[0].split(":", 1)[0]) for node in pads]
    return any(shape is not None and _ends_open(shape) for shape in shapes)


def _ends_open(constant: Node) -> bool:
    """Whether the last number of a constant is -1."""
    value = constant.attribute("value")
    tensor = value.message(8) if value else None
    return _last_is_minus_one(tensor) if tensor else False


def _last_is_minus_one(tensor: Message) -> bool:
    content = b"".join(tensor.raw(CONTENT))
    if content:
        last = content[-WIDTH.get(tensor.number(1), 8) :]
        return all(byte == MINUS_ONE for byte in last)
    numbers = [number for kind in VALUES for number in tensor.numbers(kind)]
    return bool(numbers) and signed(numbers[-1]) == -1
