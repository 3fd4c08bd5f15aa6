"""Puts a bundle together."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from edgepack.bundle import archive, parts, verify
from edgepack.bundle.framing import clamp_epoch
from edgepack.errors import UsageError
from edgepack.files import replace, sha256_bytes, sweep
from edgepack.records.report import BundleRef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edgepack.records.manifest import Manifest


def assemble(manifest: Manifest, models: Mapping[str, Path]) -> dict[str, bytes | Path]:
    """The members of a bundle, by name.

    Args:
        manifest: what the bundle says; its models' digests go into SHA256SUMS.
        models: the .tflite file of each variant that the manifest names.

    Raises:
        UsageError: a variant has no file, a class no proper name, a number no JSON.
    """
    if absent := sorted({model.variant for model in manifest.models} - models.keys()):
        raise UsageError(f"no file was given for {', '.join(absent)}")
    members: dict[str, bytes | Path] = {parts.MANIFEST: parts.manifest_text(manifest)}
    if manifest.classes:
        members[parts.LABELS] = parts.labels_text(manifest.classes)
    digests = {
        name: sha256_bytes(data) for name, data in members.items() if isinstance(data, bytes)
    }
    for model in manifest.models:
        members[model.path] = models[model.variant]
        digests[model.path] = model.sha256
    return {**members, parts.SUMS: parts.sums_text(digests)}


def write_bundle(
    manifest: Manifest, models: Mapping[str, Path], target: Path, *, epoch: int
) -> BundleRef:
    """Write a bundle, verify it, and only then let it take the place of what was at `target`.

    Args:
        manifest: what the bundle says; its epoch is set here.
        models: the .tflite file of each variant that the manifest names.
        target: the bundle's path; its directory is made if need be.
        epoch: SOURCE_DATE_EPOCH, seconds since 1970; clamped to 1980..2107.

    Raises:
        UsageError: see `assemble`; or a model cannot be read.
        OutputError: the disk refuses, or the bundle would exceed 4 GiB.
        VerificationError: a model's file is not what the manifest says.
    """
    epoch = clamp_epoch(epoch)
    members = assemble(manifest.model_copy(update={"epoch": epoch}), models)
    sweep(target.parent)
    with replace(target) as file:
        archive.write_to(file, members, epoch=epoch)
        verify.check(file, target)
        file.seek(0)
        digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
    return BundleRef(path=target.name, sha256=digest, size_bytes=size)
