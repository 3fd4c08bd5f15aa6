"""What cannot be run here: allowed by the config alone, marked, and never a silent pass."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from edgepack.records.settings import Limits
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SPEC = """
name = "d"
kind = "arrays"
path = "d.npz"
task = "none"
[inputs.x]
array = "x"
[splits.calibrate]
samples = 2
"""


def save(path):
    from edgepack.engines.importing import import_tensorflow

    tf = import_tensorflow()
    model = tf.Module()
    spec = tf.TensorSpec([None, 4], tf.float32, "x")
    model.call = tf.function(lambda x: {"y": tf.math.atan(x)}, input_signature=[spec])
    tf.saved_model.save(model, path, signatures=model.call)


@pytest.fixture(scope="module")
def needs_select(tmp_path_factory):
    directory = tmp_path_factory.mktemp("select")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), directory / "log") as pool:
            pool.submit(save, str(directory / "model")).result()
    np.savez(directory / "d.npz", x=np.random.default_rng(0).random((8, 4), dtype=np.float32))
    (directory / "d.toml").write_text(SPEC)
    return directory


def _build(edgepack, directory, output, *flags):
    flags = ("--model", directory / "model", "--name", "m", "--model-version", "1.0.0", *flags)
    flags = ("--dataset", directory / "d.toml", "--variant", "float32", "--output", output, *flags)
    return edgepack("build", *flags, cwd=directory)


def test_select_ops_are_refused_with_what_they_cost(edgepack, needs_select, tmp_path):
    done = _build(edgepack, needs_select, tmp_path / "dist")
    assert done.returncode == 5
    assert "error[select-tf-ops]" in done.stderr
    assert "no builtin for Atan" in done.stderr
    assert "allow_select_tf_ops = true" in done.stderr
    assert not list(tmp_path.rglob("*.zip"))


def test_allowed_select_ops_are_named_and_leave_doubt(edgepack, needs_select, tmp_path):
    done = _build(edgepack, needs_select, tmp_path / "dist", "--allow-select-tf-ops", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "dist/report.json").read_text())
    (variant,) = report["evidence"]["variants"]
    assert "Atan" in variant["not_run"]
    assert {c["outcome"] for c in report["verdict"]["checks"] if c["budget"]} == {"inconclusive"}
    done = edgepack("inspect", tmp_path / "dist/m-1.0.0.zip", "--json")
    (model,) = json.loads(done.stdout)["models"]
    assert model["select_ops"] == ["Atan"]
    assert model["accuracy"]["samples"] == 0


def test_what_was_not_measured_fails_a_strict_build(edgepack, needs_select, tmp_path):
    flags = ("--allow-select-tf-ops", "--strict")
    assert _build(edgepack, needs_select, tmp_path / "dist", *flags).returncode == 3
