"""Models of many kinds through the installed command: what is built, and what is said if not."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgepack.records.report import Report

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
HOLLOW = ROOT.parent / "shared/data/wild/C242-PS045-Career-Match__Cloud-Computing/0"
EVERY = ("float32", "float16", "dynamic", "int8", "int8-float-io")

ARRAYS = """
name = "samples"
kind = "arrays"
path = "samples.npz"
task = "{task}"

[inputs."*"]
dtype = "{dtype}"

[splits.calibrate]
samples = 16
"""

TABLE = """
name = "rows"
kind = "table"
path = "rows.csv"
task = "regression"
labels = "price"

[inputs.a]
columns = ["a0", "a1"]

[inputs.b]
columns = ["b0"]

[splits.calibrate]
samples = 16
"""

CONFIG = """
dataset = "dataset.toml"
variants = {variants}

[model]
path = "{model}"
name = "{name}"
version = "1.0.0"

[budgets.all]
{budgets}

[latency]
rounds = 3
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    command = [sys.executable, ROOT / "tests/small_models.py", directory]
    subprocess.run(command, check=True, capture_output=True)
    return directory


@pytest.fixture
def project(models, tmp_path):
    """Writes a project for one of the models; its samples are arrays by name, or a table."""

    def write(name, samples, *, task="none", budgets="max_accuracy_drop = 0.5", variants=EVERY):
        spec = TABLE
        if isinstance(samples, str):
            (tmp_path / "rows.csv").write_text(samples)
        else:
            spec = ARRAYS.format(task=task, dtype=samples["x"].dtype.name)
            np.savez(tmp_path / "samples.npz", **samples)
        (tmp_path / "dataset.toml").write_text(spec)
        config = CONFIG.format(
            variants=list(variants), model=models / name, name=name, budgets=budgets
        )
        (tmp_path / "edgepack.toml").write_text(config)
        return tmp_path

    return write


def _normal(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _built(edgepack, project, *arguments):
    done = edgepack("build", project, *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return _report(project)


def _report(project):
    return Report.model_validate_json((project / "dist/report.json").read_bytes())


def _variants(report):
    return {one.variant: one for one in report.evidence.variants}


def _failed(report):
    return {(c.subject, c.name) for c in report.verdict.checks if c.outcome == "fail"}


def test_a_table_with_two_inputs_is_judged_by_its_error(edgepack, project):
    rows = _normal(80, 4)
    lines = ["a0,a1,b0,price", *(",".join(map(str, row)) for row in rows.tolist())]
    report = _built(edgepack, project("two_inputs", "\n".join(lines), budgets=""))
    found = _variants(report)
    assert set(found) == set(EVERY)
    for one in found.values():
        assert [m.name for m in one.accuracy.metrics] == ["mae", "rmse", "r2"]
        assert one.accuracy.drops[0].value < 0.01


def test_masks_are_judged_by_their_overlap_and_both_int8_variants_share_a_calibration(
    edgepack, project
):
    image = _normal(40, 8, 8, 3)
    label = np.random.default_rng(2).integers(0, 3, (40, 8, 8))
    samples = {"x": image, "label": label}
    report = _built(edgepack, project("segments", samples, task="segmentation"), "--no-cache")
    found = _variants(report)
    assert set(found) == set(EVERY)
    assert {one.accuracy.metrics[0].name for one in found.values()} == {"mean-iou"}


@pytest.mark.parametrize(
    ("name", "samples"),
    [
        ("pooled", _normal(40, 12, 10, 3)),
        ("bytes", np.random.default_rng(3).integers(0, 256, (40, 4, 3), np.uint8)),
    ],
)
def test_shapes_and_types_that_trip_interpreters_build(edgepack, project, name, samples):
    report = _built(edgepack, project(name, {"x": samples}))
    assert set(_variants(report)) == set(EVERY)
    cosine = _variants(report)["float32"].accuracy.agreement[0].cosine
    assert cosine == pytest.approx(1, abs=1e-6)


def test_a_model_without_weights_is_named_what_it_is_and_says_so(edgepack, project):
    found = _variants(_built(edgepack, project("weightless", {"x": _normal(60, 6)})))
    assert {name: one.precision for name, one in found.items()} == {
        "float32": "float32",
        "float16": "float32",
        "dynamic": "float32",
        "int8": "int8",
        "int8-float-io": "int8",
    }
    assert "changes nothing" in found["float16"].note
    assert "changes nothing" in found["dynamic"].note
    assert found["float32"].note == ""


def test_conditions_do_not_hide_that_a_model_is_float32(edgepack, project):
    where = project("conditional", {"x": _normal(60, 6)}, variants=["float32"])
    assert _variants(_built(edgepack, where))["float32"].precision == "float32"


def test_nan_fails_the_gate_with_reports_and_may_still_be_shipped_marked(edgepack, project):
    where = project("not_a_number", {"x": _normal(60, 6)}, variants=["float32", "float16"])
    done = edgepack("build", where)
    assert done.returncode == 3, done.stderr
    report = _report(where)
    assert {("source", "finite_outputs"), ("float32", "finite_outputs")} <= _failed(report)
    assert report.bundle is None
    assert edgepack("build", where, "--allow-failed").returncode == 3
    bundle = where / "dist/not_a_number-1.0.0.zip"
    assert edgepack("verify", bundle).returncode == 4
    done = edgepack("verify", bundle, "--allow-failed")
    assert (done.returncode, "its gate refused this build" in done.stderr) == (0, True)


def test_what_was_done_for_a_dead_layer_is_told_from_the_cache_too(edgepack, project):
    where = project("half_dead", {"x": _normal(60, 6)}, variants=["int8"])
    arguments = ("--budget", "min_agreement=0.9", "--engine", "quantizer")
    notes = []
    for _ in range(2):
        note = _variants(_built(edgepack, where, *arguments))["int8"].note
        assert "its range is wider" in (where / "dist/report.md").read_text()
        with zipfile.ZipFile(where / "dist/half_dead-1.0.0.zip") as bundle:
            (model,) = json.loads(bundle.read("manifest.json"))["models"]
        assert model["note"] == note
        notes.append(note)
    assert "range" in notes[0]
    assert notes[0] == notes[1]


def test_outputs_whose_shape_depends_on_the_sample_are_refused_by_name(edgepack, project):
    done = edgepack("build", project("widening", {"x": _normal(40, 6)}, variants=["float32"]))
    assert done.returncode == 5, done.stderr
    error = done.stderr[done.stderr.index("error[") :]
    assert "output 'y'" in error
    assert "depends on the sample" in error
    assert "Error:" not in error


def test_an_output_over_the_whole_batch_is_asked_for_one_sample_at_a_time(edgepack, project):
    where = project("scalar", {"x": _normal(40, 6)}, variants=["float32"])
    report = _built(edgepack, where, "--budget", "min_agreement=0.9")
    (output,) = _variants(report)["float32"].accuracy.agreement
    assert output.samples == report.dataset.samples["evaluate"]
    assert output.max_abs_error < 1e-5


def test_samples_that_the_source_fails_on_are_told_in_its_own_words(edgepack, project):
    ids = np.random.default_rng(4).integers(0, 6, (40, 2), np.int32)
    ids[30, 1] = 99
    done = edgepack("build", project("looks_up", {"x": ids}, variants=["float32"]))
    assert done.returncode == 5, done.stderr
    assert "the source model fails on the samples: InvalidArgumentError" in done.stderr
    assert "99 is not in [0, 6)" in done.stderr


def test_numbers_for_a_signature_that_takes_strings_are_refused(edgepack, project):
    done = edgepack("build", project("reads", {"x": _normal(40, 1)}, variants=["float32"]))
    assert done.returncode == 2, done.stderr
    assert "the input 'x' is string, the spec makes float32" in done.stderr


def test_a_retrained_model_is_held_against_the_last_release(edgepack, project, models):
    where = project("plain", {"x": _normal(60, 6)}, variants=["float32", "int8"])
    _built(edgepack, where)
    last = where / "last.zip"
    (where / "dist/plain-1.0.0.zip").rename(last)
    same = _built(edgepack, where, "--baseline", last, "--model-version", "1.0.1")
    assert [one.signature_changes for one in same.evidence.baseline] == [(), ()]
    done = edgepack("build", where, "--baseline", last, "--model", models / "renamed")
    assert done.returncode == 3, done.stderr
    changed = _report(where).evidence.baseline[0].signature_changes
    assert changed == ("output y is gone", "output other is new")


def test_a_wrong_build_time_is_refused_before_anything_is_built(project):
    where = project("plain", {"x": _normal(60, 6)})
    command = ["env", "SOURCE_DATE_EPOCH=soon", sys.executable, "-m", "edgepack", "build", where]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "SOURCE_DATE_EPOCH is 'soon'" in done.stderr
    assert "convert" not in done.stderr


@pytest.mark.skipif(not HOLLOW.exists(), reason="the published model is not at hand")
def test_weights_that_the_converter_leaves_out_are_brought_in(edgepack, project):
    samples = {"x": np.abs(_normal(40, 437))}
    where = project("plain", samples, variants=["float32", "int8"])
    report = _built(edgepack, where, "--model", HOLLOW, "--budget", "max_accuracy_drop=0.9")
    assert _variants(report)["float32"].accuracy.agreement[0].top1 == 1
    assert _variants(report)["float32"].size_bytes > 250_000
