"""What identifies a dataset: its spec and the content of every file it reads."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.datasets.spec import split_spec
from edgepack.errors import DatasetError
from edgepack.files import sha256_file
from edgepack.records.dataset import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.dataset import DatasetSpec


def digest(spec: DatasetSpec, root: Path) -> str:
    """SHA-256 over the spec and the sorted (relative path, SHA-256) pairs of its files.

    Args:
        spec: the dataset spec.
        root: the folder that the spec's paths are relative to.

    Raises:
        DatasetError: a path is not there or cannot be read.
    """
    total = hashlib.sha256(spec.model_dump_json().encode())
    try:
        for path in sorted(set(_files(spec, root))):
            name = Path(path).relative_to(root) if path.is_relative_to(root) else path.name
            total.update(f"{name}\0{sha256_file(path)}\n".encode())
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", where=error.filename) from error
    return total.hexdigest()


def _files(spec: DatasetSpec, root: Path) -> Iterator[Path]:
    if spec.kind == "function":
        yield _module_file(spec, root)
        return
    for split in SPLITS:
        part = split_spec(spec, split)
        if part.samples == 0:
            continue
        path = root / part.path
        if not path.exists():
            raise DatasetError(
                "there is no such file or folder",
                where=path,
                hint=f"The spec's path, or splits.{split}.path, is relative to {root}.",
            )
        yield from _below(path)
        if spec.kind in {"image-list", "audio"} and path.is_file():
            yield from _below(path.parent, but=path.suffix)


def _below(path: Path, but: str = "") -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (file for file in path.rglob("*") if file.is_file() and file.suffix != (but or None))


def _module_file(spec: DatasetSpec, root: Path) -> Path:
    module = spec.function.partition(":")[0]
    local = root / (module.replace(".", "/") + ".py")
    if local.is_file():
        return local
    found = find_spec(module.partition(".")[0])
    if found is None or not found.origin:
        raise DatasetError(
            f"there is no module {module}", where=root, hint="Put it beside the dataset spec."
        )
    return Path(found.origin)
