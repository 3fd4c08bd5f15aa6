"""Checks a bundle: every byte of it, against the canonical form and against its own manifest."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from edgepack.bundle import claims, framing, parts, reader
from edgepack.errors import ModelError, VerificationError
from edgepack.records.verification import Verification
from edgepack.tflite import reader as tflite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.bundle.framing import Entry
    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.manifest import Manifest, ModelEntry

MAX_TEXT = 16 << 20  # bytes of one member that is not a model


@dataclass(frozen=True)
class _Member:
    """One entry, and what its payload is."""

    entry: Entry
    crc: int
    sha256: str


def verify(path: Path) -> Verification:
    """Check that a bundle is whole, canonical, and what its manifest says.

    Needs no TensorFlow and no NumPy; memory is bounded by the largest model.

    Raises:
        VerificationError: it is not; lists every difference that was found.
        UsageError: there is no such file, or it cannot be read.
    """
    with reader.opened(path) as file:
        manifest = check(file, path)
        file.seek(0)
        return Verification(
            path=str(path),
            sha256=hashlib.file_digest(file, "sha256").hexdigest(),
            size_bytes=file.tell(),
            name=manifest.name,
            version=manifest.version,
            schema_version=manifest.schema_version,
            failed=manifest.failed,
            variants=tuple(model.variant for model in manifest.models),
        )


def check(file: BinaryIO, where: Path) -> Manifest:
    """Do the work of `verify` on an open file.

    Raises:
        VerificationError: it is not whole; lists every difference, each naming its member.
    """
    return _judged(*_examine(file), where)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle whose framing holds. Models and digests are not checked.

    Raises:
        VerificationError: the framing or the manifest is wrong.
        UsageError: there is no such file, or it cannot be read.
    """
    with reader.opened(path) as file:
        entries = {entry.name: entry for entry in reader.entries(file, path)}
        return _judged(*_manifest(file, entries.get(parts.MANIFEST)), path)


def _judged(manifest: Manifest | None, faults: list[str], where: Path) -> Manifest:
    if manifest is None or faults:
        count = "one difference" if len(faults) == 1 else f"{len(faults)} differences"
        raise VerificationError(
            "\n  ".join((f"not a whole bundle: {count}", *faults)),
            where=where,
            hint="Do not ship it: build it again, or fetch it again from where it was built.",
        )
    return manifest


def _examine(file: BinaryIO) -> tuple[Manifest | None, list[str]]:
    found = reader.scan(file)
    if found.faults and not found.entries:
        return None, list(found.faults)
    members = {entry.name: _member(file, entry) for entry in found.entries}
    faults = [*found.faults, *_crc_faults(members), *_sums_faults(file, members)]
    entry = members[parts.MANIFEST].entry if parts.MANIFEST in members else None
    manifest, more = _manifest(file, entry)
    faults += more
    if manifest is not None:
        faults += _stamp_faults(manifest, found.stamp)
        faults += _claim_faults(file, manifest, members)
    return manifest, list(dict.fromkeys(faults))


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
    unlisted = {parts.SUMS, parts.SIGNATURE}
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
    yield from claims.member_faults(manifest, members.keys())
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
