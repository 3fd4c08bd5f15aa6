"""Which package's table stands for which numbering: `numberings.toml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgepack import tomlfile
from edgepack.records.base import Record

FILE = Path(__file__).parent / "numberings.toml"


class Numbered(Record):
    """Where what the releases of one numbering know is taken from."""

    package: str = Field(description="of the table; empty where nothing is known")
    proven: Literal["run", "taken", "unknown"]
    newest: str = Field("", description="the last release, where the package went on")
    source: str
    read: str = Field(description="the day")


class Numberings(Record):
    """Each numbering by its name."""

    tensorflow: Numbered
    tensorflow_lite_maven: Numbered = Field(alias="tensorflow-lite-maven")
    tensorflow_lite_swift: Numbered = Field(alias="tensorflow-lite-swift")
    tflite_runtime: Numbered = Field(alias="tflite-runtime")
    ai_edge_litert: Numbered = Field(alias="ai-edge-litert")
    litert_maven: Numbered = Field(alias="litert-maven")
    litert_swift: Numbered = Field(alias="litert-swift")
    litertjs: Numbered
    play_services_tflite: Numbered = Field(alias="play-services-tflite")


@cache
def numberings() -> dict[str, Numbered]:
    """By name, such as litert-maven."""
    found = tomlfile.load(FILE, Numberings)
    fields = type(found).model_fields
    return {field.alias or name: getattr(found, name) for name, field in fields.items()}
