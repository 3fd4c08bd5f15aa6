"""The JSON Schemas that `edgepack schema` prints."""

from __future__ import annotations

import json
import tomllib
import zipfile
from pathlib import Path

import jsonschema
import pytest

from edgepack import schemas
from edgepack.errors import UsageError

ROOT = Path(__file__).resolve().parents[1]


def check(name: str, value: object) -> None:
    jsonschema.Draft202012Validator(schemas.schema(name)).validate(value)


@pytest.mark.parametrize("name", schemas.names())
def test_each_schema_is_a_schema_with_an_id_and_a_title(name):
    found = schemas.schema(name)
    jsonschema.Draft202012Validator.check_schema(found)
    assert found["$schema"].endswith("2020-12/schema")
    assert found["$id"] == f"urn:edgepack:schema:{name}:1"
    assert "edgepack" in found["title"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("config", "calibration/digits/edgepack.toml"),
        ("dataset", "calibration/digits.toml"),
        ("target", "targets/android.toml"),
        ("target", "targets/ios.toml"),
        ("target", "targets/linux.toml"),
    ],
)
def test_what_is_shipped_fits_its_schema(name, file):
    check(name, tomllib.loads((ROOT / file).read_text()))


def test_a_manifest_fits_its_schema():
    with zipfile.ZipFile(ROOT / "tests/golden/bundle-1-signed.zip") as bundle:
        manifest = json.loads(bundle.read("manifest.json"))
    check("manifest", manifest)
    check("manifest", manifest | {"later": 1})
    with pytest.raises(jsonschema.ValidationError):
        check("manifest", manifest | {"schema_version": 2})


def test_an_unknown_key_does_not_fit():
    with pytest.raises(jsonschema.ValidationError):
        check(
            "target", {"name": "a", "description": "", "platform": "ios", "precisions": [], "x": 1}
        )


def test_an_unknown_schema_names_the_nearest():
    with pytest.raises(UsageError, match='did you mean "manifest"'):
        schemas.schema("manifets")
