"""The main job through the installed command, on the embedded model and data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from edgepack.records.manifest import Manifest
from edgepack.records.report import Report

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits"
BUNDLE = "digits-1.0.0.zip"


@pytest.fixture(scope="module")
def demo(edgepack, tmp_path_factory):
    """The first build: cold, everything after it may use its cache."""
    output = tmp_path_factory.mktemp("demo")
    done = edgepack("build", "--demo", "--output", output)
    assert done.returncode == 0, done.stderr
    return output, done


@pytest.fixture
def project(demo, tmp_path):
    """A copy of the embedded project that a test may spoil."""
    shutil.copytree(ROOT / "calibration", tmp_path / "calibration")
    return tmp_path / "calibration/digits/edgepack.toml"


def _build(edgepack, project, *arguments, output=None):
    output = output or project.parent / "dist"
    return edgepack("build", project, "--output", output, *arguments)


def _change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def _manifest(bundle):
    with zipfile.ZipFile(bundle) as archive:
        return Manifest.model_validate_json(archive.read("manifest.json"))


def _report(output):
    return Report.model_validate_json((output / "report.json").read_bytes())


def _checks(report, outcome):
    return {(c.subject, c.name) for c in report.verdict.checks if c.outcome == outcome}


def test_the_demo_says_what_was_built_and_what_to_run_next(demo):
    output, done = demo
    for variant in ("float32", "float16", "dynamic", "int8"):
        assert variant in done.stdout
    assert str(output / BUNDLE) in done.stdout
    assert "report.md" in done.stdout
    assert "edgepack verify" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_the_demo_leaves_a_bundle_that_verifies_and_reports_that_name_it(edgepack, demo):
    output, _ = demo
    assert edgepack("verify", output / BUNDLE).returncode == 0
    report = _report(output)
    assert report.bundle.path == BUNDLE
    assert report.bundle.sha256 in (output / "report.md").read_text()
    assert {path.name for path in output.iterdir()} == {BUNDLE, "report.json", "report.md"}


def test_every_figure_of_the_manifest_is_of_the_files_beside_it(demo):
    manifest = _manifest(demo[0] / BUNDLE)
    assert [m.variant for m in manifest.models] == ["float32", "float16", "dynamic", "int8"]
    assert [m.precision for m in manifest.models] == ["float32", "float16", "dynamic", "int8"]
    for model in manifest.models:
        (metric, *_) = model.accuracy.metrics
        assert metric.samples == manifest.dataset.samples["evaluate"] == 597
        assert metric.value > 0.97
        assert all(agreement.top1 > 0.97 for agreement in model.accuracy.agreement)
    assert manifest.source.accuracy.metrics[0].value == pytest.approx(0.9933, abs=1e-4)
    assert not manifest.failed
    assert {target.name for target in manifest.targets} == {"android", "ios"}
    assert manifest.classes == tuple("0123456789")


def test_latency_is_in_the_report_and_not_in_the_bundle(demo):
    report = _report(demo[0])
    for variant in report.evidence.variants:
        assert variant.latency.p50_ms > 0
        assert variant.memory.peak_bytes > 0
        low, high = variant.latency.ratio_interval.low, variant.latency.ratio_interval.high
        assert low <= variant.latency.ratio <= high
    assert report.evidence.source.latency.runtime == "tensorflow"
    assert "_ms" not in _manifest(demo[0] / BUNDLE).model_dump_json()


def test_an_unchanged_rebuild_gives_the_same_bytes_from_the_cache(edgepack, demo, tmp_path):
    done = edgepack("build", "--demo", "--output", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / BUNDLE).read_bytes() == (demo[0] / BUNDLE).read_bytes()
    assert {"samples", "convert", "quantize", "source", "latency"} <= set(
        json.loads(done.stdout)["cached"]
    )
    assert "TensorFlow" not in done.stderr  # no stage that needs it ran


def test_a_cold_build_elsewhere_gives_the_same_bytes(demo, project, plain_env, tmp_path):
    shuffled = tmp_path / "shuffled"
    files = sorted((path for path in project.parents[1].rglob("*") if path.is_file()), reverse=True)
    for file in files:  # another directory, and made in another order
        target = shuffled / file.relative_to(project.parents[1])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    env = plain_env | {
        "TZ": "Asia/Kathmandu",
        "LC_ALL": "C",
        "USER": "someone",
        "LOGNAME": "someone",
    }
    env |= {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": str(ROOT),
    }
    old = os.umask(0o077)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "edgepack", "build", str(shuffled / "digits/edgepack.toml")]
            + ["--output", str(tmp_path / "out")],
            env=env,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.umask(old)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / BUNDLE).read_bytes() == (demo[0] / BUNDLE).read_bytes()


def test_over_budget_writes_reports_and_withholds_the_bundle(edgepack, project):
    done = _build(edgepack, project, "--budget", "int8.max_size_bytes=1000")
    output = project.parent / "dist"
    assert done.returncode == 3, done.stderr
    assert not (output / BUNDLE).exists()
    report = _report(output)
    assert report.bundle is None
    assert _checks(report, "fail") == {("int8", "max_size_bytes")}
    assert "refused" in (output / "report.md").read_text().splitlines()[0]
    assert "int8" in done.stdout
    assert "withheld" in done.stdout


def test_a_target_that_no_variant_fits_is_incompatible(edgepack, project):
    done = _build(edgepack, project, "--variant", "int8")  # iOS has no int8 inputs
    assert done.returncode == 6, done.stderr
    assert "ios" in done.stdout
    assert not (project.parent / "dist" / BUNDLE).exists()


def test_an_allowed_failure_is_marked_in_the_manifest(edgepack, project):
    arguments = ("--budget", "int8.max_size_bytes=1000", "--allow-failed")
    done = _build(edgepack, project, *arguments)
    assert done.returncode == 3, done.stderr
    assert _manifest(project.parent / "dist" / BUNDLE).failed


def test_an_interval_that_straddles_the_budget_fails_only_when_strict(edgepack, project):
    arguments = ("--variant", "int8", "--target", "android", "--budget", "max_accuracy_drop=0.004")
    assert _build(edgepack, project, *arguments).returncode == 0
    report = _report(project.parent / "dist")
    assert ("int8", "max_accuracy_drop") in _checks(report, "inconclusive")
    (check,) = (c for c in report.verdict.checks if c.outcome == "inconclusive")
    assert check.samples_needed > 597
    assert _build(edgepack, project, *arguments, "--strict").returncode == 3


def test_a_release_compared_with_itself_has_lost_nothing(edgepack, project, demo):
    done = _build(edgepack, project, "--baseline", demo[0] / BUNDLE)
    assert done.returncode == 0, done.stderr
    for old in _report(project.parent / "dist").evidence.baseline:
        assert old.version == "1.0.0"
        assert old.drops[0].value == 0
        assert 0.5 < old.latency_ratio < 2
        assert old.signature_changes == ()


def test_a_tampered_baseline_is_refused(edgepack, project, demo, tmp_path):
    content = bytearray((demo[0] / BUNDLE).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "old.zip").write_bytes(content)
    assert _build(edgepack, project, "--baseline", tmp_path / "old.zip").returncode == 4


def test_values_on_the_wrong_scale_fail_and_the_reason_is_named(edgepack, project):
    _change(
        project.parents[1] / "digits.toml", "scale = 0.00392156862745098 # 1/255", "scale = 0.01"
    )
    _change(project.parents[1] / "digits.toml", "scale = 0.01", "scale = 0.000015378700499807768")
    done = _build(edgepack, project, "--variant", "float32")
    assert done.returncode == 3, done.stderr
    report = _report(project.parent / "dist")
    assert "scale" in report.evidence.source.diagnosis
    assert report.evidence.source.diagnosis in done.stdout + done.stderr


def test_a_wrong_class_order_fails_and_the_right_one_is_named(edgepack, project):
    spec = project.parents[1] / "digits.toml"
    _change(spec, '["0", "1", "2", "3"', '["3", "2", "1", "0"')
    done = _build(edgepack, project, "--variant", "float32")
    assert done.returncode == 3, done.stderr
    diagnosis = _report(project.parent / "dist").evidence.source.diagnosis
    assert "classes" in diagnosis


def test_a_model_that_is_not_the_one_that_was_trained_fails(edgepack, project):
    done = _build(edgepack, project, "--variant", "float32", "--expected-accuracy", "0.9")
    assert done.returncode == 3
    assert any(
        subject == "source" for subject, _ in _checks(_report(project.parent / "dist"), "fail")
    )


def _corrupt(project):
    path = project.parent / "saved_model/saved_model.pb"
    path.write_bytes(path.read_bytes()[:1000])


def _without_variables(project):
    shutil.rmtree(project.parent / "saved_model/variables")


def _broken_variables(project):
    (data,) = (project.parent / "saved_model/variables").glob("variables.data-*")
    data.write_bytes(data.read_bytes()[:64])


def _file_for_directory(project):
    shutil.rmtree(project.parent / "saved_model")
    (project.parent / "saved_model").write_text("")


def _no_images(project):
    shutil.rmtree(project.parent / "test")
    (project.parent / "test").mkdir()


def _one_bad_image(project):
    image = sorted((project.parent / "test").rglob("*.png"))[5]
    image.write_bytes(image.read_bytes()[:40])


def _other_shape(project):
    spec = project.parents[1] / "digits.toml"
    _change(spec, 'color = "gray"', 'color = "gray"\nresize = { height = 9, width = 9 }')


def _unknown_input(project):
    _change(project.parents[1] / "digits.toml", "[inputs.image]", "[inputs.picture]")


def _unknown_key(project):
    _change(project, "expected_accuracy", "expected_acuracy")


def _unknown_signature(project):
    _change(project, '"serving_default"', '"predict"')


def _missing_model(project):
    shutil.rmtree(project.parent / "saved_model")


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (_missing_model, 2, "saved_model"),
        (_file_for_directory, 2, "saved_model"),
        (_corrupt, 5, "saved_model.pb"),
        (_without_variables, 5, "variables"),
        (_broken_variables, 5, "variables"),
        (_no_images, 2, "test"),
        (_one_bad_image, 2, ".png"),
        (_other_shape, 2, "resize"),
        (_unknown_input, 2, "image"),
        (_unknown_key, 2, "expected_accuracy"),
        (_unknown_signature, 5, "serving_default"),
    ],
)
def test_bad_input_is_one_clear_message_and_costs_no_earlier_result(
    edgepack, demo, project, spoil, code, says
):
    output = project.parent / "dist"
    shutil.copytree(demo[0], output)
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    spoil(project)
    done = _build(edgepack, project, "--variant", "float32")
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    after = {path.name: path.read_bytes() for path in output.iterdir()}
    after.pop("build.log", None)
    assert after == before


def test_a_disk_that_fills_up_costs_no_earlier_result(demo, project, plain_env):
    output = project.parent / "dist"
    shutil.copytree(demo[0], output)
    before = (output / BUNDLE).read_bytes()
    command = f"ulimit -f 40; exec {sys.executable} -m edgepack build {project} --output {output}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=plain_env | {"PYTHONPATH": str(ROOT), "EDGEPACK_MODEL_VERSION": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert (output / BUNDLE).read_bytes() == before
    assert not [path for path in output.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_cannot_be_written_is_named(edgepack, project, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = _build(edgepack, project, output=tmp_path / "locked/dist")
    assert done.returncode == 2
    assert "locked" in done.stderr


def test_an_output_below_a_file_is_named(edgepack, project, tmp_path):
    (tmp_path / "file").write_text("")
    done = _build(edgepack, project, output=tmp_path / "file/dist")
    assert done.returncode == 2
    assert "file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_build_ended_half_way_leaves_the_old_bundle_and_no_process(
    demo, project, plain_env, tmp_path, number, code
):
    output = project.parent / "dist"
    shutil.copytree(demo[0], output)
    before = (output / BUNDLE).read_bytes()
    marker = f"EDGEPACK_TEST={tmp_path}"
    process = subprocess.Popen(
        [sys.executable, "-m", "edgepack", "build", str(project), "--output", str(output)]
        + ["--cache-dir", str(tmp_path / "cold")],
        env=plain_env | {"PYTHONPATH": str(ROOT), "EDGEPACK_TEST": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait(lambda: len(_marked(marker)) >= 3)  # the command and two workers at least
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    _wait(lambda: not _marked(marker))
    assert (output / BUNDLE).read_bytes() == before


def test_scratch_space_of_killed_builds_is_removed(edgepack, demo, plain_env, tmp_path):
    old, new = tmp_path / "edgepack-scratch-0123abc_", tmp_path / "edgepack-scratch-new45678"
    users = tmp_path / "edgepack-release"
    for left in (old, new, users):
        (left / "source").mkdir(parents=True)
    for left in (old, users):
        os.utime(left, (0, 0))
    done = subprocess.run(
        [sys.executable, "-m", "edgepack", "build", "--demo", "--output", str(tmp_path / "out")],
        env=plain_env | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [users.name, new.name, "out"]


def _marked(marker):
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            content = environ.read_bytes()
        except OSError:
            continue
        if marker.encode() in content.split(b"\0"):
            found.append(environ.parent.name)
    return found


def _wait(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
