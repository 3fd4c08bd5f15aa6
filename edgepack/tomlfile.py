"""A TOML file as a record: strict, with file, line and the nearest known key in every complaint."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from edgepack.errors import ConfigError
from edgepack.records.base import Record

if TYPE_CHECKING:
    from pathlib import Path

R = TypeVar("R", bound=Record)


def load(path: Path, kind: type[R]) -> R:
    """Read `path` as TOML and validate it strictly as `kind`.

    Raises:
        ConfigError: not readable, not TOML, or not what `kind` allows.
    """
    try:
        return kind.model_validate_json(json.dumps(tomllib.loads(path.read_text())), strict=True)
    except ValidationError as error:
        raise ConfigError(str(error), where=path) from error
