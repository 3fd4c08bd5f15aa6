"""Where vectors lie: identical bytes once, under names that tell nothing of the model's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.files import sha256_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edgepack.records.vectors import VectorTensor

FOLDER = "vectors/"
INDEX = f"{FOLDER}index.json"
INPUTS = f"{FOLDER}inputs/"
OWN_INPUTS = f"{FOLDER}inputs-"  # a variant's, until they are shared


def share(root: Path, tensors: Iterable[VectorTensor]) -> dict[str, str]:
    """Keep each content once, the first to have it; give inputs their final names.

    Args:
        root: what the tensors' paths start at.
        tensors: all of them, in the order in which they are named.

    Returns:
        The path that now holds what was at each tensor's.
    """
    kept: dict[str, str] = {}
    moved: dict[str, str] = {}
    (root / INPUTS).mkdir(parents=True, exist_ok=True)
    inputs = 0
    for tensor in tensors:
        digest = sha256_file(root / tensor.path)
        if digest in kept:
            (root / tensor.path).unlink()
        elif tensor.path.startswith(OWN_INPUTS):
            kept[digest] = f"{INPUTS}{inputs}.bin"
            (root / tensor.path).rename(root / kept[digest])
            inputs += 1
        else:
            kept[digest] = tensor.path
        moved[tensor.path] = kept[digest]
    return moved


def moved_to(
    tensors: tuple[VectorTensor, ...], moved: Mapping[str, str]
) -> tuple[VectorTensor, ...]:
    """The tensors with the paths that `share` gave them."""
    return tuple(one.model_copy(update={"path": moved[one.path]}) for one in tensors)
