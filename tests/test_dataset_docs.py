"""docs/datasets.md: every key of a dataset spec, with the default that holds."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from edgepack.datasets import spec
from edgepack.records.dataset import (
    DatasetSpec,
    Kind,
    Preprocess,
    Resize,
    Splits,
    SplitSpec,
    Window,
)

if TYPE_CHECKING:
    from edgepack.records.base import Record

TEXT = (Path(__file__).resolve().parents[1] / "docs" / "datasets.md").read_text()
SECTIONS = {
    heading.replace("`", ""): body
    for heading, body in re.findall(r"^#+ (.+)\n((?:(?!#).*\n)*)", TEXT, re.MULTILINE)
}
RECORDS: dict[str, type[Record]] = {
    "Dataset specs": DatasetSpec,
    "[inputs.NAME]": Preprocess,
    "resize": Resize,
    "audio": Window,
    "[splits.calibrate], [splits.tune], [splits.evaluate]": SplitSpec,
}
TABLES = {"inputs", "splits"}  # they have sections of their own


def rows(section: str) -> list[list[str]]:
    """Cells of a section's first table, without its header."""
    table = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def default(kind: type[Record], key: str) -> str:
    field = kind.model_fields[key]
    if field.is_required():
        return "needed"
    return "none" if field.default is None else f"`{json.dumps(field.default)}`"


@pytest.mark.parametrize(("section", "kind"), RECORDS.items())
def test_every_key_and_its_default_are_documented(section, kind):
    documented = {row[0].strip("`"): row[1] for row in rows(section)}
    keys = [key for key in kind.model_fields if key not in TABLES]
    assert documented == {key: default(kind, key) for key in keys}


@pytest.mark.parametrize(("section", "kind"), RECORDS.items())
def test_every_choice_is_documented(section, kind):
    for key, shape in kind.model_json_schema()["properties"].items():
        choices = shape.get("enum", ())
        assert all(f'"{one}"' in SECTIONS[section] for one in choices) or key == "kind"


def test_every_kind_is_documented():
    assert tuple(row[0].strip("`") for row in rows("Kinds")) == get_args(Kind)


def test_splits_that_are_not_written_down_are_as_told():
    splits = Splits()
    assert (splits.calibrate.samples, splits.tune.samples) == (100, 0)
    assert splits.evaluate.samples is None


def test_the_example_loads(tmp_path):
    lines = SECTIONS["Dataset specs"].splitlines()
    example = [line for line in lines if not line or line.startswith("    ")]
    (tmp_path / "a.toml").write_text(textwrap.dedent("\n".join(example)))
    assert spec.load(tmp_path / "a.toml").inputs["image"].resize.fit == "crop"
