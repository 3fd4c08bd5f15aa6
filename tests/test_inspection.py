from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from graph_samples import node, saved, signature
from tflite_models import PLAIN

from edgepack.cli import model_facts
from edgepack.errors import EdgepackError, FormatError, ModelError, UsageError, VerificationError
from edgepack.inspection import inspect
from edgepack.records.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits/saved_model"
BUNDLE = ROOT / "tests/golden/bundle-1.zip"


def test_a_directory_is_read_as_a_savedmodel():
    assert inspect(DIGITS).kind == "saved_model"


def test_a_tflite_file_is_known_by_its_content_whatever_its_name(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(PLAIN)
    assert inspect(path).kind == "tflite"


def test_a_bundle_is_read_as_its_manifest():
    assert isinstance(inspect(BUNDLE), Manifest)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", FormatError, "is an empty file, not a SavedModel"),
        (b"PK", FormatError, r"neither .*\n.*saved_model\.pb, a \.tflite, or a bundle"),
        (PLAIN[:40], ModelError, "not a whole .tflite file"),
        (b"PK\3\4" + bytes(100), FormatError, "is a zip archive, not a SavedModel"),
        (BUNDLE.read_bytes()[:2000], VerificationError, "zip"),
    ],
)
def test_what_is_none_or_damaged_is_refused(tmp_path, content, kind, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(EdgepackError, match=message) as caught:
        inspect(path)
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)


def test_a_missing_path_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no such path"):
        inspect(tmp_path / "nowhere")


def test_reading_loads_neither_tensorflow_nor_numpy(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(PLAIN)
    code = (
        "import sys; from pathlib import Path; from edgepack.inspection import inspect\n"
        "for path in sys.argv[1:]: inspect(Path(path))\n"
        "print(*{'tensorflow', 'numpy', 'flatbuffers', 'google'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(DIGITS), str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ""


def _said(model):
    pairs = (model_facts.of_file, model_facts.of_computations, model_facts.of_build)
    facts = inspect(model)
    return [pair for part in pairs for pair in part(facts) if pair[1]]


def test_what_there_is_to_say_of_a_plain_model_is_short():
    said = dict(_said(DIGITS))
    assert said["Keras"] == "3"
    assert said["serving_default"] == "50,506 parameters"
    assert said["float32, float16, int8"] == "likely"
    assert not said.keys() & {"version", "unsafe", "training", "types", "on build", "assets"}


def test_a_version_and_its_assets_are_said(tmp_path):
    for version in ("9", "10"):
        shutil.copytree(DIGITS, tmp_path / version)
    (tmp_path / "10/assets").mkdir(exist_ok=True)
    (tmp_path / "10/assets/words.txt").write_text("word\n" * 200)
    said = dict(_said(tmp_path))
    assert said["SavedModel"] == str(tmp_path / "10")
    assert said["version"] == "10, the highest of 9, 10"
    assert said["assets"] == "assets/words.txt (1.00 kB)"


def test_a_recurrent_model_of_tensorflow_1_is_told_apart(tmp_path):
    nodes = [
        node("out", "TensorArrayGatherV3", ["x", "^next"], device="/device:GPU:0"),
        node("next", "NextIteration", ["array"]),
        node("array", "TensorArrayV3", ["state"]),
        node("state", "Angle", ["file"]),
        node("file", "ReadFile", ["odd"]),
        node("odd", "Odd>Op"),
    ]
    data = saved(nodes, signatures={"only": signature(inputs=[("x", 1, (-1, -1))])})
    (tmp_path / "saved_model.pb").write_bytes(data + saved([], tags=("train",)))
    assert [
        line for line in _said(tmp_path) if line[0] not in {"SavedModel", "digest", "size"}
    ] == [
        ("tags", "serve; not read: train"),
        ("unsafe", "ReadFile reads files, reached by signature only"),
        ("only", "unknown dimensions: x: axis 1"),
        ("", "custom ops: Odd>Op"),
        (
            "",
            "Select-TF ops: Angle, ReadFile, TensorArrayGatherV3, TensorArrayV3",
        ),
        ("", "recurrent: lists in NextIteration"),
        ("", "control flow: NextIteration"),
        ("", "pinned to: /device:GPU:0"),
        ("on build", "build the signature only: there is no serving_default"),
        (
            "",
            (
                "load it through a TensorFlow 1 session and freeze one signature: "
                "it was saved without an object graph"
            ),
        ),
        (
            "",
            "unpin ops from /device:GPU:0: the machine that converts has no such device",
        ),
        (
            "",
            "fix the batch to 1: recurrent structure needs a known batch: lists in NextIteration",
        ),
        (
            "float32, float16, int8",
            "no: ReadFile reads files: refused unless model.allow_unsafe_ops allows it",
        ),
    ]
