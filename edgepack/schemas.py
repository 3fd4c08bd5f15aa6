"""JSON Schemas (draft 2020-12) of what users write and of what edgepack leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from edgepack.errors import UsageError
from edgepack.records.contract import Contract
from edgepack.records.dataset import DatasetSpec
from edgepack.records.manifest import Manifest
from edgepack.records.report import Report
from edgepack.records.settings import Settings
from edgepack.records.target import Target
from edgepack.records.vectors import VectorIndex
from edgepack.tomlfile.plain import nearest

if TYPE_CHECKING:
    from edgepack.records.base import Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Mode = Literal["validation", "serialization"]

# What users write may leave defaults out; what edgepack writes has every field.
_SCHEMAS: dict[str, tuple[type[Record], Mode, str]] = {
    "config": (Settings, "validation", "edgepack.toml"),
    "dataset": (DatasetSpec, "validation", "edgepack dataset spec"),
    "target": (Target, "validation", "edgepack target profile"),
    "contract": (Contract, "validation", "edgepack signature contract"),
    "manifest": (Manifest, "serialization", "manifest.json of an edgepack bundle"),
    "vectors": (VectorIndex, "serialization", "vectors/index.json of an edgepack bundle"),
    "report": (Report, "serialization", "report.json of an edgepack build"),
}


def names() -> tuple[str, ...]:
    """What there are schemas of."""
    return tuple(_SCHEMAS)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of one kind of file.

    Raises:
        UsageError: there is no schema of that name.
    """
    if name not in _SCHEMAS:
        raise UsageError(f'there is no schema called "{name}"; {nearest(name, _SCHEMAS)}')
    kind, mode, title = _SCHEMAS[name]
    version = kind.model_fields["schema_version"].default if mode == "serialization" else 1
    head = {"$schema": DIALECT, "$id": f"urn:edgepack:schema:{name}:{version}", "title": title}
    found = kind.model_json_schema(mode=mode)
    return {**(_open(found) if mode == "serialization" else found), **head}


def _open(schema: Any) -> Any:
    """A schema that lets later versions say more, as readers must."""
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if (k, v) != ("additionalProperties", False)}
        return {key: _open(value) for key, value in kept.items()}
    return [_open(item) for item in schema] if isinstance(schema, list) else schema
