"""`edgepack verify`: whether a bundle holds, and whether it may be taken now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.bundle import lock, reader, signing, verify
from edgepack.errors import ExpiredError, FailedBundleError, UntrustedError, UsageError
from edgepack.records.verification import SignatureFound, Verification

if TYPE_CHECKING:
    from datetime import datetime
    from io import BufferedReader
    from pathlib import Path

    from edgepack.bundle.keys import PublicKey
    from edgepack.bundle.signing import Signed
    from edgepack.bundle.verify import Checked
    from edgepack.records.manifest import Manifest

MAX_DETACHED = 16 << 20


@dataclass(frozen=True)
class Policy:
    """What a bundle must be to be taken.

    Args:
        now: UTC, what `expires` is held against.
        keys: one of them must have signed, where there are any.
        detached: a signature beside the bundle, which stands in place of those within it.
        lock: the lock file that knows how new it must be.
        update_lock: whether the lock file is to say that this one was taken.
        allow_failed: whether a bundle that its gate refused is taken too.
    """

    now: datetime
    keys: tuple[PublicKey, ...] = ()
    detached: Path | None = None
    lock: Path | None = None
    update_lock: bool = False
    allow_failed: bool = False


def take(path: Path, policy: Policy) -> Verification:
    """Check a bundle in whole, and then whether the policy takes it.

    Raises:
        VerificationError: it is not whole, not signed, expired, older than the lock, or failed.
        UsageError: there is no such file, it cannot be read, or the policy contradicts itself.
    """
    _check_policy(policy)
    with reader.opened(path) as file:
        found = verify.check(file, path, () if policy.detached else policy.keys)
        if policy.detached:
            _check_detached(found, policy.detached, policy.keys)
        check_gate(found.manifest, path, allowed=policy.allow_failed)
        check_day(found.manifest, path, policy.now)
        if policy.lock:
            _check_lock(found, path, policy.lock, update=policy.update_lock)
        return _verification(path, file, found)


def _check_policy(policy: Policy) -> None:
    if policy.detached and not policy.keys:
        raise UsageError("a signature is checked by a key", hint="Name it by --key.")
    if policy.update_lock and not policy.lock:
        raise UsageError("no lock file is named", hint="Name it by --lock edgepack.lock.")


def _check_detached(found: Checked, path: Path, keys: tuple[PublicKey, ...]) -> None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_DETACHED)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=path) from error
    faults = tuple(signing.examine_detached(data, found.digests, found.signatures, keys))
    if faults:
        raise UntrustedError("\n  ".join(faults), where=path)


def check_gate(manifest: Manifest, where: Path, *, allowed: bool) -> None:
    """Refuse a bundle that its own gate refused.

    Raises:
        FailedBundleError: unless that is allowed.
    """
    if manifest.failed and not allowed:
        raise FailedBundleError(
            "its gate refused this build, and somebody wrote it by --allow-failed",
            where=where,
            hint="Take the last release, or say --allow-failed here too.",
        )


def check_day(manifest: Manifest, where: Path, now: datetime) -> None:
    """Refuse a bundle whose day has passed.

    Raises:
        ExpiredError: it has by `now`, in UTC.
    """
    if manifest.expires and f"{now:%Y-%m-%dT%H:%M:%SZ}" >= manifest.expires:
        raise ExpiredError(
            f"expired on {manifest.expires}", where=where, hint="Fetch or build a newer release."
        )


def _check_lock(found: Checked, where: Path, path: Path, *, update: bool) -> None:
    own = lock.entry(found.manifest, found.contents, where)
    known = lock.read(path) if path.exists() or not update else {}
    name = found.manifest.name
    if name in known or not update:
        lock.check(name, own, known, where)
    if update and known.get(name) != own:
        lock.write(path, {**known, name: own})


def _verification(path: Path, file: BufferedReader, found: Checked) -> Verification:
    manifest = found.manifest
    digest, size = reader.whole(file)
    return Verification(
        path=str(path),
        sha256=digest,
        contents_sha256=found.contents,
        size_bytes=size,
        name=manifest.name,
        version=manifest.version,
        schema_version=manifest.schema_version,
        sequence=manifest.sequence,
        expires=manifest.expires,
        license=manifest.license,
        failed=manifest.failed,
        variants=tuple(model.variant for model in manifest.models),
        signatures=_signatures(found.signed),
    )


def _signatures(signed: Signed) -> tuple[SignatureFound, ...]:
    pairs = [(one, True) for one in signed.checked] + [(one, False) for one in signed.unchecked]
    return tuple(SignatureFound(key_id=one, checked=checked) for one, checked in pairs)
