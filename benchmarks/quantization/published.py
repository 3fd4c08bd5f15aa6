"""The published models that lie beside the project, as projects with real samples."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from models import project

from edgepack import repair
from edgepack.savedmodel import reader

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).resolve().parents[3] / "shared/data"


def keywords(folder: Path) -> None:
    """MLPerf Tiny's keyword model: 100, 150 and 250 of its samples."""
    source = DATA / "kws/saved_model"
    folder.mkdir(parents=True)
    # The stock converter cannot load it with its optimizer's state.
    repair.prepare(source, reader.read(source, ()), folder / "model")
    with np.load(DATA / "kws/features.npz") as arrays:
        order = np.random.default_rng(0).permutation(len(arrays["y"]))
        x, y = arrays["x"][order], arrays["y"][order]
    project(folder, _split(x, y, 100, 150))


def resnet8(folder: Path) -> None:
    """MLPerf Tiny's ResNet8: 100 CIFAR-10 images to calibrate, 400 to tune, the rest evaluates."""
    from PIL import Image

    folder.mkdir(parents=True)
    shutil.copytree(DATA / "ic/saved_model", folder / "model", copy_function=shutil.copyfile)
    pairs = []
    for part in ("calibration", "evaluation"):
        classes = sorted(path for path in (DATA / "ic" / part).iterdir() if path.is_dir())
        found = [(path, label) for label, one in enumerate(classes) for path in one.iterdir()]
        order = np.random.default_rng(0).permutation(len(found))
        pairs += [found[index] for index in order][: 100 if part == "calibration" else None]
    x = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path, _ in pairs])
    project(folder, _split(x, np.array([label for _, label in pairs]), 100, 400))


def _split(x: Any, y: Any, calibrate: int, tune: int) -> dict[str, tuple[Any, ...]]:
    ends = {"calibrate": (0, calibrate), "tune": (calibrate, calibrate + tune)}
    ends["evaluate"] = (calibrate + tune, len(y))
    return {name: (x[slice(*at)].astype(np.float32), y[slice(*at)]) for name, at in ends.items()}


PUBLISHED: dict[str, Callable[[Path], None]] = (
    {"keywords": keywords, "resnet8": resnet8} if DATA.exists() else {}
)


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        PUBLISHED[wanted](Path(sys.argv[1]) / wanted)
