"""Bundles that are signed and yet wrong, and zips that no zip program writes."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import bundle_samples

from edgepack.bundle import framing, parts, signing
from edgepack.bundle.contents import write_bundle
from edgepack.files import canonical_json, sha256_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from edgepack.bundle.keys import Signer
    from edgepack.records.manifest import Manifest

STAMP = framing.dos_time(bundle_samples.EPOCH)


@dataclass(frozen=True)
class Record:
    """One member, and the header fields in which it differs from the canonical form."""

    name: bytes
    data: bytes
    local: Mapping[str, int] = field(default_factory=dict)
    central: Mapping[str, int] = field(default_factory=dict)
    local_name: bytes | None = None


def manifest(**changes: object) -> Manifest:
    """What a small bundle says: one model, sequence 7."""
    models = {"int8": bundle_samples.tiny_model()}
    told = {"sequence": 7, "sequence_source": "given", **changes}
    return bundle_samples.manifest_of(models).model_copy(update=told)


def written(directory: Path, said: Manifest, signers: Sequence[Signer]) -> bytes:
    """A bundle as edgepack writes it."""
    models = {model.variant: bundle_samples.tiny_model() for model in said.models}
    paths = bundle_samples.write_models(models, directory)
    target = directory / "written.zip"
    write_bundle(said, paths, target, epoch=bundle_samples.EPOCH, signers=signers)
    return target.read_bytes()


def members(bundle: bytes) -> dict[str, bytes]:
    """Payloads by name."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unsigned(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members without signatures."""
    return {name: data for name, data in found.items() if not name.startswith("signatures/")}


def summed(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """The members without signatures, under a SHA256SUMS that lists them."""
    listed = {name: data for name, data in unsigned(found).items() if name != parts.SUMS}
    digests = {name: sha256_bytes(data) for name, data in listed.items()}
    return {**listed, parts.SUMS: parts.sums_text(digests)}


def signed(
    found: Mapping[str, bytes], signers: Iterable[Signer], name: str = "pets"
) -> dict[str, bytes]:
    """The members under a SHA256SUMS and signatures that fit them, whatever they are."""
    listed = summed(found)
    return {**listed, **signing.sign(name, parts.signed_digests(listed[parts.SUMS]), signers)}


def said(found: Mapping[str, bytes], **changes: object) -> dict[str, bytes]:
    """The members with other values in manifest.json."""
    value = {**json.loads(found[parts.MANIFEST]), **changes}
    return {**found, parts.MANIFEST: canonical_json(value)}


def records(found: Mapping[str, bytes]) -> list[Record]:
    """The members in the archive's order, as they must be written."""
    return [Record(name.encode(), found[name]) for name in framing.archive_order(found)]


def changed(found: Mapping[str, bytes], name: str, **changes: object) -> list[Record]:
    """The records, of which the one of this name is changed."""
    return [replace(one, **changes) if one.name == name.encode() else one for one in records(found)]


def forged(listed: Sequence[Record], end: Mapping[str, int] | None = None) -> bytes:
    """A zip of these records, in this order, canonical but for what they change."""
    body, directory = b"", b""
    for one in listed:
        start = len(body)
        body += _local(one, start) + one.data
        directory += _central(one, start)
    count = len(listed)
    values = {"entries here": count, "entries": count, "size": len(directory), "start": len(body)}
    names = ("disk", "first disk", "entries here", "entries", "size", "start", "comment")
    told = {**dict.fromkeys(names, 0), **values, **(end or {})}
    return body + directory + framing.END.pack(framing.END_SIGNATURE, *told.values())


def zipped(found: Mapping[str, bytes]) -> bytes:
    """The canonical zip of the members, with any names."""
    return forged(records(found))


def _local(one: Record, start: int) -> bytes:
    name = one.name if one.local_name is None else one.local_name
    extra = _extra(name, start)
    values = _values(one) | {"name length": len(name), "extra length": len(extra)} | one.local
    packed = (values[key] for key in framing.LOCAL_FIELDS[1:])
    return framing.LOCAL.pack(framing.LOCAL_SIGNATURE, *packed) + name + extra


def _central(one: Record, start: int) -> bytes:
    values = {**dict.fromkeys(framing.CENTRAL_FIELDS, 0), **_values(one)}
    own = {"version made by": 788, "attributes": 0o100644 << 16, "start": start}
    values |= {"name length": len(one.name)} | own | one.central
    packed = (values[key] for key in framing.CENTRAL_FIELDS[1:])
    return framing.CENTRAL.pack(framing.CENTRAL_SIGNATURE, *packed) + one.name


def _values(one: Record) -> dict[str, int]:
    size = {"size": len(one.data), "stored size": len(one.data), "CRC": zlib.crc32(one.data)}
    return {"version needed": 20, "flags": 0x0800, "method": 0, **size} | dict(
        zip(("time", "date"), STAMP, strict=True)
    )


def _extra(name: bytes, start: int) -> bytes:
    if not name.endswith(b".tflite"):
        return b""
    zeros = -(start + framing.LOCAL.size + len(name) + 6) % framing.ALIGNMENT
    return b"\x35\xd9" + (2 + zeros).to_bytes(2, "little") + b"\x00\x40" + bytes(zeros)
