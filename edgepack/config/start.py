"""Writes a first `edgepack.toml`, and a dataset spec where there is none, beside each other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgepack.config import template
from edgepack.errors import UsageError
from edgepack.files import write_atomic
from edgepack.savedmodel import reader


@dataclass(frozen=True)
class Started:
    """What `start` left behind."""

    config: Path
    dataset: Path
    dataset_is_new: bool


def start(
    model: Path, config: Path, *, dataset: Path | None = None, signature: str = "", force: bool
) -> Started:
    """Write a first configuration for a SavedModel, its signature filled in.

    Args:
        model: the SavedModel directory.
        config: the file to write.
        dataset: the dataset spec; `dataset.toml` beside the config by default. One that is there
            is never changed.
        signature: the SignatureDef to build; by default the only one, or serving_default.
        force: replace a config that is there.

    Raises:
        EdgepackError: the model cannot be read, or a file would be overwritten.
    """
    if config.exists() and not force:
        raise UsageError(
            "is there already", where=config, hint="--force replaces it; --output writes elsewhere."
        )
    facts = reader.read(model)
    spec = dataset or config.parent / "dataset.toml"
    begun = template.Start(
        facts=facts,
        signature=reader.select_signature(facts, signature),
        name=template.model_name(model),
        model=_relative(model, config.parent),
        dataset=_relative(spec, config.parent),
    )
    contents = {config: template.settings(begun)}
    is_new = not spec.exists()
    if is_new:
        contents[spec] = template.dataset(begun)
    for path, text in contents.items():
        write_atomic(path, _encoded(text, model))
    return Started(config, spec, is_new)


def _relative(path: Path, base: Path) -> str:
    """`path` as a file in `base` would write it; a link at its end stays a link."""
    absolute = path.absolute()
    found = Path(os.path.realpath(absolute.parent)) / absolute.name
    return Path(os.path.relpath(found, os.path.realpath(base))).as_posix()


def _encoded(text: str, model: Path) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        hint = "Rename it: a TOML file cannot say it."
        raise UsageError("is not UTF-8 text", where=ascii(str(model)), hint=hint) from error
