"""How one signature differs from another, in words an app developer can act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.tensors import Signature, Tensor


def changes(old: Signature, new: Signature) -> tuple[str, ...]:
    """Every difference that an app written for `old` would meet with `new`.

    Names, dtypes and shapes of inputs and outputs count. Names of tensors in the graph do not, nor
    do scales and zero points: they change with every training, and the manifest states them.
    """
    inputs = _tensor_changes("input", old.inputs, new.inputs)
    return (*inputs, *_tensor_changes("output", old.outputs, new.outputs))


def _tensor_changes(kind: str, old: tuple[Tensor, ...], new: tuple[Tensor, ...]) -> Iterator[str]:
    before, after = ({tensor.name: tensor for tensor in side} for side in (old, new))
    for name in sorted(before.keys() - after.keys()):
        yield f"{kind} {name} is gone"
    for name in sorted(after.keys() - before.keys()):
        yield f"{kind} {name} is new"
    for name in sorted(before.keys() & after.keys()):
        yield from _field_changes(f"{kind} {name}", before[name], after[name])


def _field_changes(where: str, old: Tensor, new: Tensor) -> Iterator[str]:
    if old.dtype != new.dtype:
        yield f"{where}: dtype {old.dtype} became {new.dtype}"
    if old.dims != new.dims:
        yield f"{where}: shape {shape(old.dims)} became {shape(new.dims)}"


def shape(dims: tuple[int, ...] | None) -> str:
    """Dimensions in words."""
    return "unknown" if dims is None else str(list(dims))
