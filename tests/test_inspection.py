from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tflite_models import PLAIN

from edgepack.errors import EdgepackError, ModelError, UsageError, VerificationError
from edgepack.inspection import inspect
from edgepack.records.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits/saved_model"


def test_a_directory_is_read_as_a_savedmodel():
    assert inspect(DIGITS).kind == "saved_model"


def test_a_tflite_file_is_known_by_its_content_whatever_its_name(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(PLAIN)
    assert inspect(path).kind == "tflite"


def test_a_bundle_is_read_as_its_manifest():
    assert isinstance(inspect(ROOT / "tests/golden/bundle-1.zip"), Manifest)


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (b"", UsageError, "neither a SavedModel directory, nor a .tflite file, nor a bundle"),
        (b"PK", UsageError, r"neither .*\n.*saved_model\.pb, a \.tflite, or a bundle"),
        (PLAIN[:40], ModelError, "not a whole .tflite file"),
        (b"PK\3\4" + bytes(100), VerificationError, "zip"),
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
