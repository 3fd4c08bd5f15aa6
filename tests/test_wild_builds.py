"""Builds of models as people have them, through the command: what is said, refused and recorded."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import source_models

from edgepack.records.settings import Limits
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SPEC = """
name = "d"
kind = "arrays"
path = "d.npz"
task = "none"
[inputs.{name}]
array = "x"
dtype = "{dtype}"
[splits.calibrate]
samples = 2
"""
CONTRACT = {
    "schema_version": 1,
    "variants": [],
    "signatures": [
        {
            "name": "serving_default",
            "inputs": [{"name": "sentence", "dtype": "string", "shape": [-1]}],
            "outputs": [{"name": "sum", "dtype": "float32", "shape": [-1, 3]}],
        }
    ],
}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), directory / "log") as pool:
            pool.submit(source_models.save_some, directory).result()
    return directory


@pytest.fixture
def sentences(tmp_path):
    texts = np.array(["film" + " good" * (n % 5) + " bad" * (n % 3) + f" {n}" for n in range(20)])
    np.savez(tmp_path / "d.npz", x=texts)
    spec = SPEC.format(name="sentence", dtype="string")
    (tmp_path / "d.toml").write_text(spec)
    return tmp_path


def _build(edgepack, where, model, *flags):
    command = ["build", "--model", model, "--name", "m", "--model-version", "1.0.0"]
    command += ["--dataset", where / "d.toml", "--variant", "float32", "--output", where / "dist"]
    return edgepack(*command, "--budget", "min_agreement=0.9", *flags)


def _manifest(edgepack, where):
    done = edgepack("inspect", where / "dist/m-1.0.0.zip", "--json")
    return json.loads(done.stdout)


def test_the_highest_version_is_built_said_and_recorded(edgepack, models, sentences):
    for version in ("2", "10"):
        shutil.copytree(models / "text", sentences / "model" / version)
    done = _build(edgepack, sentences, sentences / "model")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "holds version 2, 10: building 10" in done.stderr
    assert "left the preparation of sentence to the app" in done.stderr
    found = _manifest(edgepack, sentences)
    assert found["source"]["version_directory"] == "10"
    assert len(found["source"]["identity"]["digest"]) == 64
    (prepared,) = found["models"][0]["prepared_inputs"]
    assert (prepared["name"], prepared["sources"]) == ("sentence_features", ["sentence"])
    assert edgepack("verify", sentences / "dist/m-1.0.0.zip").returncode == 0


def test_a_flat_file_beside_versions_is_refused(edgepack, models, sentences):
    shutil.copytree(models / "text", sentences / "model/1")
    (sentences / "model/model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    done = _build(edgepack, sentences, sentences / "model")
    assert done.returncode == 2
    assert "error[ambiguous-versions]" in done.stderr
    assert "model.h5" in done.stderr


def test_a_changed_signature_breaks_the_contract(edgepack, models, sentences):
    (sentences / "contract.json").write_text(json.dumps(CONTRACT))
    done = _build(edgepack, sentences, models / "text", "--contract", sentences / "contract.json")
    assert done.returncode == 3, done.stderr
    assert "input sentence is missing" in done.stderr + done.stdout
    assert not list(sentences.rglob("*.zip"))


def test_an_unsafe_op_is_refused_unless_allowed_and_then_recorded(edgepack, models, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).random((12, 3), dtype=np.float32))
    (tmp_path / "d.toml").write_text(SPEC.format(name="x", dtype="float32"))
    done = _build(edgepack, tmp_path, models / "nosy")
    assert done.returncode == 5, done.stderr
    assert "error[unsafe-model]" in done.stderr
    assert 'allow_unsafe_ops = ["MatchingFiles"]' in done.stderr
    assert "converting" not in done.stderr
    done = _build(edgepack, tmp_path, models / "nosy", "--allow-unsafe-op", "MatchingFiles")
    assert "MatchingFiles" in done.stderr
    assert "error[unsafe-model]" not in done.stderr


def test_metadata_are_refused_for_several_signatures(edgepack, models, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.zeros((12, 4), np.float32))
    (tmp_path / "d.toml").write_text(SPEC.format(name="x", dtype="float32"))
    flags = ["--embed-metadata", "--with-signature", "scores"]
    done = _build(edgepack, tmp_path, models / "two_signatures", *flags)
    assert done.returncode == 2, done.stderr
    assert "would have several signatures: serving_default, scores" in done.stderr
    assert "converting" not in done.stderr


def test_a_keras_file_is_exported_and_the_manifest_speaks_of_it(edgepack, models, tmp_path):
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).random((12, 3), dtype=np.float32))
    (tmp_path / "d.toml").write_text(SPEC.format(name="x", dtype="float32"))
    file = tmp_path / "model.bin"  # recognised by its content
    shutil.copy(models / "model.keras", file)
    done = _build(edgepack, tmp_path, file)
    assert done.returncode == 0, done.stdout + done.stderr
    source = _manifest(edgepack, tmp_path)["source"]
    assert source["digest"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert source["repairs"][0]["what"].startswith("exported to a SavedModel with keras 3")
