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

    from edgepack.records.dataset import Preprocess, SplitSpec, Window

LOWEST_HZ = 20.0  # where mel filters begin


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
        if spec.path or any(split_spec(spec, split).path for split in SPLITS):
            yield "kind function takes no path: the function says where its samples are"
    elif any(
        not part.path and part.samples != 0 for part in map(partial(split_spec, spec), SPLITS)
    ):
        yield f"kind {spec.kind} needs path, or a path for each split that has samples"
    if len(set(spec.classes)) < len(spec.classes):
        yield "classes names a class twice"
    for name, preprocess in spec.inputs.items():
        yield from _preprocess_faults(f"inputs.{name}", preprocess)
    for split in SPLITS:
        yield from _split_faults(split, split_spec(spec, split).samples)


def _preprocess_faults(key: str, preprocess: Preprocess) -> Iterator[str]:
    if 0 in preprocess.std:
        yield f"{key}.std must not be zero"
    if preprocess.audio is not None:
        yield from _window_faults(f"{key}.audio", preprocess.audio)


def _window_faults(key: str, window: Window) -> Iterator[str]:
    """What no clip can be framed by; a waveform has no frames."""
    if window.features == "waveform":
        return
    if window.window_ms > window.duration_ms:
        yield f"{key}: a window of {window.window_ms:g} ms is longer than the clip"
    for name in ("window_ms", "stride_ms"):
        if round(window.sample_rate * getattr(window, name) / 1000) < 1:
            yield f"{key}.{name} is less than one sample at {window.sample_rate} Hz"
    if window.features != "spectrogram" and window.sample_rate <= 2 * LOWEST_HZ:
        yield f"{key}.sample_rate is too low: mel filters begin at {LOWEST_HZ:g} Hz"


def _split_faults(split: str, samples: float | None) -> Iterator[str]:
    if isinstance(samples, float) and not 0 <= samples <= 1:
        yield f"splits.{split}.samples is {samples}: a fraction is 0.0 to 1.0, a count has no point"
    elif isinstance(samples, int) and samples < 0:
        yield f"splits.{split}.samples is negative"
