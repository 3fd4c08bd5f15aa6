"""What lies at a path is recognised by its content, and its remedy works.

The commands for ONNX, PyTorch and TensorFlow.js were read in the documentation of onnx2tf 1.29 and
tensorflowjs 4 and are not run here: neither fits the environment of the tests. Every other remedy
that is a command or code is run below.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
import tracemalloc
import zipfile
from importlib.util import find_spec
from pathlib import Path

import format_models
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import mutate, mutate_message, nested, text, varint

from edgepack import formats
from edgepack.errors import EdgepackError, FormatError, UsageError
from edgepack.inspection import inspect
from edgepack.records.settings import Limits
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
DIGITS = HERE.parent / "calibration/digits/saved_model"
BUNDLE = HERE / "golden/bundle-1.zip"
SHARED = HERE.parents[1] / "shared"
X = [[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]]

NODES = [
    text(1, text(1, b"in/x") + text(2, b"Placeholder")),
    text(1, text(1, b"w") + text(2, b"Const")),
    text(1, text(1, b"out") + text(2, b"Mul") + text(3, b"in/x") + text(3, b"w")),
]
GRAPH = b"".join(NODES) + text(4, varint(8) + varint(21))
META = text(1, text(4, b"serve") + text(5, b"2.21.0")) + text(2, GRAPH)
SAVED = varint(8) + varint(1) + text(2, META)
ONNX = varint(8) + varint(8) + text(2, b"pytorch") + text(3, b"2.9") + text(7, text(2, b"g"))
CORE_ML = varint(8) + varint(4) + text(2, b"") + text(500, text(1, b""))
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 1234567\n"
KERAS_JSON = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}
TFJS = {"format": "layers-model", "modelTopology": {}, "weightsManifest": []}
PAGE = b"<!DOCTYPE html>\n<html><head><title>model.h5</title></head></html>"
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)
TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
SAFE = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()


def zipped(**members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), data)
    return made.getvalue()


def tarred(members, mode="w"):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def arrays():
    made = io.BytesIO()
    np.savez(made, a=np.zeros(3))
    return made.getvalue()


CONTENTS = {
    "empty-file": (b"", "an empty file"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(40), "a .tflite file"),
    "lfs-pointer": (LFS, "a Git LFS pointer"),
    "html": (PAGE, "a web page"),
    "onnx": (ONNX, "an ONNX model, made by pytorch 2.9"),
    "core-ml": (CORE_ML, "a Core ML model"),
    "graph-def": (GRAPH, "a TensorFlow graph (GraphDef)"),
    "meta-graph": (META, "a graph of TensorFlow 1's training (MetaGraphDef)"),
    "saved-model-graph": (SAVED, "the graph of a SavedModel, under another name"),
    "graph-def-text": (b'node {\n  name: "x"\n  op: "Placeholder"\n}\n', "graph as text"),
    "keras-config": (json.dumps(KERAS_JSON).encode(), "architecture of a Keras model (JSON)"),
    "tensorflow-js": (json.dumps(TFJS).encode(), "a TensorFlow.js layers model"),
    "openvino": (b'<?xml version="1.0"?>\n<net name="m" version="11">\n</net>', "an OpenVINO"),
    "hdf5": (HDF5, "an HDF5 file, and holds no Keras model"),
    "hdf5-weights": (HDF5 + b"layer_names", "an HDF5 file of Keras weights"),
    "keras-hdf5": (HDF5 + b"model_config", "a Keras model in one HDF5 file"),
    "keras": (
        zipped(
            config_dot_json="{}",
            metadata_dot_json='{"keras_version": "3.9.1"}',
            model_dot_weights_dot_h5="",
        ),
        "a Keras model, written by Keras 3.9.1",
    ),
    "pytorch": (zipped(m__data_dot_pkl=b"", m__version=b"3"), "a PyTorch file (torch.save)"),
    "torchscript": (zipped(m__data_dot_pkl=b"", m__code__a_dot_py=b""), "a TorchScript model"),
    "pytorch-program": (zipped(m__archive_format=b"pt2"), "a PyTorch program (torch.export)"),
    "numpy": (arrays(), "NumPy arrays"),
    "safetensors": (len(SAFE).to_bytes(8, "little") + SAFE + bytes(4), "weights (safetensors)"),
    "gguf": (b"GGUF\3\0\0\0", "a GGUF file"),
    "pickle": (pickle.dumps({"a": 1}), "a Python pickle"),
    "bundle": (BUNDLE.read_bytes(), "a bundle of edgepack's"),
    "archive": (tarred({"a/b.txt": b"words"}), "a tar archive"),
    "unknown": (b"just some words\n", "neither a SavedModel directory, nor"),
}


@pytest.mark.parametrize("name", ["model", "model.keras", "model.tflite"])
@pytest.mark.parametrize("kind", CONTENTS)
def test_a_file_is_known_by_its_content_whatever_its_name(tmp_path, kind, name):
    content, what = CONTENTS[kind]
    (tmp_path / name).write_bytes(content)
    found = formats.recognise(tmp_path / name)
    assert found.kind == kind
    assert what in found.what
    assert found.kind == "bundle" or found.remedy.advice


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"saved_model_schema_version: 1\nmeta_graphs {\n}\n", "saved-model-graph", "as text"),
        (TORCH, "pytorch", "before 1.6"),
        (b"\x93NUMPY\1\0", "numpy", "arrays"),
        (b"class_name: Sequential\nconfig:\n  name: m\n", "keras-config", "YAML"),
        (b"graph_def {\n  node {\n  }\n}\n", "meta-graph", "MetaGraphDef"),
        (json.dumps(TFJS | {"format": "graph-model"}).encode(), "tensorflow-js", "graph model"),
        (b"PK\3\4" + bytes(100), "archive", "a zip archive"),
        (b"\x1f\x8b" + bytes(40), "archive", "a compressed file"),
        (gzip.compress(b"no tar", mtime=0), "archive", "a compressed file"),
        (bytes(512) + HDF5 + b"model_config", "keras-hdf5", "HDF5"),
        (b'{"a": 1}', "unknown", "neither"),
        (b'{"class_name": "Sequential"}', "unknown", "neither"),
        (varint(8) + varint(3), "unknown", "neither"),
        (text(1, b"no node"), "unknown", "neither"),
        (b"\xff" * 64, "unknown", "neither"),
        (b"<html-like", "unknown", "neither"),
    ],
)
def test_near_misses_and_old_kinds(tmp_path, content, kind, words):
    (tmp_path / "file").write_bytes(content)
    found = formats.recognise(tmp_path / "file")
    assert (found.kind, words in found.what) == (kind, True)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("inner", ["", "universal/5/"])
def test_a_savedmodel_in_a_tar_is_found_behind_large_members(tmp_path, mode, inner):
    big = bytes(3 << 20)
    members = {f"./{inner}variables/variables.data-00000-of-00001": big}
    members |= {f"./{inner}{'long/' * 30}name": b"", f"./{inner}saved_model.pb": SAVED}
    (tmp_path / "module.tar").write_bytes(tarred(members, mode))
    found = formats.recognise(tmp_path / "module.tar")
    assert found.what == "a tar archive with a SavedModel in it"
    assert found.remedy.lines.endswith(f"module_saved_model/{inner}".removesuffix("/"))


def test_a_module_of_the_hub_is_named_in_its_archive(tmp_path):
    data = tarred({"./tfhub_module.pb": b"\x08\3", "./saved_model.pb": SAVED}, "w:gz")
    (tmp_path / "1").write_bytes(data)
    assert "a module of TensorFlow Hub's in it" in formats.recognise(tmp_path / "1").what


def test_a_model_in_a_zip_is_named(tmp_path):
    (tmp_path / "download").write_bytes(zipped(best__model_dot_keras=b"x", README=b"words"))
    found = formats.recognise(tmp_path / "download")
    assert found.what == "a zip archive with model.keras in it"


def test_a_pointer_says_what_was_not_fetched(tmp_path):
    (tmp_path / "my model.pb").write_bytes(LFS)
    found = formats.recognise(tmp_path / "my model.pb")
    assert "1,234,567 bytes" in found.missing
    assert found.remedy.lines == f"git -C {tmp_path} lfs pull --include 'my model.pb'"


# Directories


def _tree(root, *files, content=b"x"):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ((), "empty-directory", "an empty directory"),
        (("saved_model.pb",), "saved-model", "a SavedModel"),
        (("saved_model.pb", "tfhub_module.pb"), "hub-module", "hub.Module"),
        (("1/saved_model.pb", "10/saved_model.pb", "9/a"), "versions", "(1, 9, 10)"),
        (("1/a", "2/b"), "versions", "(1, 2)"),
        (("a/saved_model.pb", "b/saved_model.pb"), "directory", "SavedModels (a, b)"),
        (("variables/variables.index",), "saved-model-part", "without its saved_model.pb"),
        (("config.json", "metadata.json", "model.weights.h5"), "keras-directory", "unpacked"),
        (("Manifest.json", "Data/com.apple.CoreML/model"), "core-ml", "package"),
        (("notes.txt",), "directory", "without saved_model.pb"),
    ],
)
def test_directories(tmp_path, files, kind, words):
    found = formats.recognise(_tree(tmp_path, *files))
    assert (found.kind, words in found.what) == (kind, True)


def test_version_directories_without_a_model_say_so(tmp_path):
    found = formats.recognise(_tree(tmp_path, "1/a"))
    assert "none of them holds a saved_model.pb" in found.missing


def test_the_highest_whole_version_is_the_remedy(tmp_path):
    found = formats.recognise(_tree(tmp_path, "9/saved_model.pb", "010/saved_model.pb"))
    assert found.remedy.lines == f"edgepack inspect {tmp_path / '010'}"


@pytest.mark.parametrize(
    "part",
    ["variables", "assets", "saved_model.pb", "fingerprint.pb", "variables/variables.index"],
)
def test_a_part_of_a_savedmodel_names_the_whole(tmp_path, part, monkeypatch):
    _tree(tmp_path / "m", "variables/variables.index", "assets/w.txt", "fingerprint.pb")
    (tmp_path / "m/saved_model.pb").write_bytes(SAVED)
    found = formats.recognise(tmp_path / "m" / part)
    assert (found.kind, found.remedy.advice) == (
        "saved-model-part",
        f"Name the directory {tmp_path / 'm'}",
    )
    monkeypatch.chdir(tmp_path / "m")
    assert formats.recognise(Path(part)).remedy.lines == "edgepack inspect ."


def test_one_model_in_a_directory_is_named(tmp_path):
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "m.bin").write_bytes(ONNX)
    found = formats.recognise(tmp_path)
    assert found.kind == "directory"
    assert found.what == "a directory: m.bin in it is an ONNX model, made by pytorch 2.9"


def test_what_is_not_there_or_cannot_be_read_is_a_usage_error(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("no", "no such path"), ("\0", "no such"), ("pipe", "neither a file nor")):
        with pytest.raises(UsageError, match=words):
            formats.recognise(tmp_path / name)


# Errors


def test_a_refusal_says_what_it_is_what_is_missing_and_what_to_run(tmp_path):
    (tmp_path / "model.pb").write_bytes(ONNX)
    with pytest.raises(FormatError) as caught:
        inspect(tmp_path / "model.pb")
    assert str(caught.value).splitlines() == [
        (
            f"{tmp_path / 'model.pb'}: is an ONNX model, made by pytorch 2.9, not a SavedModel: "
            "it holds ONNX operators, none of TensorFlow's"
        ),
        "  Convert it:",
        'pip install "onnx2tf<2" onnx onnxruntime onnxsim onnx-graphsurgeon',
        f"onnx2tf -i {tmp_path / 'model.pb'} -o {tmp_path / 'model_saved_model'} -osd",
    ]
    assert caught.value.exit_code == 2


def test_what_is_not_sure_is_said_to_look_so(tmp_path):
    (tmp_path / "w.h5").write_bytes(HDF5 + b"layer_names")
    error = formats.refuse(formats.recognise(tmp_path / "w.h5"))
    assert error.message.startswith("looks like an HDF5 file of Keras weights, not a SavedModel:")


@pytest.mark.parametrize("kind", CONTENTS)
def test_only_whole_keras_models_need_an_export(tmp_path, kind):
    (tmp_path / "file").write_bytes(CONTENTS[kind][0])
    wanted = kind in {"keras", "keras-hdf5"}
    assert formats.needs_export(formats.recognise(tmp_path / "file")) is wanted


def test_a_keras_file_without_weights_needs_more_than_an_export(tmp_path):
    (tmp_path / "file").write_bytes(zipped(config_dot_json="{}", metadata_dot_json="{}"))
    found = formats.recognise(tmp_path / "file")
    assert not formats.needs_export(found)
    assert "no weights" in found.missing


def test_recognising_loads_no_heavy_library(tmp_path):
    for kind, (content, _) in CONTENTS.items():
        (tmp_path / kind).write_bytes(content)
    code = (
        "import sys; from pathlib import Path; from edgepack import formats\n"
        "for path in sys.argv[1:]: formats.recognise(Path(path))\n"
        "print(*{'tensorflow', 'numpy', 'h5py', 'google', 'keras'} & sys.modules.keys())"
    )
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    command = [sys.executable, "-c", code, *paths]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# Remedies, run


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    pytest.importorskip("tensorflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        log = tmp_path_factory.mktemp("formats") / "log"
        with WorkerPool("TensorFlow", 1, Limits(), log) as pool:
            yield pool


@pytest.fixture(scope="module")
def made(worker, tmp_path_factory):
    directory = tmp_path_factory.mktemp("made")
    for name in ("old", "oldest", "objects"):
        (directory / name).mkdir()
    worker.submit(format_models.save_all, directory).result()
    return directory


@pytest.fixture(scope="module")
def reference(worker, made):
    return worker.submit(format_models.answers, made / "saved", X).result()


@pytest.fixture
def copy(made, tmp_path):
    """Files of the models made, where remedies may write beside them."""
    return Path(shutil.copytree(made, tmp_path / "made"))


def remedy(path):
    found = formats.recognise(path)
    assert found.remedy.language == "python", found
    return found.remedy.lines


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("whole.keras", "keras"),
        ("functional.keras", "keras"),
        ("whole.h5", "keras-hdf5"),
        ("unpacked", "keras-directory"),
        ("only.weights.h5", "hdf5-weights"),
        ("architecture.json", "keras-config"),
        ("objects", "checkpoint"),
        ("objects/checkpoint", "checkpoint"),
        ("objects/ckpt-1.index", "checkpoint"),
        ("objects/ckpt-1.data-00000-of-00001", "checkpoint"),
    ],
)
def test_lines_for_what_keras_wrote(worker, copy, reference, name, kind):
    found = formats.recognise(copy / name)
    assert found.kind == kind
    lines = found.remedy.lines.replace("WEIGHTS.weights.h5", str(copy / "only.weights.h5"))
    before = {one.name for one in copy.rglob("*_saved_model")}
    worker.submit(format_models.run, lines).result()
    [target] = [one for one in copy.rglob("*_saved_model") if one.name not in before]
    got = worker.submit(format_models.answers, target, X).result()
    np.testing.assert_allclose(got, reference, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("frozen.pb", "graph-def"),
        ("frozen.pbtxt", "graph-def-text"),
        ("old/model.ckpt.meta", "meta-graph"),
        ("old/model.ckpt.index", "checkpoint"),
        ("old", "checkpoint"),
        ("oldest/model.ckpt", "checkpoint"),
        ("module", "hub-module"),
    ],
)
def test_lines_for_what_tensorflow_1_wrote(worker, copy, name, kind):
    found = formats.recognise(copy / name)
    assert found.kind == kind
    worker.submit(format_models.run, found.remedy.lines).result()
    [target] = copy.rglob("*_saved_model")
    signature = inspect(target).signatures[0]
    assert [tensor.shape for tensor in signature.inputs] == [(-1, 3)]
    got = worker.submit(format_models.answers, target, X).result()
    np.testing.assert_allclose(got, np.array(X) * [1, 2, 3])


@pytest.mark.slow
def test_lines_for_a_checkpoint_without_its_graph(worker, copy):
    (copy / "old/model.ckpt.meta").unlink()
    found = formats.recognise(copy / "old/model.ckpt.index")
    code = (
        "import tensorflow.compat.v1 as tf\n"
        "graph = tf.Graph()\n"
        "with graph.as_default():\n"
        "    x = tf.placeholder(tf.float32, [None, 3])\n"
        "    weight = tf.get_variable('weight', [3])\n"
        "    inputs, outputs = {'x': x}, {'y': x * weight}\n"
        "with graph.as_default():\n"
    )
    lines = "".join(f"    {line}\n" for line in found.remedy.lines.splitlines())
    worker.submit(format_models.run, code + lines).result()
    got = worker.submit(format_models.answers, copy / "old/model_saved_model", X).result()
    np.testing.assert_allclose(got, np.array(X) * [1, 2, 3])


@pytest.mark.slow
def test_lines_for_a_savedmodel_as_text(worker, copy, reference):
    code = (
        "from pathlib import Path\n"
        "from google.protobuf import text_format\n"
        "from tensorflow.core.protobuf import saved_model_pb2\n"
        f"file = Path({str(copy / 'saved/saved_model.pb')!r})\n"
        "message = saved_model_pb2.SavedModel.FromString(file.read_bytes())\n"
        "file.with_suffix('.pbtxt').write_text(text_format.MessageToString(message))\n"
        "file.unlink()\n"
    )
    worker.submit(format_models.run, code).result()
    assert formats.recognise(copy / "saved").kind == "saved-model-text"
    assert formats.recognise(copy / "saved/saved_model.pbtxt").kind == "saved-model-part"
    loose = copy / "saved/graph.pbtxt"
    shutil.copy(copy / "saved/saved_model.pbtxt", loose)
    lines = {remedy(copy / "saved"), remedy(loose)}
    assert len(lines) == 2
    for one in lines:
        worker.submit(format_models.run, one).result()
        got = worker.submit(format_models.answers, copy / "saved", X).result()
        np.testing.assert_allclose(got, reference, rtol=1e-6)
        (copy / "saved/saved_model.pb").unlink()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("tf_keras") is None, reason="tf-keras is not installed")
def test_lines_for_weights_of_keras_2(worker, tmp_path):
    wanted = worker.submit(format_models.save_by_keras_2, tmp_path).result()
    worker.submit(format_models.load_by_keras_2, remedy(tmp_path)).result()
    got = worker.submit(format_models.answers, tmp_path / "ckpt_saved_model", [[1, 1, 1]]).result()
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def test_a_checkpoint_with_parts_missing_says_which(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "ckpt-3"\n')
    found = formats.recognise(tmp_path)
    assert found.missing.startswith("ckpt-3.index is missing")


def shell(lines, cwd):
    """Run lines of a shell, with this Python's own commands first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path}
    script = lines.replace("edgepack inspect", f"{shlex.quote(sys.executable)} -m edgepack inspect")
    command = ["sh", "-ec", script]
    env["PYTHONPATH"] = str(HERE.parent)
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("inner", ["", "deep/er/"])
@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz"])
def test_commands_that_unpack(tmp_path, packed, inner):
    members = {
        f"{inner}{one.relative_to(DIGITS)}": one.read_bytes()
        for one in sorted(DIGITS.rglob("*"))
        if one.is_file()
    }
    path = tmp_path / f"my model.{packed}"
    if packed == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, data)
    else:
        path.write_bytes(tarred(members, "w:gz" if packed.endswith("gz") else "w"))
    done = shell(formats.recognise(path).remedy.lines, tmp_path)
    assert "serving_default" in done.stdout, done.stderr


@pytest.mark.parametrize("part", ["saved_model.pb", "variables"])
def test_commands_that_name_the_directory(tmp_path, part):
    model = shutil.copytree(DIGITS, tmp_path / "the model")
    done = shell(formats.recognise(model / part).remedy.lines, tmp_path)
    assert "serving_default" in done.stdout, done.stderr


def test_commands_that_collect_a_loose_graph(tmp_path):
    shutil.copy(DIGITS / "saved_model.pb", tmp_path / "model v1.pb")
    found = formats.recognise(tmp_path / "model v1.pb")
    assert found.kind == "saved-model-graph"
    assert shell(found.remedy.lines, tmp_path).returncode == 0
    shutil.copytree(DIGITS / "variables", tmp_path / "model v1_saved_model/variables")
    assert inspect(tmp_path / "model v1_saved_model").signatures


@pytest.mark.skipif(not SHARED.exists(), reason="published models are not here")
def test_published_files_are_told_apart():
    found = formats.recognise(SHARED / "data/ic/resnet8.h5")
    assert formats.needs_export(found)
    kinds = {
        formats.recognise(one).kind for one in (SHARED / "data/wild").iterdir() if one.is_dir()
    }
    assert kinds <= {"saved-model", "directory", "versions"}


# Damage

SECONDS = 2
BYTES = 64 << 20


def survives(path, traced=False):
    if traced:
        tracemalloc.start()
    started = time.process_time()
    try:
        found = formats.recognise(path)
        assert formats.refuse(found).message
    except EdgepackError:
        pass
    took = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1] if traced else 0
    tracemalloc.stop()
    assert took < SECONDS * (4 if traced else 1)
    assert peak < BYTES


PACKED = {
    "tar": tarred({"./a/saved_model.pb": SAVED, "b": b"x" * 600}),
    "tar.gz": tarred({"./a/saved_model.pb": SAVED, "b": b"x" * 600}, "w:gz"),
    "tar.xz": tarred({"./a/saved_model.pb": SAVED}, "w:xz"),
}
WHOLE = {kind: content for kind, (content, _) in CONTENTS.items() if content} | PACKED


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_files_are_a_kind_or_a_typed_error(tmp_path, kind):
    drawn, path = random.Random(kind), tmp_path / "model"
    for number in range(60):
        other = WHOLE[drawn.choice(sorted(WHOLE))]
        path.write_bytes(mutate(drawn, WHOLE[kind], other))
        survives(path, traced=number % 20 == 0)


@pytest.mark.parametrize(
    "kind", ["onnx", "core-ml", "graph-def", "meta-graph", "saved-model-graph"]
)
def test_damaged_messages_are_a_kind_or_a_typed_error(tmp_path, kind):
    drawn, path = random.Random(kind), tmp_path / "model"
    for number in range(100):
        path.write_bytes(mutate_message(drawn, WHOLE[kind]))
        survives(path, traced=number % 50 == 0)


@given(st.binary(max_size=400), st.sampled_from(sorted(WHOLE)))
def test_any_bytes_are_a_kind(tmp_path_factory, data, kind):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(WHOLE[kind][:40] + data)
    survives(path)


def bomb(member):
    return gzip.compress(tarred({"a": bytes(member)}))


@pytest.mark.parametrize(
    "content",
    [
        bomb(200 << 20),
        gzip.compress(bytes(300 << 20), mtime=0),
        nested(100_000, 1),
        text(1, nested(50_000, 5)) * 3,
        varint(8) * 4_000_000,
        text(1, b"") * 2_000_000,
        NODES[0] * 300_000,
        b"{" + b'"a":[' * 1_000_000,
        b"[" * 2_000_000,
        b"node {\n" * 500_000,
        b"<!--" * 100_000,
        b"model_checkpoint_path: " + b'"a' * 100_000,
        tarred({}) + bytes(20 << 20),
        b"PK\5\6" * 50_000,
        b"\x89HDF\r\n\x1a\n" + b"model_confi" * 2_000_000,
    ],
    ids=range(15),
)
def test_hostile_files_take_little_time_and_memory(tmp_path, content):
    (tmp_path / "hostile").write_bytes(content)
    survives(tmp_path / "hostile")
    survives(tmp_path / "hostile", traced=True)


def test_a_large_sparse_file_is_not_read_through(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.write(text(1, text(1, b"n") + text(2, b"Const") + b"")[: -0 or None])
        file.truncate(1 << 36)
    survives(tmp_path / "huge", traced=True)
    with (tmp_path / "huge.h5").open("wb") as file:
        file.write(HDF5)
        file.truncate(1 << 36)
        file.seek(-100, os.SEEK_END)
        file.write(b"model_config")
    assert formats.recognise(tmp_path / "huge.h5").kind == "keras-hdf5"
