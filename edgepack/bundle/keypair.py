"""Writes a new pair of keys."""

from __future__ import annotations

import os
from pathlib import Path

from edgepack.bundle import keys
from edgepack.errors import KeyFileError, OutputError
from edgepack.files import write_atomic
from edgepack.records.verification import KeyPair


def write(path: Path, passphrase: bytes | None) -> KeyPair:
    """Write the private key to `path`, for its owner alone, and the public one beside it.

    Raises:
        KeyFileError: one of the two files is there already.
        OutputError: they cannot be written.
    """
    public = Path(f"{path}.pub")
    for one in (path, public):
        if one.exists() or one.is_symlink():
            raise KeyFileError(
                "is there already, and a key is not replaced",
                where=one,
                hint="Choose another name by --output, or move it away yourself.",
            )
    pem, key = keys.generate(passphrase)
    _write_private(path, pem)
    write_atomic(public, key.pem)
    return KeyPair(
        private_key=str(path),
        public_key=str(public),
        key_id=key.key_id,
        encrypted=passphrase is not None,
    )


def _write_private(path: Path, pem: bytes) -> None:
    """From its first byte on, nobody else may read it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror or error}", where=path) from error
