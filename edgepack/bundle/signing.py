"""Signatures of bundles: made, and checked before anything that they cover is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.bundle import envelope, statement
from edgepack.bundle.envelope import SHOWN, Envelope
from edgepack.bundle.keys import lesser
from edgepack.bundle.statement import pae

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edgepack.bundle.keys import PublicKey, Signer


@dataclass(frozen=True)
class Signed:
    """What the signatures of a bundle say.

    Args:
        names: of releases, as the signed statements have them.
        checked: ids of the given keys whose signatures hold.
        unchecked: ids of keys that were not given.
        faults: what is wrong with them.
    """

    names: frozenset[str]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...]
    faults: tuple[str, ...]


def sign(name: str, digests: Mapping[str, str], signers: Iterable[Signer]) -> dict[str, bytes]:
    """The members that hold the signatures of a bundle, by name.

    Args:
        name: of the release, as its manifest has it.
        digests: SHA-256 by member in the archive's order, but of signatures.
        signers: each signs once.

    Raises:
        KeyFileError: a signer fails.
    """
    payload = statement.statement(name, digests)
    made = (
        Envelope(payload, one.signature(pae(payload)), one.public.key_id)
        for one in {one.public.key_id: one for one in signers}.values()
    )
    return {envelope.member(one.key_id): one.text() for one in made}


def examine(
    members: Mapping[str, bytes], digests: Mapping[str, str], keys: Sequence[PublicKey]
) -> Signed:
    """Hold the signatures of a bundle against keys and against what its members should be.

    Args:
        members: the members below signatures/, by name.
        digests: SHA-256 by member in the archive's order, as SHA256SUMS lists them, and its own.
        keys: those that are trusted; none: only the form is checked.
    """
    given = {key.key_id: key for key in keys}
    names, faults = set(), []
    ids = envelope.key_ids(members)
    for member, key_id in ids.items():
        name, found = _examine(members[member], key_id, given.get(key_id), digests)
        names.add(name)
        faults += found
    if given and not given.keys() & set(ids.values()):
        faults.insert(0, unsigned(ids.values()))
    checked = tuple(one for one in ids.values() if one in given)
    unchecked = tuple(one for one in ids.values() if one not in given)
    return Signed(frozenset(names - {""}), checked, unchecked, tuple(faults))


def unsigned(key_ids: Iterable[str]) -> str:
    """What to say where no given key has signed."""
    if others := ", ".join(f"{one[:SHOWN]}" for one in key_ids):
        return f"not signed by the given key: its signatures are by {others}"
    return "not signed: a key was given, and the bundle holds no signature"


def examine_detached(
    data: bytes,
    digests: Mapping[str, str],
    signatures: Mapping[str, str],
    keys: Sequence[PublicKey],
) -> Iterator[str]:
    """What is wrong with a signature beside the bundle, by any program of model signing.

    Args:
        data: the signature's file.
        digests: SHA-256 by member, but of signatures.
        signatures: SHA-256 of members that are signatures, which it may cover too.
        keys: one of them must have signed.
    """
    try:
        found = envelope.read(data)
    except ValueError as error:
        yield f"not a signature: {error}"
        return
    if not any(key.holds(found.signature, pae(found.payload)) for key in keys):
        yield "does not hold: it is another key's, or was changed"
        return
    try:
        _, signed = statement.read(found.payload)
    except ValueError as error:
        yield f"holds, and {error}"
        return
    for name in sorted({*signed, *digests}):
        if signed.get(name, "") != digests.get(name, signatures.get(name)):
            yield f"{name}: is not what was signed"


def _examine(
    data: bytes, key_id: str, key: PublicKey | None, digests: Mapping[str, str]
) -> tuple[str, list[str]]:
    """The release's name that one signature is for, and what is wrong with it."""
    by = f"the signature by {key_id[:SHOWN]}"
    try:
        found = envelope.read(data)
    except ValueError as error:
        return "", [f"{by} cannot be read: {error}"]
    if key is not None and not key.holds(found.signature, pae(found.payload)):
        return "", [f"{by} does not hold: the contents or the signature were changed"]
    if found.key_id != key_id or found.text() != data or not _canonical(found.signature):
        return "", [f"{by} is not in canonical form"]
    return _name(found.payload, digests, by)


def _name(payload: bytes, digests: Mapping[str, str], by: str) -> tuple[str, list[str]]:
    try:
        name, _ = statement.read(payload)
    except ValueError as error:
        return "", [f"{by} cannot be read: {error}"]
    if statement.statement(name, digests) != payload:
        return name, [f"{by} is for other contents than SHA256SUMS lists"]
    return name, []


def _canonical(signature: bytes) -> bool:
    """Whether it is the one encoding of the one form that signers here leave."""
    try:
        return lesser(signature) == signature
    except ValueError:
        return False
