"""Dataset specs: `calibration/*.toml` as a `DatasetSpec` that makes sense."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from edgepack import tomlfile
from edgepack.errors import ConfigError
from edgepack.records.dataset import SPLITS, DatasetSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.records.dataset import SplitSpec


def load(path: Path) -> DatasetSpec:
    """Read and check a dataset spec.

    Raises:
        ConfigError: the file, or something it says, cannot be.
    """
    spec = tomlfile.load(path, DatasetSpec)
    if faults := list(_faults(spec)):
        raise ConfigError("; ".join(faults), where=path)
    return spec


def split_spec(spec: DatasetSpec, split: str) -> SplitSpec:
    """What a spec says of one split, the dataset's own path filled in."""
    found: SplitSpec = getattr(spec.splits, split)
    return found.model_copy(update={"path": found.path or spec.path})


def _faults(spec: DatasetSpec) -> Iterator[str]:
    if spec.kind == "function":
        module, _, function = spec.function.partition(":")
        if not (module and function):
            yield "kind function needs function = 'module:function'"
    elif any(
        not part.path and part.samples != 0 for part in map(partial(split_spec, spec), SPLITS)
    ):
        yield f"kind {spec.kind} needs path, or a path for each split that has samples"
    if len(set(spec.classes)) < len(spec.classes):
        yield "classes names a class twice"
    for name, preprocess in spec.inputs.items():
        if 0 in preprocess.std:
            yield f"inputs.{name}.std must not be zero"
    for split in SPLITS:
        yield from _split_faults(split, split_spec(spec, split).samples)


def _split_faults(split: str, samples: float | None) -> Iterator[str]:
    if isinstance(samples, float) and not 0 <= samples <= 1:
        yield f"splits.{split}.samples is {samples}: a fraction is 0.0 to 1.0, a count has no point"
    elif isinstance(samples, int) and samples < 0:
        yield f"splits.{split}.samples is negative"
