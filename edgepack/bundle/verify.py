"""Checks a bundle: every byte of it, against the canonical form and against its own manifest.

Signatures come first: where keys are given, nothing that a signature covers is interpreted before
one of them holds.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from edgepack.bundle import claims, envelope, framing, parts, reader, signing
from edgepack.errors import ModelError, UntrustedError, VerificationError
from edgepack.tflite import reader as tflite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from edgepack.bundle.framing import Entry
    from edgepack.bundle.keys import PublicKey
    from edgepack.bundle.reader import Scan
    from edgepack.bundle.signing import Signed
    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.manifest import Manifest, ModelEntry

MAX_TEXT = 2 << 20  # bytes of one member that is not a model; a second's work for hostile JSON
MAX_SIGNATURE = 1 << 20
MAX_SIGNATURES = 32
HINT = "Do not ship it: build it again, or fetch it again from where it was built."


@dataclass(frozen=True)
class Checked:
    """A bundle that holds.

    Args:
        manifest: what it says.
        entries: where its members are, by name.
        digests: SHA-256 by member in the archive's order, but of signatures.
        signatures: SHA-256 of the members that are signatures.
        signed: what the signatures say.
    """

    manifest: Manifest
    entries: Mapping[str, Entry]
    digests: Mapping[str, str]
    signatures: Mapping[str, str]
    signed: Signed

    @property
    def contents(self) -> str:
        """SHA-256 of SHA256SUMS, and so of everything but the signatures."""
        return self.digests[parts.SUMS]


@dataclass(frozen=True)
class _Member:
    """One entry, and what its payload is."""

    entry: Entry
    crc: int
    sha256: str


def check(file: BinaryIO, where: Path, keys: Sequence[PublicKey] = ()) -> Checked:
    """Check that an open bundle is whole, canonical, signed and what its manifest says.

    Needs no TensorFlow and no NumPy; memory is bounded by the largest model.

    Args:
        file: the bundle.
        where: what messages call it.
        keys: one of them must have signed; none: signatures are checked for their form.

    Raises:
        UntrustedError: it is not signed by a given key.
        VerificationError: it is not whole; lists every difference, each naming its member.
    """
    found = reader.scan(file)
    if found.faults and not found.entries:
        raise _refused(found.faults, where)
    signed = _signed(file, found, keys)
    if keys and signed.faults:
        raise _untrusted(signed.faults, where)
    members = {entry.name: _member(file, entry) for entry in found.entries}
    manifest, faults = _examine(file, found, members)
    faults += signed.faults
    if manifest is None or faults or signed.names - {manifest.name}:
        others = [f"a signature is for {name!r}" for name in sorted(signed.names)]
        raise _refused(faults or others, where)
    own = envelope.key_ids(members)
    return Checked(
        manifest,
        {name: one.entry for name, one in members.items()},
        {name: one.sha256 for name, one in members.items() if name not in own},
        {name: members[name].sha256 for name in own},
        signed,
    )


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle whose framing holds. Models and digests are not checked.

    Raises:
        VerificationError: the framing or the manifest is wrong.
        UsageError: there is no such file, or it cannot be read.
    """
    with reader.opened(path) as file:
        entries = {entry.name: entry for entry in reader.entries(file, path)}
        manifest, faults = _manifest(file, entries.get(parts.MANIFEST))
        if manifest is None or faults:
            raise _refused(faults, path)
        return manifest


def _refused(faults: Sequence[str], where: Path) -> VerificationError:
    listed = tuple(dict.fromkeys(faults))
    count = "one difference" if len(listed) == 1 else f"{len(listed)} differences"
    return VerificationError(
        "\n  ".join((f"not a whole bundle: {count}", *listed)), where=where, hint=HINT
    )


def _untrusted(faults: Sequence[str], where: Path) -> UntrustedError:
    hint = "Ask whoever releases it which key signs, and check by a copy of the key that you trust."
    return UntrustedError("\n  ".join(faults), where=where, hint=hint)


def _signed(file: BinaryIO, found: Scan, keys: Sequence[PublicKey]) -> Signed:
    entries = {entry.name: entry for entry in found.entries}
    own = {name: entries[name] for name in envelope.key_ids(entries)}
    if len(own) > MAX_SIGNATURES or any(one.size > MAX_SIGNATURE for one in own.values()):
        fault = f"more than {MAX_SIGNATURES} signatures, or one of more than {MAX_SIGNATURE} bytes"
        return signing.Signed(frozenset(), (), (), (fault,))
    sums = _text(file, entries[parts.SUMS]) if parts.SUMS in entries else None
    texts = {name: b"".join(reader.payload(file, entry)) for name, entry in own.items()}
    return signing.examine(texts, parts.signed_digests(sums or b""), keys)


def _examine(
    file: BinaryIO, found: Scan, members: dict[str, _Member]
) -> tuple[Manifest | None, list[str]]:
    faults = [*found.faults, *_crc_faults(members), *_sums_faults(file, members)]
    entry = members[parts.MANIFEST].entry if parts.MANIFEST in members else None
    manifest, more = _manifest(file, entry)
    faults += more
    if manifest is not None:
        faults += _stamp_faults(manifest, found.stamp)
        faults += _claim_faults(file, manifest, members)
    return manifest, faults


def _member(file: BinaryIO, entry: Entry) -> _Member:
    digest, crc = hashlib.sha256(), 0
    for chunk in reader.payload(file, entry):
        digest.update(chunk)
        crc = zlib.crc32(chunk, crc)
    return _Member(entry, crc, digest.hexdigest())


def _crc_faults(members: dict[str, _Member]) -> Iterator[str]:
    for name, member in members.items():
        if member.crc != member.entry.crc:
            yield f"{name}: bytes changed: CRC-32 is {member.crc:08x}, not {member.entry.crc:08x}"


def _sums_faults(file: BinaryIO, members: dict[str, _Member]) -> list[str]:
    if parts.SUMS not in members:
        return [f"{parts.SUMS}: missing"]
    data = _text(file, members[parts.SUMS].entry)
    if data is None:
        return [_too_long(parts.SUMS)]
    unlisted = {parts.SUMS, *envelope.key_ids(members)}
    digests = {name: member.sha256 for name, member in members.items() if name not in unlisted}
    return parts.sums_faults(data, digests)


def _manifest(file: BinaryIO, entry: Entry | None) -> tuple[Manifest | None, list[str]]:
    if entry is None:
        return None, [f"{parts.MANIFEST}: missing"]
    data = _text(file, entry)
    if data is None:
        return None, [_too_long(parts.MANIFEST)]
    return parts.read_manifest(data)


def _text(file: BinaryIO, entry: Entry) -> bytes | None:
    """A small member's bytes, or None where it is too long to be one."""
    return b"".join(reader.payload(file, entry)) if entry.size <= MAX_TEXT else None


def _too_long(name: str) -> str:
    return f"{name}: longer than {MAX_TEXT} bytes"


def _stamp_faults(manifest: Manifest, stamp: tuple[int, int]) -> Iterator[str]:
    if stamp != framing.dos_time(manifest.epoch):
        yield f"{parts.MANIFEST}: epoch {manifest.epoch} is not the time of the entries"


def _claim_faults(file: BinaryIO, manifest: Manifest, members: dict[str, _Member]) -> Iterator[str]:
    yield from claims.member_faults(manifest, members.keys() - envelope.key_ids(members).keys())
    yield from claims.inner_faults(manifest)
    for model in manifest.models:
        if model.path in members:
            yield from _model_faults(file, model, members[model.path])
    if manifest.classes and parts.LABELS in members:
        data = _text(file, members[parts.LABELS].entry)
        yield from (
            [_too_long(parts.LABELS)]
            if data is None
            else parts.labels_faults(data, manifest.classes)
        )


def _model_faults(file: BinaryIO, model: ModelEntry, member: _Member) -> Iterator[str]:
    yield from claims.payload_faults(model, member.entry.size, member.sha256)
    try:
        facts = _facts(file, member)
    except ModelError as error:
        yield f"{model.path}: not a readable .tflite: {error.message}"
    else:
        yield from claims.fact_faults(model, facts)


def _facts(file: BinaryIO, member: _Member) -> TFLiteFacts:
    file.seek(member.entry.offset)
    return tflite.parse(file.read(member.entry.size), member.entry.name)
