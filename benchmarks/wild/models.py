"""SavedModels below a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GRAPHS = ("saved_model.pb", "saved_model.pbtxt")


@dataclass(frozen=True)
class Model:
    """One directory that holds a SavedModel, and its path from where the search began."""

    name: str
    path: Path


def find(folder: Path, only: str = "") -> list[Model]:
    """Every SavedModel below a folder, by path."""
    found = {file.parent for graph in GRAPHS for file in folder.rglob(graph)}
    named = [Model(path.relative_to(folder).as_posix(), path) for path in sorted(found)]
    return [model for model in named if only in model.name]
