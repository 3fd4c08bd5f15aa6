"""A contract as a file: made of signatures, written to be diffed, read strictly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edgepack import files
from edgepack.errors import ConfigError
from edgepack.records.contract import Contract, ExpectedSignature, ExpectedTensor
from edgepack.tomlfile.plain import validate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from edgepack.records.settings import VariantName
    from edgepack.records.tensors import Signature, Tensor

LARGEST_FILE = 1_000_000  # bytes
REWRITE = "edgepack inspect --contract {} PATH writes one."


def agree(
    signatures: Iterable[Signature],
    *,
    variants: tuple[VariantName, ...] = (),
    quantized: bool = True,
    scales: bool = False,
) -> Contract:
    """The contract that these signatures fulfil.

    Args:
        signatures: of one file; inputs and outputs are listed by name.
        variants: those it speaks for; all when empty.
        quantized: whether to say which tensors are quantized. A SavedModel cannot know.
        scales: state scales and zero points too, for an app that has them built in.
    """

    def expected(side: tuple[Tensor, ...]) -> tuple[ExpectedTensor, ...]:
        found = (_expected(tensor, quantized=quantized, scales=scales) for tensor in side)
        return tuple(sorted(found, key=lambda tensor: tensor.name))

    found = (
        ExpectedSignature(name=s.name, inputs=expected(s.inputs), outputs=expected(s.outputs))
        for s in signatures
    )
    return Contract(variants=variants, signatures=tuple(sorted(found, key=lambda s: s.name)))


def _expected(tensor: Tensor, *, quantized: bool, scales: bool) -> ExpectedTensor:
    bare = ExpectedTensor(name=tensor.name, dtype=tensor.dtype, shape=tensor.dims)
    stored = tensor.quantization
    if not quantized:
        return bare
    if stored is None or not stored.scales:
        return bare.model_copy(update={"quantization": "none"})
    zero_points = stored.zero_points or (0,) * len(stored.scales)  # a file may leave them out
    figures = {"scales": stored.scales, "zero_points": zero_points} if scales else {}
    return bare.model_copy(update={"quantization": "any", **figures})


def write(contract: Contract, path: Path) -> None:
    """Write a contract as JSON with a line a tensor, always the same text for the same contract.

    Raises:
        OutputError: it cannot be written.
    """
    files.write_atomic(path, text(contract).encode())


def text(contract: Contract) -> str:
    """A contract as JSON that shows what changed in a diff: one tensor a line."""
    signatures = ",\n".join(map(_signature_text, contract.signatures))
    variants = json.dumps(contract.variants)
    return (
        f'{{\n  "schema_version": {contract.schema_version},\n  "variants": {variants},\n'
        f'  "signatures": [\n{signatures}\n  ]\n}}\n'
    )


def _signature_text(signature: ExpectedSignature) -> str:
    name = json.dumps(signature.name, ensure_ascii=False)
    sides = (("inputs", signature.inputs), ("outputs", signature.outputs))
    blocks = ",\n".join(f'      "{side}": {_tensors_text(tensors)}' for side, tensors in sides)
    return f'    {{\n      "name": {name},\n{blocks}\n    }}'


def _tensors_text(tensors: tuple[ExpectedTensor, ...]) -> str:
    if not tensors:
        return "[]"
    lines = ",\n".join(f"        {_tensor_text(tensor)}" for tensor in tensors)
    return f"[\n{lines}\n      ]"


def _tensor_text(tensor: ExpectedTensor) -> str:
    fields = tensor.model_dump(exclude={"scales", "zero_points"} if not tensor.scales else None)
    return json.dumps(fields, ensure_ascii=False)


def read(path: Path) -> Contract:
    """Read a contract.

    Raises:
        ConfigError: unreadable, not JSON, or not a contract; says everything that is wrong.
    """
    found = validate(Contract, _document(path))
    if isinstance(found, Contract):
        faults = tuple(_faults(found))
    else:
        faults = tuple(p.message.replace("a table", "an object") for p in found)
    if faults or not isinstance(found, Contract):
        raise ConfigError("; ".join(faults), where=path, hint=REWRITE.format(path.name))
    return found


def _document(path: Path) -> dict[str, Any]:
    hint = REWRITE.format(path.name)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ConfigError("is too large to be a contract", where=path, hint=hint)
        document = json.loads(content, object_pairs_hook=_pairs)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", where=path, hint=hint) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", where=path, hint=hint) from error
    if not isinstance(document, dict):
        raise ConfigError("not a JSON object", where=path, hint=hint)
    return document


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ValueError(f"the key {twice[0]!r} stands twice in one object")
    return dict(pairs)


def _faults(contract: Contract) -> Iterator[str]:
    """What no field's type forbids, and no model can be."""
    names = [signature.name for signature in contract.signatures]
    if not names:
        yield "signatures is empty: name at least one"
    yield from (f"signature {name!r} stands twice" for name in _repeated(names))
    for signature in contract.signatures:
        for kind, side in (("input", signature.inputs), ("output", signature.outputs)):
            where = f"signature {signature.name!r}: {kind}"
            for name in _repeated([tensor.name for tensor in side]):
                yield f"{where} {name!r} stands twice"
            for tensor in side:
                yield from (f"{where} {tensor.name!r} {fault}" for fault in _tensor_faults(tensor))


def _tensor_faults(tensor: ExpectedTensor) -> Iterator[str]:
    if below := [size for size in tensor.shape or () if size < -1]:
        yield f"has a dimension of {below[0]}; -1 accepts any size"
    if len(tensor.scales) != len(tensor.zero_points):
        yield f"has {len(tensor.scales)} scales and {len(tensor.zero_points)} zero points"
    elif tensor.scales and tensor.quantization != "any":
        yield 'has scales: its quantization must be "any"'


def _repeated(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
