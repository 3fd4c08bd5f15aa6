"""What a signature of a bundle signs: a statement that follows from the digests of its members.

The format is that of OpenSSF Model Signing 1.0 (predicate `https://model_signing/signature/v1.0`):
an in-toto statement of one resource for each file, in DSSE's pre-authentication encoding. Its text
has no freedom left: a verifier makes it anew from the member digests, and compares.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.files import canonical_json
from edgepack.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
IGNORED = "signatures"  # the one directory that no signature covers, or none could be added


def statement(name: str, digests: Mapping[str, str]) -> bytes:
    """The statement on a bundle, as canonical JSON.

    Args:
        name: of the release, as its manifest has it.
        digests: SHA-256 in hexadecimal by member name, in the archive's order.
    """
    resources = [
        {"algorithm": "sha256", "digest": digest, "name": member}
        for member, digest in digests.items()
    ]
    serialization = {
        "allow_symlinks": False,
        "hash_type": "sha256",
        "ignore_paths": [IGNORED],
        "method": "files",
    }
    return canonical_json(
        {
            "_type": STATEMENT_TYPE,
            "predicate": {"resources": resources, "serialization": serialization},
            "predicateType": PREDICATE_TYPE,
            "subject": [{"digest": {"sha256": _root(digests)}, "name": name}],
        }
    )


def pae(payload: bytes) -> bytes:
    """The bytes that are signed for a payload: DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class _Resource(Record):
    algorithm: str
    digest: str
    name: str


class _Serialization(Record):
    method: str


class _Predicate(Record):
    resources: tuple[_Resource, ...]
    serialization: _Serialization


class _Subject(Record):
    name: str
    digest: dict[str, str]


class _Statement(Record):
    predicateType: str  # noqa: N815 - in-toto's name
    predicate: _Predicate
    subject: tuple[_Subject, ...]


def read(payload: bytes) -> tuple[str, dict[str, str]]:
    """Name and digests by member of a statement that somebody's model-signing program made.

    Only for payloads whose signature holds.

    Raises:
        ValueError: with the reason why it is no such statement.
    """
    try:
        found = _Statement.model_validate_json(payload, extra="ignore")
    except ValidationError as error:
        raise ValueError("it signs something other than the files of a model") from error
    if found.predicateType != PREDICATE_TYPE or found.predicate.serialization.method != "files":
        raise ValueError(f"it signs {found.predicateType}, and {PREDICATE_TYPE} is known here")
    if {resource.algorithm for resource in found.predicate.resources} - {"sha256"}:
        raise ValueError("it has digests other than SHA-256")
    digests = {resource.name: resource.digest for resource in found.predicate.resources}
    subject = found.subject[0] if len(found.subject) == 1 else None
    if subject is None or subject.digest.get("sha256") != _root(digests):
        raise ValueError("its subject is not what its resources add up to")
    return subject.name, digests


def _root(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests.values()))).hexdigest()
