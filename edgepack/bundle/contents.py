"""Puts a bundle together, and signs it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgepack import labels
from edgepack.bundle import archive, framing, parts, reader, signing, verify
from edgepack.bundle.trust import check_gate
from edgepack.errors import UsageError
from edgepack.files import replace, sha256_bytes, sha256_file, sweep
from edgepack.records.report import BundleRef

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgepack.bundle.archive import Payload
    from edgepack.bundle.keys import Signer
    from edgepack.records.manifest import Manifest


def assemble(
    manifest: Manifest,
    models: Mapping[str, Path],
    attachments: Mapping[str, bytes | Path] | None = None,
    signers: Sequence[Signer] = (),
) -> dict[str, Payload]:
    """The members of a bundle, by name.

    Args:
        manifest: what the bundle says; its models' digests go into SHA256SUMS.
        models: the .tflite file of each variant that the manifest names.
        attachments: further members, by name; those that the manifest lists.
        signers: each adds a signature.

    Raises:
        UsageError: a variant has no file, a class no proper name, a number no JSON.
        KeyFileError: a signer fails.
    """
    if absent := sorted({model.variant for model in manifest.models} - models.keys()):
        raise UsageError(f"no file was given for {', '.join(absent)}")
    members: dict[str, bytes | Path] = {parts.MANIFEST: parts.manifest_text(manifest)}
    if manifest.classes:
        members[parts.LABELS] = labels.text(manifest.classes)
    members.update(attachments or {})
    digests = {name: _digest(data) for name, data in members.items()}
    for model in manifest.models:
        members[model.path] = models[model.variant]
        digests[model.path] = model.digest.sha256
    sums = members[parts.SUMS] = parts.sums_text(digests)
    return {**members, **signing.sign(manifest.name, parts.signed_digests(sums), signers)}


def write_bundle(  # noqa: PLR0913 - what a bundle is made of
    manifest: Manifest,
    models: Mapping[str, Path],
    target: Path,
    *,
    epoch: int,
    attachments: Mapping[str, bytes | Path] | None = None,
    signers: Sequence[Signer] = (),
) -> BundleRef:
    """Write a bundle, verify it, and only then let it take the place of what was at `target`.

    Args:
        manifest: what the bundle says; its epoch and attachments are set here.
        models: the .tflite file of each variant that the manifest names.
        target: the bundle's path; its directory is made if need be.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970; clamped to 1980..2107.
        attachments: further members, by name.
        signers: each adds a signature.

    Raises:
        UsageError: see `assemble`; or a model cannot be read.
        OutputError: the disk refuses, or the bundle would exceed 4 GiB.
        VerificationError: a model's file is not what the manifest says.
    """
    listed = tuple(framing.archive_order(attachments or ()))
    told = {"epoch": framing.clamp_epoch(epoch), "attachments": listed}
    manifest = manifest.model_copy(update=told)
    members = assemble(manifest, models, attachments, signers)
    return _write(members, target, manifest.epoch)


def add_signatures(
    bundle: Path, target: Path, signers: Sequence[Signer], *, allow_failed: bool = False
) -> BundleRef:
    """Write a bundle with further signatures; one by the same key is replaced.

    Args:
        bundle: checked whole before it is signed.
        target: may be `bundle` itself, which stays as it is until the new one is whole.
        signers: each adds a signature.
        allow_failed: sign what its own gate refused.

    Raises:
        VerificationError: the bundle does not hold, or failed its gate.
        KeyFileError: a signer fails.
        UsageError: it cannot be read.
        OutputError: it cannot be written.
    """
    with reader.opened(bundle) as file:
        found = verify.check(file, bundle)
        check_gate(found.manifest, bundle, allowed=allow_failed)
        made = signing.sign(found.manifest.name, found.digests, signers)
        kept = {one.name: partial(reader.payload, file, one) for one in found.entries.values()}
        members: dict[str, Payload] = {**kept, **made}
        return _write(members, target, found.manifest.epoch)


def _write(members: Mapping[str, Payload], target: Path, epoch: int) -> BundleRef:
    sweep(target.parent)
    with replace(target) as file:
        archive.write_to(file, members, epoch=epoch)
        contents = verify.check(file, target).contents
        digest, size = reader.whole(file)
    return BundleRef(path=target.name, sha256=digest, size_bytes=size, contents_sha256=contents)


def _digest(payload: bytes | Path) -> str:
    return sha256_bytes(payload) if isinstance(payload, bytes) else sha256_file(payload)
