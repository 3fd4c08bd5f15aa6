"""The main job on published models with real data, where these are at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from installed_runtimes import installed

from edgepack import targets
from edgepack.records.manifest import Manifest
from edgepack.records.report import Report

DATA = Path(__file__).resolve().parents[1].parent / "shared/data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason="the published models are not at hand"),
]

FLOATS = ("browser", "ios", "ios-litert")  # profiles that put float16 first

IMAGES = """
name = "cifar-10"
kind = "image-folder"

[splits.calibrate]
path = "{data}/ic/calibration"
samples = 100

[splits.tune]
samples = 0

[splits.evaluate]
path = "{data}/ic/evaluation"
"""

KEYWORDS = """
name = "keywords"
kind = "arrays"
path = "{data}/kws/features.npz"
classes = {classes}

[splits.calibrate]
samples = 100
"""

CONFIG = """
dataset = "dataset.toml"
variants = ["float32", "float16", "int8"]
targets = {targets}

[model]
path = "{data}/{name}/saved_model"
name = "{name}"
version = "1.0.0"
expected_accuracy = {expected}
"""


def _build(edgepack, directory, name, dataset, expected):
    installed("tflite-runtime==2.14.0")
    (directory / "dataset.toml").write_text(dataset)
    named = [one for one in targets.names() if one != "edgetpu"]
    config = CONFIG.format(data=DATA, name=name, expected=expected, targets=named)
    (directory / "edgepack.toml").write_text(config)
    done = edgepack("build", cwd=directory)
    assert done.returncode == 0, done.stderr
    bundle = directory / f"dist/{name}-1.0.0.zip"
    assert edgepack("verify", bundle).returncode == 0
    with zipfile.ZipFile(bundle) as archive:
        manifest = Manifest.model_validate_json(archive.read("manifest.json"))
    report = Report.model_validate_json((directory / "dist/report.json").read_bytes())
    assert {one.name: one.variants[0] for one in manifest.targets} == {
        one: "float16" if one in FLOATS else "int8" for one in named
    }
    _build_for_edgetpu(edgepack, directory)
    return manifest, {one.variant: one for one in report.evidence.variants}


def _build_for_edgetpu(edgepack, directory):
    """Its compiler is older than fully connected layers with a scale for each channel."""
    chosen = ("--target", "edgetpu", "--variant", "int8", "--granularity", "tensor")
    done = edgepack("build", *chosen, "--output", directory / "coral", cwd=directory)
    assert done.returncode == 0, done.stderr
    report = Report.model_validate_json((directory / "coral/report.json").read_bytes())
    (variant,) = report.evidence.variants
    assert variant.edgetpu.share == 1
    assert report.targets[0].variants == ("int8",)


def test_image_classification_loses_less_than_a_point_in_int8(edgepack, tmp_path):
    manifest, variants = _build(edgepack, tmp_path, "ic", IMAGES.format(data=DATA), 0.75)
    assert manifest.dataset.samples["evaluate"] == 1000
    (drop, *_) = variants["int8"].accuracy.drops
    assert drop.metric == "top-1"
    assert drop.value <= 0.01
    assert drop.interval.low <= drop.value <= drop.interval.high
    assert manifest.source.repairs == ()


def test_keyword_spotting_builds_from_its_published_files(edgepack, tmp_path):
    labels = (DATA / "kws/labels.txt").read_text().split()
    dataset = KEYWORDS.format(data=DATA, classes=labels)
    manifest, variants = _build(edgepack, tmp_path, "kws", dataset, 0.91)
    assert manifest.dataset.samples == {"calibrate": 100, "evaluate": 400}
    (repair,) = manifest.source.repairs
    assert "slot variables" in repair.what
    (drop, *_) = variants["int8"].accuracy.drops
    assert drop.samples == 400
    assert drop.value <= 0.01
    assert drop.interval.high - drop.interval.low > 0.01  # 400 samples cannot show one point
    assert [model.precision for model in manifest.models] == ["float32", "float16", "int8"]
