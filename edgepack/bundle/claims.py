"""Holds what a manifest says against what the bundle has."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgepack.bundle import parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.manifest import Manifest, ModelEntry

FACTS = ("precision", "signatures", "ops", "min_runtime_version", "stateful", "float_ops")
LATER = ("float_ops",)  # not in the manifests of earlier versions


def member_faults(manifest: Manifest, names: AbstractSet[str]) -> Iterator[str]:
    """Members that the manifest asks for and the bundle lacks, and the other way round.

    Args:
        manifest: what the bundle says.
        names: its members, but for its signatures.
    """
    wanted = {parts.MANIFEST, parts.SUMS, *(model.path for model in manifest.models)}
    if manifest.classes:
        wanted.add(parts.LABELS)
    wanted.update(manifest.attachments)
    for name in sorted(wanted - names):
        yield f"{name}: missing; the manifest calls for it"
    for name in sorted(names - wanted):
        yield f"{name}: not listed in the manifest"


def inner_faults(manifest: Manifest) -> Iterator[str]:
    """Where the manifest contradicts itself."""
    counts = Counter(model.variant for model in manifest.models)
    paths = {parts.model_path(variant) for variant in counts}
    for variant, count in counts.items():
        if count > 1:
            yield f"{parts.MANIFEST}: models: {count} are of variant {variant!r}"
    for model in manifest.models:
        if model.path not in paths:
            yield f"{parts.MANIFEST}: models: the path {model.path!r} is named after no variant"
    for target in manifest.targets:
        if absent := sorted(set(target.variants) - counts.keys()):
            yield f"{parts.MANIFEST}: targets: {target.name} takes {absent}, which is not there"
    for name in manifest.attachments:
        if name not in {parts.PROVENANCE, parts.SBOM} and not name.startswith(parts.VECTORS):
            yield f"{parts.MANIFEST}: attachments: there is no place for {name!r} in a bundle"
    if manifest.failed == manifest.verdict.passed:
        yield f"{parts.MANIFEST}: failed is {manifest.failed}, and so is verdict.passed"


def payload_faults(model: ModelEntry, size: int, sha256: str) -> Iterator[str]:
    """Where a model's size and digest differ from what its bytes have."""
    found = {"size_bytes": size, "sha256": sha256}
    claimed = {"size_bytes": model.size_bytes, "sha256": model.digest.sha256}
    yield from _worded(model, found, claimed)


def fact_faults(model: ModelEntry, facts: TFLiteFacts) -> Iterator[str]:
    """Where the manifest differs from what the .tflite says of itself, field by field."""
    said = set(FACTS) - {name for name in LATER if getattr(model, name) is None}
    found = facts.model_dump(mode="json", include=said)
    yield from _worded(model, found, model.model_dump(mode="json", include=said))


def _worded(model: ModelEntry, found: Any, claimed: Any) -> Iterator[str]:
    for where, ours, theirs in _differences("", found, claimed):
        says = f"the manifest says {theirs!r} of {model.variant}"
        yield f"{model.path}: {where} is {ours!r}, and {says}"


def _differences(where: str, found: Any, claimed: Any) -> Iterator[tuple[str, Any, Any]]:
    """Paths of the leaves in which two JSON values differ, with both leaves."""
    if isinstance(found, dict) and isinstance(claimed, dict) and found.keys() == claimed.keys():
        pairs = [(key, found[key], claimed[key]) for key in found]
    elif isinstance(found, list) and isinstance(claimed, list) and len(found) == len(claimed):
        pairs = [(str(i), *pair) for i, pair in enumerate(zip(found, claimed, strict=True))]
    else:
        if found != claimed:
            yield where, found, claimed
        return
    for key, ours, theirs in pairs:
        yield from _differences(f"{where}.{key}" if where else key, ours, theirs)
