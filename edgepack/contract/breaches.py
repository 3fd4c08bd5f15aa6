"""Where a model is not what an app's contract says."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING

from edgepack.contract.changes import shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.records.contract import Contract, ExpectedTensor
    from edgepack.records.tensors import Quantization, Signature, Tensor

SAME_SCALE = 1e-6  # relative: a float32 that people shortened to seven digits is still the same


def speaks_for(contract: Contract, variant: str) -> bool:
    """Whether a contract is about a variant."""
    return not contract.variants or variant in contract.variants


def breaches(contract: Contract, signatures: Iterable[Signature]) -> tuple[str, ...]:
    """Everything in which a model's signatures are not what the contract says, in words.

    A dimension of -1 accepts any size; a fixed one must be equal. Signatures that the contract
    does not name may be there; of those it names, every input and output counts.
    """
    known = {signature.name: signature for signature in signatures}
    found: list[str] = []
    for expected in contract.signatures:
        if expected.name not in known:
            there = ", ".join(name or "one without a name" for name in sorted(known)) or "none"
            found.append(f"signature {expected.name!r} is missing; the model has: {there}")
            continue
        actual = known[expected.name]
        prefix = f"{expected.name}: " if len(contract.signatures) > 1 else ""
        sides = (
            *_side_breaches("input", expected.inputs, actual.inputs),
            *_side_breaches("output", expected.outputs, actual.outputs),
        )
        found += [prefix + breach for breach in sides]
    return tuple(found)


def _side_breaches(
    kind: str, expected: tuple[ExpectedTensor, ...], actual: tuple[Tensor, ...]
) -> Iterator[str]:
    wanted = {tensor.name: tensor for tensor in expected}
    there = {tensor.name: tensor for tensor in actual}
    for name in sorted(wanted.keys() - there.keys()):
        yield f"{kind} {name} is missing; the model has: {', '.join(sorted(there)) or 'none'}"
    for name in sorted(there.keys() - wanted.keys()):
        yield f"{kind} {name} is not in the contract"
    for name in sorted(wanted.keys() & there.keys()):
        yield from _tensor_breaches(f"{kind} {name}", wanted[name], there[name])


def _tensor_breaches(where: str, expected: ExpectedTensor, actual: Tensor) -> Iterator[str]:
    if expected.dtype != actual.dtype:
        yield f"{where}: dtype is {actual.dtype}, the contract says {expected.dtype}"
    if not accepts(expected.shape, actual.dims):
        said = shape(expected.shape)
        yield f"{where}: shape is {shape(actual.dims)}, the contract says {said}"
    yield from _quantization_breaches(where, expected, actual.quantization)


def accepts(expected: tuple[int, ...] | None, actual: tuple[int, ...] | None) -> bool:
    """Whether a shape is one of those that another stands for: -1 is any size, None any shape."""
    if expected is None:
        return True
    if actual is None or len(expected) != len(actual):
        return False
    return all(want in {-1, size} for want, size in zip(expected, actual, strict=True))


def _quantization_breaches(
    where: str, expected: ExpectedTensor, actual: Quantization | None
) -> Iterator[str]:
    quantized = actual is not None and bool(actual.scales)
    if expected.quantization == "none" and quantized:
        yield f"{where}: is quantized, the contract says it is not"
    elif expected.quantization == "any" and not quantized:
        yield f"{where}: is not quantized, the contract says it is"
    elif expected.scales and actual is not None:
        yield from _scale_breaches(where, expected, actual)


def _scale_breaches(where: str, expected: ExpectedTensor, actual: Quantization) -> Iterator[str]:
    said, found = expected.scales, actual.scales
    same = len(said) == len(found) and all(
        isclose(one, other, rel_tol=SAME_SCALE) for one, other in zip(said, found, strict=True)
    )
    if not same:
        yield f"{where}: scale is {_figures(found)}, the contract says {_figures(said)}"
    zero_points = actual.zero_points or (0,) * len(found)
    if expected.zero_points != zero_points:
        pair = (_figures(zero_points), _figures(expected.zero_points))
        yield "{}: zero point is {}, the contract says {}".format(where, *pair)


def _figures(values: tuple[float, ...]) -> str:
    return f"{values[0]:.9g}" if len(values) == 1 else f"[{', '.join(f'{v:.9g}' for v in values)}]"
