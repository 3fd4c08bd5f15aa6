"""Signatures: what an app feeds and reads, by name, type, shape and scale."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING, Literal

from edgepack.contract.breaches import SAME_SCALE, accepts
from edgepack.contract.changes import shape
from edgepack.difference.fields import LISTED, About, told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.difference import Change
    from edgepack.records.tensors import Quantization, Signature, Tensor


Kind = Literal["input", "output"]
CALLED = "apps that call it find nothing of that name"
VERBS: dict[Kind, str] = {"input": "feed", "output": "read"}
REMOVED: dict[Kind, str] = {
    "input": "apps that feed it are refused",
    "output": "apps that read it find nothing of that name",
}
NOT_FED = "apps do not feed it"
SCALED = "apps that quantize or dequantize themselves compute other values"


def signatures(
    subject: str, old: tuple[Signature, ...], new: tuple[Signature, ...]
) -> Iterator[Change]:
    """Every difference that an app would meet.

    Args:
        subject: what they are of, such as a variant.
        old: signatures that apps were written for.
        new: signatures that they would call.
    """
    before, after = ({one.name: one for one in side} for side in (old, new))
    for name in sorted(before.keys() - after.keys()):
        yield About("interface", subject).change("signature", (_called(name), ""), CALLED)
    for name in sorted(after.keys() - before.keys()):
        yield About("interface", subject).change("signature", ("", _called(name)))
    several = len(before.keys() | after.keys()) > 1
    for name in sorted(before.keys() & after.keys()):
        prefix = f"{_called(name)}: " if several else ""
        one, other = before[name], after[name]
        changes = (
            *_side(subject, prefix, "input", one.inputs, other.inputs),
            *_side(subject, prefix, "output", one.outputs, other.outputs),
        )
        about = About("interface", subject, prefix.removesuffix(": "))
        yield from told(about, one, other, changes)


def _called(name: str) -> str:
    return name or "one without a name"


def _side(
    subject: str, prefix: str, kind: Kind, old: tuple[Tensor, ...], new: tuple[Tensor, ...]
) -> Iterator[Change]:
    before, after = ({one.name: one for one in side} for side in (old, new))
    renamed = _renamed(
        [before[name] for name in before.keys() - after.keys()],
        [after[name] for name in after.keys() - before.keys()],
    )
    made = _Maker(subject, prefix, kind)
    for one in sorted(before.keys() - after.keys() - renamed.keys()):
        yield made.change("", kind, (one, ""), REMOVED[kind])
    for one in sorted(after.keys() - before.keys() - set(renamed.values())):
        yield made.change("", kind, ("", one), NOT_FED if kind == "input" else "")
    for one, other in sorted(renamed.items()):
        yield made.change(one, "name", (one, other), f"apps {VERBS[kind]} it by its name")
    kept = {name: name for name in before.keys() & after.keys()}
    for one, other in sorted({**kept, **renamed}.items()):
        yield from _tensor(made, before[one], after[other])


def _renamed(gone: list[Tensor], come: list[Tensor]) -> dict[str, str]:
    """Tensors that are at the place of another one, and of its type and shape: old to new name."""
    forms = Counter(map(_form, come))
    known = {_form(tensor): tensor.name for tensor in come}
    once = Counter(map(_form, gone))
    pairs = ((tensor.name, _form(tensor)) for tensor in gone)
    return {name: known[form] for name, form in pairs if forms[form] == once[form] == 1}


def _form(tensor: Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.dims, tensor.subgraph_index


@dataclass(frozen=True)
class _Maker:
    """Makes changes of one side of one signature."""

    subject: str
    prefix: str
    kind: Kind

    def change(self, name: str, what: str, pair: tuple[str, str], why: str = "") -> Change:
        """A change of a tensor, or of the side where none is named."""
        part = f"{self.prefix}{self.kind} {name}" if name else self.prefix.removesuffix(": ")
        return About("interface", self.subject, part).change(what, pair, why)


def _tensor(made: _Maker, old: Tensor, new: Tensor) -> Iterator[Change]:
    verb, name = VERBS[made.kind], new.name
    if old.dtype != new.dtype:
        why = f"apps {verb} {old.dtype} values"
        yield made.change(name, "dtype", (old.dtype, new.dtype), why)
    yield from _shape(made, old, new)
    yield from _quantization(made, name, old.quantization, new.quantization)
    if old.subgraph_index != new.subgraph_index:
        pair = _place(old.subgraph_index), _place(new.subgraph_index)
        why = f"apps that {verb} by position {verb} another one" if all(pair) else ""
        yield made.change(name, "position", pair, why)
    if old.tensor != new.tensor:
        yield made.change(name, "tensor name", (old.tensor, new.tensor))


def _place(index: int | None) -> str:
    return "" if index is None else str(index)


def _shape(made: _Maker, old: Tensor, new: Tensor) -> Iterator[Change]:
    """An input that takes more, and an output that gives less, are what apps expect."""
    takes = (new.dims, old.dims) if made.kind == "input" else (old.dims, new.dims)
    fits = accepts(*takes) and old.shape == new.shape
    why = "" if fits else f"apps {VERBS[made.kind]} tensors of the old shape"
    if old.dims != new.dims:
        yield made.change(new.name, "shape", (shape(old.dims), shape(new.dims)), why)
    elif old.shape != new.shape:
        yield made.change(new.name, "default shape", (shape(old.shape), shape(new.shape)), why)


def _quantization(
    made: _Maker, name: str, old: Quantization | None, new: Quantization | None
) -> Iterator[Change]:
    one, other = _figures(old), _figures(new)
    along = {found.axis for found in (old, new) if found}
    if one != other or len(along) > 1:
        why = "" if _close(one, other) and len(along) == 1 else SCALED
        yield made.change(name, "quantization", (_said(old), _said(new)), why)


def _figures(found: Quantization | None) -> tuple[tuple[float, int], ...]:
    """Scales with their zero points, which a file may leave out."""
    if found is None:
        return ()
    zero_points = found.zero_points or (0,) * len(found.scales)
    return tuple(zip(found.scales, zero_points, strict=False))


def _close(one: tuple[tuple[float, int], ...], other: tuple[tuple[float, int], ...]) -> bool:
    return len(one) == len(other) and all(
        a[1] == b[1] and isclose(a[0], b[0], rel_tol=SAME_SCALE)
        for a, b in zip(one, other, strict=True)
    )


def _said(found: Quantization | None) -> str:
    pairs = _figures(found)
    if found is None or not pairs:
        return "none"
    if len(pairs) == 1:
        return f"scale {pairs[0][0]:.9g}, zero point {pairs[0][1]}"
    first = ", ".join(f"{scale:.9g}" for scale, _ in pairs[:LISTED])
    more = ", ..." if len(pairs) > LISTED else ""
    return f"{len(pairs)} scales along axis {found.axis}: {first}{more}"
