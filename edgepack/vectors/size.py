"""How many bytes golden vectors take, from what is known before they are recorded."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.tensors import Signature, Tensor

MOST_BYTES = 16 << 20
TOO_MUCH = f"more than {MOST_BYTES >> 20} MiB with all answers"
MOST_FILES = 400  # a bundle has at most 1000 members
WIDTHS = {"float64": 8, "complex64": 8, "float16": 2, "bool": 1, "string": 4}


def per_sample(
    split: SplitData, source: Outputs, files: Sequence[tuple[Signature, Outputs]]
) -> int:
    """Bytes that one sample takes in all files, inputs that files share counted once.

    Args:
        split: samples as the files take them.
        source: the source's answers.
        files: each file's signature and answers, dequantized.
    """
    inputs = {
        (tensor.name, tensor.dtype, repr(tensor.quantization)): _input(tensor, split)
        for signature, _ in files
        for tensor in signature.inputs
    }
    answers = [_outputs(signature.outputs, outputs) for signature, outputs in files]
    real = sum(8 * prod(ref.shape[1:]) for ref in source.arrays.values())
    return sum(inputs.values()) + sum(answers) + real


def files(signatures: Sequence[Signature]) -> int:
    """How many files there are at most."""
    return sum(len(one.inputs) + len(one.outputs) for one in signatures)


def affordable(count: int, per_sample: int) -> int:
    """How many of `count` samples fit into MOST_BYTES; 0 where not even one does."""
    return min(count, MOST_BYTES // max(1, per_sample))


def _input(tensor: Tensor, split: SplitData) -> int:
    ref = split.inputs[tensor.name]
    width = _width(tensor.dtype)
    if tensor.dtype == "string":
        width += int("".join(filter(str.isdigit, ref.dtype)) or 0) // 8
    return width * prod(ref.shape[1:])


def _outputs(tensors: Sequence[Tensor], outputs: Outputs) -> int:
    shapes: Mapping[str, int] = {n: prod(ref.shape[1:]) for n, ref in outputs.arrays.items()}
    return sum(_width(tensor.dtype) * shapes.get(tensor.name, 0) for tensor in tensors)


def _width(dtype: str) -> int:
    """Bytes of an element, 8 of an unknown type; the digits of a type's name are its bits."""
    bits = "".join(filter(str.isdigit, dtype))
    return WIDTHS.get(dtype) or max(1, int(bits or 64) // 8)
