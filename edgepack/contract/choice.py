"""Which signatures of a SavedModel, a .tflite or a bundle a contract is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.contract.changes import changes
from edgepack.contract.document import agree
from edgepack.errors import SignatureError, UsageError
from edgepack.records.facts import SavedModelFacts, TFLiteFacts
from edgepack.records.settings import VARIANTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.records.contract import Contract
    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.records.settings import VariantName
    from edgepack.records.tensors import Signature

SERVING = "serving_default"
INTEGER: tuple[VariantName, ...] = ("int8",)  # variants whose inputs and outputs are quantized


@dataclass(frozen=True)
class Choice:
    """What of a model the app uses.

    Attributes:
        variant: of a bundle, the one shipped; else the only one that the contract speaks for.
        signature: the one called, where not all or the usual one.
        scales: whether the app has scales and zero points built in.
    """

    variant: str = ""
    signature: str = ""
    scales: bool = False


def contract_of(found: SavedModelFacts | TFLiteFacts | Manifest, choice: Choice) -> Contract:
    """The contract that a model fulfils as it is.

    Of a SavedModel and of a .tflite it speaks for the variants whose inputs and outputs are of
    that kind: int8 where these are quantized, else all others.

    Raises:
        SignatureError: there is no such signature, or no telling which one the app calls.
        UsageError: there is no such variant, or no telling which one the app ships.
    """
    if isinstance(found, SavedModelFacts):
        chosen = _serving(found.signatures, choice.signature)
        return agree(chosen, variants=_variants(chosen, choice), quantized=False)
    if isinstance(found, TFLiteFacts):
        chosen = _named(found.signatures, choice.signature)
        return agree(chosen, variants=_variants(chosen, choice), scales=choice.scales)
    entries = _entries(found, choice.variant)
    chosen = _named(entries[0].signatures, choice.signature)
    variants = tuple(_known(entry.variant) for entry in entries)
    return agree(chosen, variants=variants, scales=choice.scales)


def _variants(signatures: Iterable[Signature], choice: Choice) -> tuple[VariantName, ...]:
    if choice.variant:
        return (_known(choice.variant),)
    tensors = (tensor for s in signatures for tensor in (*s.inputs, *s.outputs))
    if any(tensor.quantization and tensor.quantization.scales for tensor in tensors):
        return INTEGER
    return tuple(name for name in VARIANTS if name not in INTEGER)


def _known(variant: str) -> VariantName:
    if variant not in VARIANTS:
        raise UsageError(f'there is no variant "{variant}"', hint=f"Known: {', '.join(VARIANTS)}.")
    return variant


def _serving(signatures: tuple[Signature, ...], name: str) -> tuple[Signature, ...]:
    """The one a build would take: the one named, serving_default, or the only one."""
    usable = tuple(s for s in signatures if s.inputs and s.outputs)
    if name or len(usable) < 2:  # noqa: PLR2004 - two are what leaves a choice
        return _named(usable, name)
    if any(s.name == SERVING for s in usable):
        return _named(usable, SERVING)
    raise SignatureError(
        "has several signatures, and no telling which one the app calls",
        hint=f"Name one with --signature: {', '.join(s.name for s in usable)}.",
    )


def _named(signatures: tuple[Signature, ...], name: str) -> tuple[Signature, ...]:
    chosen = tuple(s for s in signatures if name in {"", s.name})
    if not chosen:
        known = ", ".join(s.name or "one without a name" for s in signatures) or "none"
        raise SignatureError(
            f'has no signature "{name}"' if name else "has no signature", hint=f"It has: {known}."
        )
    return chosen


def _entries(manifest: Manifest, variant: str) -> tuple[ModelEntry, ...]:
    """The variants of a bundle that an app may take for each other."""
    names = ", ".join(entry.variant for entry in manifest.models)
    entries = tuple(m for m in manifest.models if variant in {"", m.variant})
    if not entries:
        raise UsageError(f'the bundle has no variant "{variant}"', hint=f"It has: {names}.")
    unlike = [entry for entry in entries if not _alike(entries[0], entry)]
    if unlike:
        raise UsageError(
            "the bundle's variants differ in their inputs or outputs",
            hint=f"Name the one that the app ships with --variant: {names}.",
        )
    return entries


def _alike(one: ModelEntry, other: ModelEntry) -> bool:
    mine, others = ({s.name: s for s in entry.signatures} for entry in (one, other))
    return mine.keys() == others.keys() and not any(
        changes(mine[name], others[name]) for name in mine
    )
