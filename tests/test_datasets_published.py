"""Published datasets, where they are at hand; and work in processes, as a build does it."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from dataset_samples import arrays, class_folders, codes, everything, run, spec, tensor
from PIL import Image

from edgepack.datasets.prepare import Workshop, prepare
from edgepack.errors import DatasetError
from edgepack.records.dataset import SplitSpec

SHARED = Path(__file__).parents[1].parent / "shared" / "data"
IMAGES = tensor((32, 32, 3))
FOLDERS = everything(
    calibrate=SplitSpec(path="ic/calibration", samples=50), evaluate=SplitSpec(path="ic/evaluation")
)
published = pytest.mark.skipif(not SHARED.exists(), reason="the published datasets are not here")


def _prepared(dataset, tmp_path, shape):
    """Like `run`, but what is written stays out of the dataset's folder."""
    (tmp_path / "data").symlink_to(SHARED)
    return run(dataset, tmp_path, shape)


@published
def test_published_images_are_read_as_they_are(tmp_path):
    dataset = spec("image-folder", "", splits=_below_data(FOLDERS))
    samples = _prepared(dataset, tmp_path, IMAGES)
    assert len(samples.classes) == 10
    values, labels = arrays(samples, split="calibrate")
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == (0, 255)
    assert np.bincount(labels).tolist() == [5] * 10
    expected = {_pixels(path) for path in (SHARED / "ic/calibration/frog").iterdir()}
    frogs = values[labels == samples.classes.index("frog")]
    assert {frog.astype(np.uint8).tobytes() for frog in frogs} < expected
    files = len(list((SHARED / "ic/evaluation").glob("*/*")))
    assert samples.splits["evaluate"].samples == files


@published
def test_published_keywords_keep_their_labels(tmp_path):
    dataset = spec("arrays", "data/kws/features.npz", splits=everything(calibrate=100))
    samples = _prepared(dataset, tmp_path, tensor((49, 10, 1)))
    stored = np.load(SHARED / "kws/features.npz")
    known = dict(zip((row.tobytes() for row in stored["x"]), stored["y"].tolist(), strict=True))
    assert sum(data.samples for data in samples.splits.values()) == len(stored["x"])
    for split in ("calibrate", "evaluate"):
        values, labels = arrays(samples, split=split)
        assert [known[value.tobytes()] for value in values] == labels.tolist()


def _below_data(splits):
    parts = {
        split: part.model_copy(update={"path": part.path and f"data/{part.path}"})
        for split, part in splits
    }
    return splits.model_copy(update=parts)


def _pixels(path):
    with Image.open(path) as image:
        return np.asarray(image).tobytes()


def test_processes_prepare_what_threads_do(tmp_path):
    class_folders(tmp_path / "data", {"a": 6, "b": 6})
    dataset = spec("image-folder", splits=everything(calibrate=4))
    expected = run(dataset, tmp_path, tensor((4, 4, 3)))
    (tmp_path / "made").mkdir()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        workshop = Workshop(executor, tmp_path / "made", 2)
        found = prepare(dataset, tmp_path, (tensor((4, 4, 3)),), workshop)
        with pytest.raises(DatasetError, match="does not fit"):
            prepare(dataset, tmp_path, (tensor((5, 5, 3)),), workshop)
    assert found.digest == expected.digest
    assert "few-samples" in codes(found)
    assert not Path(found.splits["evaluate"].inputs["x"].path).is_absolute()
