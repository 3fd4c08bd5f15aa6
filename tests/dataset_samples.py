"""Small datasets of real files, and the inputs of models that would take them."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from edgepack.datasets.prepare import Workshop, prepare, resolve
from edgepack.records.dataset import DatasetSpec, Preprocess, Splits, SplitSpec
from edgepack.records.tensors import Tensor

RNG = np.random.default_rng(0)


def tensor(shape, dtype="float32", name="x"):
    return Tensor(name=name, dtype=dtype, shape=(-1, *shape))


def spec(kind, path="data", x=None, **fields):
    inputs = fields.pop("inputs", {"x": Preprocess(**(x or {}))})
    fields.setdefault("splits", everything())
    return DatasetSpec(name="samples", kind=kind, path=path, inputs=inputs, **fields)


def everything(**others):
    """All samples are for evaluation, unless said otherwise."""
    parts = {"calibrate": 0, "tune": 0, "evaluate": None} | others
    return Splits(
        **{
            split: part if isinstance(part, SplitSpec) else SplitSpec(samples=part)
            for split, part in parts.items()
        }
    )


def run(dataset, root, *inputs, shards=2):
    """Prepare a dataset in threads; the samples with absolute paths."""
    directory = Path(root) / "_prepared"
    directory.mkdir(exist_ok=True)
    with ThreadPoolExecutor(1) as executor:
        samples = prepare(dataset, Path(root), inputs, Workshop(executor, directory, shards))
    return resolve(samples, directory)


def arrays(samples, name="x", split="evaluate"):
    """The input and the labels of one split."""
    data = samples.splits[split]
    labels = np.load(data.labels.path) if data.labels else None
    return np.load(data.inputs[name].path), labels


def codes(samples):
    return {lint.code for lint in samples.lints}


def noise(height=4, width=4, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def save_image(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def class_folders(root, counts, **size):
    """One folder a class, each with so many different PNG files."""
    for name, count in counts.items():
        for number in range(count):
            save_image(Path(root) / name / f"{number:03}.png", noise(**size))


def jpeg(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()
