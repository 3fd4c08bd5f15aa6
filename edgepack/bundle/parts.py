"""The members of a bundle that are not models: their names, and how each is written and checked."""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import from_json

from edgepack import labels
from edgepack.bundle.framing import MAX_ENTRIES, archive_order
from edgepack.errors import UsageError
from edgepack.files import canonical_json, sha256_bytes
from edgepack.records.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MANIFEST = "manifest.json"
SUMS = "SHA256SUMS"
LABELS = labels.NAME
VECTORS = "vectors/"
PROVENANCE = "provenance.intoto.json"
SBOM = "sbom.cdx.json"
MODELS = "models/"
SCHEMA_VERSION = 1
MOST_FAULTS = 20  # of one member in a message
_SHOWN_BYTES = 200
_SUM = re.compile(r"([0-9a-f]{64})  ([^\n]+)")


def model_path(variant: str) -> str:
    """The member that holds a variant."""
    return f"{MODELS}{variant}.tflite"


def manifest_text(manifest: Manifest) -> bytes:
    """`manifest.json`: the record as canonical JSON, without a line end.

    Raises:
        UsageError: a number in it is not finite, or an integer is beyond 2**53 - 1.
    """
    value = manifest.model_dump(mode="json")
    if where := next(_not_finite(value), ""):
        raise UsageError(
            f"the manifest cannot say {where}: it is no finite number",
            hint="Leave out the variant whose outputs are not finite.",
        )
    return canonical_json(value)


def read_manifest(data: bytes) -> tuple[Manifest | None, list[str]]:
    """The manifest that `data` holds, if it is one, and what is wrong with it."""
    try:
        raw = from_json(data)
    except ValueError as error:
        return None, [f"{MANIFEST}: not JSON: {error}"]
    if fault := _version_fault(raw):
        return None, [fault]
    try:
        # What a later edgepack adds to this version of the format is no fault.
        manifest = Manifest.model_validate_json(data, strict=True, extra="ignore")
    except ValidationError as error:
        return None, [f"{MANIFEST}: {where}: {what}" for where, what in _schema_faults(error)]
    return manifest, _canonical_faults(raw, data)


def labels_faults(data: bytes, classes: Sequence[str]) -> Iterator[str]:
    """Where `labels.txt` differs from the manifest's classes."""
    expected = [name.encode() for name in classes]
    actual = data.removesuffix(b"\n").split(b"\n")
    if len(actual) != len(expected):
        yield f"{LABELS}: {len(actual)} lines, and the manifest has {len(expected)} classes"
    pairs = enumerate(zip(actual, expected, strict=False), 1)
    for number, (found, wanted) in islice((p for p in pairs if p[1][0] != p[1][1]), MOST_FAULTS):
        name = found[:_SHOWN_BYTES].decode(errors="backslashreplace")
        yield f"{LABELS}: line {number} is {name!r}, and the class is {wanted.decode()!r}"
    if actual == expected and not data.endswith(b"\n"):
        yield f"{LABELS}: the last line has no end"


def sums_text(digests: Mapping[str, str]) -> bytes:
    """`SHA256SUMS` of digests by member name, as `sha256sum -c` reads it."""
    names = archive_order(digests)
    return "".join(f"{digests[name]}  {name}\n" for name in names).encode()


def read_sums(data: bytes) -> dict[str, str]:
    """Digests by member name, of those lines that are a digest and a name; none of no text."""
    return _listed(_sum_lines(data) or ())


def signed_digests(sums: bytes) -> dict[str, str]:
    """What signatures sign: digests of all that SHA256SUMS lists and of itself, in order."""
    digests = {**read_sums(sums), SUMS: sha256_bytes(sums)}
    return {name: digests[name] for name in archive_order(digests)}


def sums_faults(data: bytes, digests: Mapping[str, str]) -> list[str]:
    """Where `SHA256SUMS` differs from the digests of the members that it should list."""
    if data == sums_text(digests):
        return []
    matches = _sum_lines(data)
    if matches is None:
        return [f"{SUMS}: not the lines of at most {MAX_ENTRIES} members in UTF-8"]
    faults = [
        f"{SUMS}: line {number} is not a digest, two spaces and a name"
        for number, match in enumerate(matches, 1)
        if not match
    ]
    faults += _sum_faults(_listed(matches), digests)
    return faults or [f"{SUMS}: the lines are not sorted, ended or unique as they must be"]


def _sum_lines(data: bytes) -> list[re.Match[str] | None] | None:
    """Each line as a digest and a name, None where it is none; None of no text, or too much."""
    if data.count(b"\n") > MAX_ENTRIES:
        return None
    try:
        lines = data.decode().removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        return None
    return [_SUM.fullmatch(line) for line in lines]


def _listed(matches: Iterable[re.Match[str] | None]) -> dict[str, str]:
    return {match[2]: match[1] for match in matches if match}


def _sum_faults(listed: Mapping[str, str], digests: Mapping[str, str]) -> Iterator[str]:
    for name in archive_order(listed.keys() | digests.keys()):
        if name not in digests:
            yield f"{name}: missing; {SUMS} lists it"
        elif name not in listed:
            yield f"{name}: {SUMS} does not list it"
        elif listed[name] != digests[name]:
            yield f"{name}: bytes changed: SHA-256 is {digests[name]}, {SUMS} says {listed[name]}"


def _not_finite(value: Any, where: str = "") -> Iterator[str]:
    """Paths of the numbers that JSON has no text for."""
    if isinstance(value, float) and not math.isfinite(value):
        yield where.removeprefix(".")
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _not_finite(inner, f"{where}.{key}")


def _version_fault(raw: Any) -> str:
    version = raw.get("schema_version", SCHEMA_VERSION) if isinstance(raw, dict) else SCHEMA_VERSION
    if type(version) is int and version > SCHEMA_VERSION:
        return f"{MANIFEST}: schema_version {version} is unknown here; a newer edgepack reads it"
    return ""


def _schema_faults(error: ValidationError) -> Iterator[tuple[str, str]]:
    for fault in error.errors(include_url=False, include_context=False, include_input=False):
        yield ".".join(map(str, fault["loc"])) or "the document", fault["msg"]


def _canonical_faults(raw: Any, data: bytes) -> list[str]:
    try:
        canonical = canonical_json(raw)
    except UsageError as error:
        return [f"{MANIFEST}: {error.message}"]
    if canonical == data:
        return []
    pairs = enumerate(zip(canonical, data, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(canonical), len(data)))
    return [f"{MANIFEST}: not canonical JSON (RFC 8785) from byte {at} on"]
