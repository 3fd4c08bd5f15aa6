"""The file of one signature: a Sigstore bundle v0.3 with a DSSE envelope and a key's hint."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.bundle.statement import PAYLOAD_TYPE
from edgepack.files import canonical_json
from edgepack.records.base import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
DIRECTORY = "signatures/"
SUFFIX = ".sigstore.json"
SHOWN = 16  # hexadecimal digits of a key's id in messages
_MEMBER = re.compile(rf"{DIRECTORY}([0-9a-f]{{64}}){re.escape(SUFFIX)}")


@dataclass(frozen=True)
class Envelope:
    """One signature, and what it signs.

    Args:
        payload: the statement.
        signature: ECDSA signature over `pae(payload)`, in DER.
        key_id: SHA-256 of the public key's PEM, in hexadecimal; empty where it is not said.
    """

    payload: bytes
    signature: bytes
    key_id: str

    def text(self) -> bytes:
        """The one text of it, as bundles hold it: canonical JSON."""
        signatures = [{"sig": _base64(self.signature)}]
        payload = {"payload": _base64(self.payload), "payloadType": PAYLOAD_TYPE}
        return canonical_json(
            {
                "dsseEnvelope": {**payload, "signatures": signatures},
                "mediaType": MEDIA_TYPE,
                "verificationMaterial": {"publicKey": {"hint": self.key_id}},
            }
        )


def member(key_id: str) -> str:
    """The member of a bundle that holds the signature of a key."""
    return f"{DIRECTORY}{key_id}{SUFFIX}"


def key_ids(names: Iterable[str]) -> dict[str, str]:
    """Key ids by member name, of those members that are signatures."""
    matches = {name: _MEMBER.fullmatch(name) for name in names}
    return {name: match[1] for name, match in matches.items() if match}


class _Signature(Record):
    sig: str


class _Dsse(Record):
    payload: str
    payloadType: str  # noqa: N815 - DSSE's name
    signatures: tuple[_Signature, ...]


class _Key(Record):
    hint: str = ""


class _Material(Record):
    publicKey: _Key  # noqa: N815 - Sigstore's name


class _Bundle(Record):
    dsseEnvelope: _Dsse  # noqa: N815 - Sigstore's name
    verificationMaterial: _Material  # noqa: N815 - Sigstore's name


def read(data: bytes) -> Envelope:
    """The envelope that a file holds, whichever program wrote it.

    Raises:
        ValueError: with the reason why it is none that a key can have signed.
    """
    try:
        found = _Bundle.model_validate_json(data, extra="ignore")
    except ValidationError as error:
        raise ValueError("it is no Sigstore bundle of a key's signature") from error
    dsse = found.dsseEnvelope
    if dsse.payloadType != PAYLOAD_TYPE or len(dsse.signatures) != 1:
        raise ValueError("it is no in-toto statement with one signature")
    try:
        payload, signature = (
            base64.b64decode(text, validate=True) for text in (dsse.payload, dsse.signatures[0].sig)
        )
    except binascii.Error as error:
        raise ValueError("its base64 is damaged") from error
    return Envelope(payload, signature, found.verificationMaterial.publicKey.hint)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
