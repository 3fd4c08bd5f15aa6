"""The in-toto statement with SLSA's provenance (v1) of a bundle's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.files import canonical_json
from edgepack.provenance.tools import purl, versions

if TYPE_CHECKING:
    from edgepack.provenance.origin import Origin
    from edgepack.records.manifest import Manifest

BUILD_TYPE = "urn:edgepack:build:1"
UNKNOWN_BUILDER = "urn:edgepack:builder:unidentified"  # a build outside CI: nobody vouches for it


def statement(manifest: Manifest, origin: Origin) -> bytes:
    """Canonical JSON of the statement; the same inputs give the same bytes.

    Args:
        manifest: of the bundle.
        origin: commit and CI run.
    """
    subjects = {one.path: one.digest.sha256 for one in manifest.models}
    return canonical_json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": n, "digest": {"sha256": d}} for n, d in sorted(subjects.items())],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": _asked(manifest),
                    "internalParameters": _internal(origin),
                    "resolvedDependencies": _dependencies(manifest, origin),
                },
                "runDetails": _run(manifest, origin),
            },
        }
    )


def _asked(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": manifest.name,
        "version": manifest.version,
        "signature": manifest.source.signature,
        "seed": manifest.dataset.seed,
        "variants": {one.variant: one.conversion for one in manifest.models},
        "targets": [one.name for one in manifest.targets],
    }


def _internal(origin: Origin) -> dict[str, Any]:
    said = {"ci": origin.system, "ref": origin.ref, "dirty": origin.dirty}
    return {key: value for key, value in said.items() if value not in ("", None)}


def _dependencies(manifest: Manifest, origin: Origin) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "source-model", "digest": manifest.source.digest.model_dump()},
        {
            "name": f"dataset:{manifest.dataset.name}",
            "digest": manifest.dataset.digest.model_dump(),
        },
    ]
    if origin.commit:
        uri = {"uri": f"git+{origin.repository}"} if origin.repository else {}
        found.append({"name": "project", **uri, "digest": {"gitCommit": origin.commit}})
    tools = {**versions(manifest.tools), "python": manifest.tools.python}
    return found + [{"name": n, "uri": purl(n, version)} for n, version in tools.items()]


def _run(manifest: Manifest, origin: Origin) -> dict[str, Any]:
    metadata = {"invocationId": origin.invocation} if origin.invocation else {}
    builder = {"id": origin.builder or UNKNOWN_BUILDER}
    return {
        "builder": {**builder, "version": {"edgepack": manifest.tools.edgepack}},
        **({"metadata": metadata} if metadata else {}),
    }
