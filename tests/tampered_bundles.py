"""Every tampering with a bundle, as bytes, and the words that refuse it.

Each maker takes the members of a good bundle by name, and a function that lists and signs members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import utils
from forged_bundles import (
    Record,
    changed,
    forged,
    records,
    said,
    summed,
    unsigned,
    zipped,
)

from edgepack.bundle import envelope, keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.bundle.keys import Signer

    Members = dict[str, bytes]
    Sign = Callable[..., Members]

MODEL = "models/int8.tflite"
RENAMED = "models/int9.tflite"
HUGE = {"size": 2**32 - 1, "stored size": 2**32 - 1}
NO_SUCH_FIELD = f"{MODEL}: its local header is not what the directory says"


def without(found: Members, name: str) -> Members:
    return {other: data for other, data in found.items() if other != name}


def renamed(found: Members) -> Members:
    return {**without(found, MODEL), RENAMED: found[MODEL]}


def respelt(found: Members, old: bytes, new: bytes) -> Members:
    """The members, with other text in manifest.json."""
    text = found["manifest.json"]
    assert old in text
    return {**found, "manifest.json": text.replace(old, new)}


def model(found: Members, **changes: object) -> bytes:
    """The zip, with the model's record changed."""
    return forged(changed(found, MODEL, **changes))


def counted(found: Members, count: int) -> bytes:
    return forged(records(found), {"entries": count, "entries here": count})


# Of what is in it.
CONTENTS: dict[str, tuple[Callable[[Members, Sign], bytes], str]] = {
    "unsigned": (
        lambda found, _: zipped(unsigned(found)),
        "not signed: a key was given, and the bundle holds no signature",
    ),
    "extra": (
        lambda found, _: zipped({**found, "extra.txt": b""}),
        "extra.txt: SHA256SUMS does not list it",
    ),
    "extra, listed and signed": (
        lambda found, sign: zipped(sign({**found, "extra.txt": b""})),
        "extra.txt: not listed in the manifest",
    ),
    "extra beside the signatures": (
        lambda found, _: zipped({**found, "signatures/a.json": b""}),
        "signatures/a.json: SHA256SUMS does not list it",
    ),
    "missing": (
        lambda found, _: zipped(without(found, "labels.txt")),
        "labels.txt: missing; SHA256SUMS lists it",
    ),
    "missing, not listed, signed": (
        lambda found, sign: zipped(sign(without(found, "labels.txt"))),
        "labels.txt: missing; the manifest calls for it",
    ),
    "no SHA256SUMS": (
        lambda found, _: zipped(without(found, "SHA256SUMS")),
        "SHA256SUMS: missing",
    ),
    "no manifest": (
        lambda found, sign: zipped(sign(without(found, "manifest.json"))),
        "manifest.json: missing",
    ),
    "no member": (lambda _found, _: zipped({}), "SHA256SUMS: missing"),
    "changed": (
        lambda found, _: zipped({**found, "labels.txt": b"cat\ndog\n"}),
        "labels.txt: bytes changed: SHA-256 is ",
    ),
    "changed and listed": (
        lambda found, _: zipped({**found, **summed({**found, "labels.txt": b"dog\n"})}),
        "is for other contents than SHA256SUMS lists",
    ),
    "changed, listed, signed": (
        lambda found, sign: zipped(sign({**found, MODEL: b"another"})),
        f"{MODEL}: sha256 is '",
    ),
    "renamed": (
        lambda found, _: zipped(renamed(found)),
        f"{MODEL}: missing; SHA256SUMS lists it",
    ),
    "renamed, listed, signed": (
        lambda found, sign: zipped(sign(renamed(found))),
        f"{RENAMED}: not listed in the manifest",
    ),
    "a line more in SHA256SUMS": (
        lambda found, _: zipped({**found, "SHA256SUMS": found["SHA256SUMS"] + b"\x1b\n"}),
        "is for other contents than SHA256SUMS lists",
    ),
}

# Of what its manifest says, all of it signed.
MANIFESTS: dict[str, tuple[Callable[[Members, Sign], bytes], str]] = {
    "failed": (
        lambda found, sign: zipped(sign(said(found, failed=True))),
        "its gate refused this build, and somebody wrote it by --allow-failed",
    ),
    "expired": (
        lambda found, sign: zipped(sign(said(found, expires="2026-01-02T03:04:05Z"))),
        "expired on 2026-01-02T03:04:05Z",
    ),
    "schema version 2": (
        lambda found, sign: zipped(sign(said(found, schema_version=2, failed="?"))),
        "manifest.json: schema_version 2 is unknown here; a newer edgepack reads it",
    ),
    "no schema version": (
        lambda found, sign: zipped(sign(said(found, schema_version=None))),
        "manifest.json: schema_version: is not a number",
    ),
    "an odd expiry": (
        lambda found, sign: zipped(sign(said(found, expires="tomorrow"))),
        "manifest.json: expires: is not YYYY-MM-DDTHH:MM:SSZ",
    ),
    "an odd version": (
        lambda found, sign: zipped(sign(said(found, version="1.2"))),
        "manifest.json: version: is not a version",
    ),
    "a version without end": (
        lambda found, sign: zipped(sign(said(found, version="1.2.3-" + "a" * 95))),
        "manifest.json: version: is not a version",
    ),
    "an odd sequence": (
        lambda found, sign: zipped(sign(said(found, sequence="7"))),
        "manifest.json: sequence: is not a whole number up to 2^53 - 1",
    ),
    "a sequence too great": (
        lambda found, sign: zipped(
            sign(respelt(found, b'"sequence":7', b'"sequence":9007199254740992'))
        ),
        "manifest.json: sequence: is not a whole number up to 2^53 - 1",
    ),
    "a key twice": (
        lambda found, sign: zipped(
            sign(respelt(found, b'"failed":false', b'"failed":true,"failed":false'))
        ),
        "manifest.json: not canonical JSON: a key is there twice",
    ),
    "cut short": (
        lambda found, sign: zipped(sign({**found, "manifest.json": found["manifest.json"][:-1]})),
        "manifest.json: not canonical JSON: it is cut short",
    ),
    "a line end": (
        lambda found, sign: zipped(
            sign({**found, "manifest.json": found["manifest.json"] + b"\n"})
        ),
        "manifest.json: not canonical JSON: it has control characters",
    ),
    "brackets without end": (
        lambda found, sign: zipped(sign({**found, "manifest.json": b"[" * (1 << 20)})),
        "manifest.json: not canonical JSON: too many brackets",
    ),
    "a number without end": (
        lambda found, sign: zipped(sign({**found, "manifest.json": b"1" * (1 << 20)})),
        "manifest.json: schema_version: is not a number",
    ),
    "a text without end": (
        lambda found, sign: zipped(sign({**found, "manifest.json": b'"' + b'\\"' * (1 << 20)})),
        "manifest.json: not canonical JSON: a text is too long",
    ),
    "escapes without end": (
        lambda found, sign: zipped(sign({**found, "manifest.json": b'"' + rb"\u0041" * 300000})),
        "manifest.json: not canonical JSON",
    ),
    "no JSON": (
        lambda found, sign: zipped(sign({**found, "manifest.json": bytes(range(256)) * 9})),
        "manifest.json: not canonical JSON",
    ),
    "a name that is a path": (
        lambda found, sign: zipped(sign(said(found, name="../../pets"), "../../pets")),
        "manifest.json: name: is not a name",
    ),
    "another release's name": (
        lambda found, sign: zipped(sign(said(found, name="dogs"))),
        "a signature is for 'pets'",
    ),
    "an attachment out of place": (
        lambda found, sign: zipped(sign(said({**found, "x.sh": b""}, attachments=["x.sh"]))),
        "manifest.json: attachments: there is no place for 'x.sh' in a bundle",
    ),
    "a target of nothing": (
        lambda found, sign: zipped(
            sign(said(found, targets=[{"name": "ios", "variants": ["float16"]}]))
        ),
        "manifest.json: targets: ios takes ['float16'], which is not there",
    ),
    "other labels": (
        lambda found, sign: zipped(sign({**found, "labels.txt": b"cat\nfox\n"})),
        "labels.txt: its lines are not the classes of the manifest, from line 2 on",
    ),
    "labels without end": (
        lambda found, sign: zipped(sign({**found, "labels.txt": found["labels.txt"][:-1]})),
        "labels.txt: its lines are not the classes of the manifest",
    ),
    "more labels": (
        lambda found, sign: zipped(sign({**found, "labels.txt": found["labels.txt"] + b"x\n"})),
        "labels.txt: its lines are not the classes of the manifest, from line 4 on",
    ),
    "a character out of place": (
        lambda found, sign: zipped(sign(respelt(found, b'"failed":', b'"failed"=:'))),
        "manifest.json: not canonical JSON: a character is out of place",
    ),
    "no models": (
        lambda found, sign: zipped(sign(said(found, models=[], targets=[]))),
        "manifest.json: models: there are none",
    ),
}

# Of the zip that holds it.
ARCHIVES: dict[str, tuple[Callable[[Members, Sign], bytes], str]] = {
    "a name twice": (
        lambda found, _: forged([*records(found), Record(MODEL.encode(), b"x")]),
        f"'{MODEL}': the name is there a second time",
    ),
    "a name in other letters": (
        lambda found, _: zipped({**found, "Labels.TXT": b""}),
        "'labels.txt': the name is there beside 'Labels.TXT'",
    ),
    "a name below a file": (
        lambda found, _: zipped({**found, "labels.txt/x": b""}),
        "'labels.txt/x': lies below 'labels.txt', a file",
    ),
    "unsorted": (
        lambda found, _: forged(records(found)[::-1]),
        "the entries are not sorted by name",
    ),
    "a symbolic link": (
        lambda found, _: model(found, central={"attributes": 0o120777 << 16}),
        f"{MODEL}: is a symbolic link, not a plain file",
    ),
    "a directory": (
        lambda found, _: model(found, central={"attributes": 0o040755 << 16}),
        f"{MODEL}: is a directory, not a plain file",
    ),
    "a device": (
        lambda found, _: model(found, central={"attributes": 0o020644 << 16}),
        f"{MODEL}: attributes is 564396032, 2175008768 expected",
    ),
    "compressed": (
        lambda found, _: model(found, central={"method": 8}, local={"method": 8}),
        f"{MODEL}: is compressed (method 8), and must be stored",
    ),
    "compressed by its local header": (
        lambda found, _: model(found, local={"method": 8}),
        f"{NO_SUCH_FIELD}: method",
    ),
    "encrypted": (
        lambda found, _: model(found, central={"flags": 0x0801}),
        f"{MODEL}: is encrypted",
    ),
    "a data descriptor": (
        lambda found, _: model(found, central={"flags": 0x0808}),
        f"{MODEL}: has its size and CRC in a data descriptor",
    ),
    "overlapping": (
        lambda found, _: forged(changed(found, "labels.txt", central={"start": 0})),
        "labels.txt: starts at byte 0, ",
    ),
    "a gap": (
        lambda found, _: forged(changed(found, "labels.txt", central={"start": 9999})),
        " expected: bytes before it are no one's",
    ),
    "a size too great": (
        lambda found, _: model(found, central={"size": 2**31, "stored size": 2**31}),
        "overlaps what is before it",
    ),
    "a size too small": (
        lambda found, _: model(found, central={"size": 9, "stored size": 9}),
        "bytes before it are no one's",
    ),
    "every size too great": (
        lambda found, _: forged([Record(r.name, r.data, central=HUGE) for r in records(found)]),
        "overlaps what is before it",
    ),
    "two sizes": (
        lambda found, _: model(found, central={"stored size": 9}),
        f"{MODEL}: stored size is 9, ",
    ),
    "another size in the local header": (
        lambda found, _: model(found, local={"size": 9, "stored size": 9}),
        f"{NO_SUCH_FIELD}: stored size",
    ),
    "another name in the local header": (
        lambda found, _: model(found, local_name=RENAMED.encode()),
        f"{MODEL}: has another name in its local header",
    ),
    "another CRC in the local header": (
        lambda found, _: model(found, local={"CRC": 1}),
        f"{NO_SUCH_FIELD}: CRC",
    ),
    "other padding": (
        lambda found, _: zipped(found).replace(b"\x00\x40\0\0", b"\x00\x40\0\1", 1),
        f"{MODEL}: is not padded as its alignment asks",
    ),
    "a comment of a member": (
        lambda found, _: model(found, central={"comment length": 1}),
        "of the directory is damaged",
    ),
    "bytes appended": (
        lambda found, _: zipped(found) + b"\0",
        "the zip does not end with its end record: it was cut short, or bytes were appended",
    ),
    "bytes appended as a comment": (
        lambda found, _: forged(records(found), {"comment": 3}) + b"hey",
        "the zip does not end with its end record",
    ),
    "another zip appended": (
        lambda found, sign: zipped(found) + zipped(sign(found)),
        "the zip's end record does not fit the file: bytes added or removed",
    ),
    "bytes prepended": (
        lambda found, _: b"#!/bin/sh\n" + zipped(found),
        "the zip's end record does not fit the file: bytes added or removed",
    ),
    "bytes cut out": (
        lambda found, _: zipped(found)[:100] + zipped(found)[101:],
        "the zip's end record does not fit the file: bytes added or removed",
    ),
    "cut short": (
        lambda found, _: zipped(found)[:-30],
        "the zip does not end with its end record: it was cut short, or bytes were appended",
    ),
    "a record too many": (
        lambda found, _: counted(found, 6),
        "record 6 of the directory is damaged",
    ),
    "a record too few": (
        lambda found, _: counted(found, 4),
        "the directory holds more than its 4 records",
    ),
    "too many entries": (
        lambda _found, _: zipped({f"{n:04}": b"" for n in range(1001)}),
        "1001 entries, and 1000 are allowed",
    ),
    "empty": (lambda _found, _: b"", "0 bytes are too few or too many for a bundle"),
    "no zip": (lambda _found, _: b"TFL3" * 99, "not a zip archive"),
}

NAMES = {
    b"/etc/passwd": "the name is absolute",
    b"../x": "the name leads out of the archive",
    b"a/../../x": "the name leads out of the archive",
    b"models/..": "the name leads out of the archive",
    b"a\\..\\x": "the name has a character that a file system forbids",
    b"C:x": "the name has a character that a file system forbids",
    b"a\nb": "the name has a character that a file system forbids",
    b"a\x1b[2J": "the name has a character that a file system forbids",
    b"a\0b": "the name has a character that a file system forbids",
    b"models/": "the name is a directory's",
    b"a//b": "the name has an empty or '.' part",
    b"./x": "the name has an empty or '.' part",
    b"-rf": "the name starts with '-'",
    b"a./x": "a part of the name ends with a dot or a space",
    b"x ": "a part of the name ends with a dot or a space",
    b"models/NUL.tflite": "a part of the name is a device of Windows",
    b"com1": "a part of the name is a device of Windows",
    b"x" * 201: "the name is too long",
    b"": "the name is empty",
    b"\xff": "is not UTF-8",
    b"\xc0\xaf": "is not UTF-8",
    b"\xed\xa0\x80": "is not UTF-8",
    b"a\xc3": "is not UTF-8",
}


# Of a signature by our key: makers take the members and our signer.
def own(signer: Signer) -> str:
    """The member that holds the signer's signature."""
    return envelope.member(signer.public.key_id)


def enveloped(found: Members, signer: Signer, **changes: object) -> Members:
    """The members, with other values in the signer's envelope."""
    made = envelope.read(found[own(signer)])
    kept = {"payload": made.payload, "signature": made.signature, "key_id": made.key_id}
    return {**found, own(signer): envelope.Envelope(**{**kept, **changes}).text()}


def rewritten(found: Members, signer: Signer, change: Callable[[bytes], bytes]) -> Members:
    """The members, with other text in the signer's envelope."""
    return {**found, own(signer): change(found[own(signer)])}


def altered(found: Members, signer: Signer, change: Callable[[bytes], bytes]) -> Members:
    """The members, with another signature in the signer's envelope."""
    signature = envelope.read(found[own(signer)]).signature
    return enveloped(found, signer, signature=change(signature))


def resigned(found: Members, signer: Signer, change: Callable[[bytes], bytes]) -> Members:
    """The members, with another payload that is validly signed."""
    payload = change(envelope.read(found[own(signer)]).payload)
    head = f"DSSEv1 28 application/vnd.in-toto+json {len(payload)} ".encode()
    return enveloped(found, signer, payload=payload, signature=signer.signature(head + payload))


def greater_s(signature: bytes) -> bytes:
    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, keys.ORDER - s)


def last_byte(signature: bytes) -> bytes:
    return signature[:-1] + bytes([signature[-1] ^ 1])


def slack(text: bytes) -> bytes:
    """The same signature in another base64, of which the last bits are no byte's."""
    start = text.index(b'"sig":"') + 7
    sig = text[start : text.index(b'"', start)]
    last = len(sig.rstrip(b"=")) - 1
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = letters[letters.index(sig[last]) ^ 1]
    return text[: start + last] + bytes([other]) + text[start + last + 1 :]


NOT_HELD = "does not hold: the contents or the signature were changed"
NOT_CANONICAL = "is not in canonical form"
OTHER_CONTENTS = "is for other contents than SHA256SUMS lists"

SIGNATURES: dict[str, tuple[Callable[[Members, Signer], Members], str]] = {
    "another signature": (lambda found, us: altered(found, us, last_byte), NOT_HELD),
    "no signature": (lambda found, us: enveloped(found, us, signature=b""), NOT_HELD),
    "no payload": (lambda found, us: enveloped(found, us, payload=b""), NOT_HELD),
    "another payload": (lambda found, us: enveloped(found, us, payload=b"{}"), NOT_HELD),
    "the greater s": (lambda found, us: altered(found, us, greater_s), NOT_CANONICAL),
    "another hint": (lambda found, us: enveloped(found, us, key_id="0" * 64), NOT_CANONICAL),
    "a line end": (lambda found, us: rewritten(found, us, lambda t: t + b"\n"), NOT_CANONICAL),
    "a space": (lambda found, us: rewritten(found, us, lambda t: b" " + t), NOT_CANONICAL),
    "a second line": (lambda found, us: rewritten(found, us, lambda t: t + b"\nx"), NOT_CANONICAL),
    "a zero byte": (lambda found, us: rewritten(found, us, lambda t: t + b"\0"), NOT_CANONICAL),
    "an empty file": (lambda found, us: rewritten(found, us, lambda _: b""), NOT_CANONICAL),
    "no text": (
        lambda found, us: rewritten(found, us, lambda _: bytes(range(256)) * 99),
        NOT_CANONICAL,
    ),
    "a signed other member": (
        lambda found, us: resigned(found, us, lambda p: p.replace(b"int8", b"int9")),
        OTHER_CONTENTS,
    ),
    "a signed other root": (
        lambda found, us: resigned(found, us, lambda p: p.replace(b'{"sha256":"', b'{"sha256":"0')),
        OTHER_CONTENTS,
    ),
    "a signed other text": (lambda found, us: resigned(found, us, lambda _: b"{}"), OTHER_CONTENTS),
    "a signed line end": (
        lambda found, us: resigned(found, us, lambda p: p + b"\n"),
        OTHER_CONTENTS,
    ),
}
