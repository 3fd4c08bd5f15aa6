"""What `edgepack verify` found of a bundle that holds."""

from __future__ import annotations

from pydantic import Field

from edgepack.records.base import Record


class SignatureFound(Record):
    """One signature of a bundle."""

    key_id: str = Field(description="SHA-256 of the public key's PEM")
    checked: bool = Field(description="False where the key was not given")


class Verification(Record):
    """A bundle, every byte of which was checked. One that does not hold is an error instead."""

    path: str
    sha256: str
    contents_sha256: str = Field(description="of SHA256SUMS, which signatures do not change")
    size_bytes: int
    name: str
    version: str
    schema_version: int = Field(description="of the manifest")
    sequence: int | None
    expires: str
    license: str
    failed: bool = Field(description="the gate refused this build; shipped only by --allow-failed")
    variants: tuple[str, ...] = Field(description="in the manifest's order")
    signatures: tuple[SignatureFound, ...]


class KeyPair(Record):
    """A new pair of keys for signing."""

    private_key: str = Field(description="path; to be kept secret")
    public_key: str = Field(description="path; what bundles are checked with")
    key_id: str = Field(description="SHA-256 of the public key's PEM")
    encrypted: bool
