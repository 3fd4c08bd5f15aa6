"""The CycloneDX 1.6 bill of materials of a bundle's models (ML-BOM)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from edgepack.files import canonical_json
from edgepack.provenance.tools import purl, versions

if TYPE_CHECKING:
    from edgepack.records.evidence import Drop, Interval, Metric
    from edgepack.records.manifest import Manifest, ModelEntry

_SPACE = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")  # RFC 9562's namespace of object identifiers


def bom(manifest: Manifest) -> bytes:
    """Canonical JSON of the bill; its serial number follows from everything else in it."""
    said: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _whole(manifest), "tools": {"components": _tools(manifest)}},
        "components": [*(_model(one, manifest) for one in manifest.models), _dataset(manifest)],
    }
    serial = uuid5(_SPACE, canonical_json(said).decode())
    return canonical_json({**said, "serialNumber": serial.urn})


def _whole(manifest: Manifest) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": "bundle",
        "name": manifest.name,
        "version": manifest.version,
        **_license(manifest),
        "pedigree": {"ancestors": [_source(manifest)]},
    }


def _source(manifest: Manifest) -> dict[str, Any]:
    metrics = [_figure(one, "source") for one in manifest.source.accuracy.metrics]
    return {
        "type": "machine-learning-model",
        "bom-ref": "source",
        "name": f"{manifest.name} (source)",
        # No `hashes`: it is the digest of a list of files, not of any one file.
        "properties": [
            {"name": "edgepack:digest:sha256", "value": manifest.source.digest.sha256},
        ],
        **({"modelCard": _measured(metrics)} if metrics else {}),
    }


def _model(entry: ModelEntry, manifest: Manifest) -> dict[str, Any]:
    metrics = [_figure(one, entry.variant) for one in entry.accuracy.metrics]
    metrics += [_loss(one, entry.variant) for one in entry.accuracy.drops]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{entry.variant}",
        "name": entry.path,
        "version": manifest.version,
        "hashes": [{"alg": "SHA-256", "content": entry.digest.sha256}],
        **_license(manifest),
        "modelCard": {
            "modelParameters": {"datasets": [{"ref": "dataset"}]},
            **(_measured(metrics) if metrics else {}),
        },
        "properties": [{"name": "edgepack:precision", "value": entry.precision}],
    }


def _measured(metrics: list[dict[str, Any]]) -> dict[str, Any]:
    return {"quantitativeAnalysis": {"performanceMetrics": metrics}}


def _figure(metric: Metric, part: str) -> dict[str, Any]:
    said = {"type": metric.name, "value": repr(metric.value), "slice": part}
    return said | _interval(metric.interval)


def _loss(drop: Drop, part: str) -> dict[str, Any]:
    """What a variant lost against the source model; below zero, what it won."""
    said = {"type": f"{drop.metric} drop", "value": repr(drop.value), "slice": part}
    return said | _interval(drop.interval)


def _interval(found: Interval | None) -> dict[str, Any]:
    if found is None:
        return {}
    bounds = {"lowerBound": repr(found.low), "upperBound": repr(found.high)}
    return {"confidenceInterval": bounds}


def _dataset(manifest: Manifest) -> dict[str, Any]:
    return {
        "type": "data",
        "bom-ref": "dataset",
        "name": manifest.dataset.name,
        "data": [{"type": "dataset", "name": manifest.dataset.name}],
        "properties": [
            {"name": "edgepack:digest:sha256", "value": manifest.dataset.digest.sha256},
        ],
    }


def _license(manifest: Manifest) -> dict[str, Any]:
    return {"licenses": [{"expression": manifest.license}]} if manifest.license else {}


def _tools(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {"type": "library", "name": name, "version": version, "purl": purl(name, version)}
        for name, version in versions(manifest.tools).items()
    ]
