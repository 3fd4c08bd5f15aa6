"""What would lower a least release: each model made both ways, and read again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import kernel_files
import numpy as np
import pytest
import remedy_models
from packaging.version import Version

from edgepack.compat.least import least
from edgepack.compat.numberings import numberings
from edgepack.compat.registered import table
from edgepack.compat.remedies import FILE, remedies, remedy
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.recipe import Recipe
from edgepack.records.settings import Limits
from edgepack.records.stages import QuantizeJob
from edgepack.tflite import reader
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
NEVER = Version("9999")  # behind all releases

# By what decides: a float32 layer, quantized as edgepack does it, both ways.
TENSOR = {"granularity": "tensor"}
QUANTIZED = {
    "FULLY_CONNECTED int8 per-channel": ({"mode": "int8"}, {"mode": "int8", **TENSOR}),
    "FULLY_CONNECTED int16x8 per-channel": ({"mode": "int16x8"}, {"mode": "int16x8", **TENSOR}),
    "CONV_2D int8 per-tensor": ({"mode": "int8", **TENSOR}, {"mode": "int8"}),
    "DEPTHWISE_CONV_2D int8 per-tensor": ({"mode": "int8", **TENSOR}, {"mode": "int8"}),
    "FULLY_CONNECTED dynamic per-channel": ({"mode": "dynamic"}, {"mode": "weight-only"}),
    "TRANSPOSE_CONV dynamic per-channel": ({"mode": "dynamic"}, {"mode": "weight-only"}),
    "CONV_2D version 5": ({"mode": "dynamic"}, {"mode": "int8"}),
    "DEPTHWISE_CONV_2D version 6": ({"mode": "dynamic"}, {"mode": "int8"}),
    "DEQUANTIZE version 5": ({"mode": "weight-only"}, {"mode": "weight-only", **TENSOR}),
}
HALVED = ("CONV_2D float16", "DEPTHWISE_CONV_2D float16")
WEIGHT_ONLY = {
    f"{operator} weight-only per-channel": QUANTIZED["DEQUANTIZE version 5"]
    for operator in kernel_files.SHAPES
}
# By what decides: the layer that does without it.
INSTEAD = {
    f"{operator} {few} per-channel": f"{operator} {eight} per-channel"
    for few, eight in (("int8x4", "int8"), ("dynamic4", "dynamic"))
    for operator in ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D")
    if (operator, few) != ("FULLY_CONNECTED", "dynamic4")  # as old as its dynamic one
} | {
    f"{operator} int16x8 int32-bias": f"{operator} int16x8 per-channel"
    for operator in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
}
INSTEAD["DEPTHWISE_CONV_2D dynamic per-tensor"] = "DEPTHWISE_CONV_2D dynamic per-channel"
SHAPES = ("BROADCAST_ARGS version 1", "BROADCAST_TO version 2")


def lowered(name, before, after):
    """Numberings in which this decided, and does without it in an older release, as foretold."""
    pairs = zip(_least(before), _least(after), strict=True)
    return {
        one.numbering
        for one, other in pairs
        if name in one.operators
        and name not in other.operators
        and _version(other) < _version(one)
        and remedies()[name].change in one.remedy
    }


def _least(content):
    found = reader.parse(content, "a.tflite")
    return least(found.asked, found.kernels)


def _version(one):
    return Version(one.release) if one.release else NEVER


def test_every_remedy_that_was_run_is_run_here():
    run = {name for name, one in remedies().items() if one.proven == "run"}
    tried = {*QUANTIZED, *HALVED, *WEIGHT_ONLY, *INSTEAD, *SHAPES, *remedy_models.DECIDED}
    assert run - tried <= {"GELU version 2"}
    assert not tried - run


def test_remedies_are_for_what_can_decide():
    text = FILE.read_text(encoding="utf-8")
    known = {name for package in _packages() for name, _ in table(package).rows()}
    assert set(remedies()) <= known
    assert all(text.count(f'"{name}"') == 1 for name in remedies())


def _packages():
    return {one.package for one in numberings().values() if one.package}


def test_where_none_is_known_it_says_so():
    assert remedy(()).change == ""
    found = remedy(("CONV_2D float16", "BITCAST version 1"))
    assert (found.change, found.proven) == ("none is known for BITCAST version 1", "")
    both = remedy(("FULLY_CONNECTED int8 per-channel", "CONV_2D version 6"))
    assert both.change.startswith('granularity = "tensor" under [quantize]; and in the model, ')
    assert both.proven == "run"
    assert remedy(("SOFTMAX version 3", "CONV_2D version 6")).proven == "read"


@pytest.fixture(scope="module")
def quantized(tmp_path_factory):
    """A layer of an operator, quantized by a recipe's fields."""
    directory = tmp_path_factory.mktemp("layers")

    def make(operator, fields):
        from edgepack.engines import observing, quantizer

        model = directory / f"{operator}.tflite"
        statistics = directory / f"{operator}.npz"
        if not model.exists():
            model.write_bytes(remedy_models.layer(operator))
            shape = (8, *kernel_files.SHAPES[operator][0][1:])
            samples = np.random.default_rng(1).normal(size=shape).astype(np.float32)
            np.save(directory / "x.npy", samples)
            ref = ArrayRef(path=str(directory / "x.npy"), dtype="float32", shape=shape)
            split = SplitData(inputs={"x0": ref}, labels=None, samples=8, digest="")
            observing.observe(str(model), "serving_default", split, statistics, 0, 8)
        job = QuantizeJob(
            recipe=Recipe(**fields),
            float_model=str(model),
            signature="serving_default",
            statistics=str(statistics),
            target=str(directory / "quantized.tflite"),
        )
        quantizer.quantize(job)
        return (directory / "quantized.tflite").read_bytes()

    return make


@pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_pre:UserWarning")
@pytest.mark.parametrize("name", QUANTIZED)
def test_a_setting_does(quantized, name):
    operator = "CONV_2D" if name.startswith("DEQUANTIZE") else name.split()[0]
    before, after = (quantized(operator, fields) for fields in QUANTIZED[name])
    assert lowered(name, before, after)


@pytest.mark.parametrize("name", HALVED)
def test_float16_biases_do(quantized, name, monkeypatch):
    from edgepack.engines import quantizer

    operator, float16 = name.split()[0], {"mode": "float16"}
    after = quantized(operator, float16)
    monkeypatch.setattr(quantizer, "mended", lambda content: content)
    assert lowered(name, quantized(operator, float16), after)


@pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_pre:UserWarning")
@pytest.mark.parametrize("operator", kernel_files.SHAPES)
def test_one_scale_a_tensor_lowers_weight_only_files(quantized, operator):
    name = f"{operator} weight-only per-channel"
    before, after = (quantized(operator, fields) for fields in WEIGHT_ONLY[name])
    assert name in reader.parse(before, "").kernels
    assert lowered("DEQUANTIZE version 5", before, after)


@pytest.mark.parametrize("name", INSTEAD)
def test_another_layer_does(name):
    kinds = kernel_files.KINDS
    before, after = (kernel_files.file_of(kinds[one]) for one in (name, INSTEAD[name]))
    assert lowered(name, before, after)


def in_worker(directory, *tasks):
    """Run with TensorFlow, each on a path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), directory / "log") as pool:
            for task, path in tasks:
                pool.submit(task, str(path)).result()


@pytest.mark.slow
def test_another_model_or_flag_does(tmp_path):
    in_worker(tmp_path, (remedy_models.convert_all, tmp_path))
    files = [
        [(tmp_path / f"{number}-{way}.tflite").read_bytes() for way in (0, 1)]
        for number, _ in enumerate(remedy_models.DECIDED)
    ]
    pairs = zip(remedy_models.DECIDED, files, strict=True)
    assert [name for name, (before, after) in pairs if not lowered(name, before, after)] == []


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
SETTINGS = """
dataset = "d.toml"
variants = ["float32"]
[model]
path = "model"
name = "m"
version = "1.0.0"
"""


@pytest.mark.slow
def test_known_shapes_do(edgepack, tmp_path):
    in_worker(tmp_path, (remedy_models.save_open, tmp_path / "model"))
    np.savez(tmp_path / "d.npz", x=np.random.default_rng(0).random((8, 4), dtype=np.float32))
    (tmp_path / "d.toml").write_text(SPEC)
    found = {}
    for shape in ("[-1, 4]", "[1, 4]"):
        (tmp_path / "edgepack.toml").write_text(f"{SETTINGS}[model.shapes]\nx = {shape}\n")
        done = edgepack("build", "--output", tmp_path / shape, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        report = json.loads((tmp_path / shape / "report.json").read_bytes())
        (variant,) = report["evidence"]["variants"]
        found[shape] = {one["numbering"]: one for one in variant["least_releases"]}
    before, after = (one["tensorflow"] for one in found.values())
    assert before["operators"] == ["BROADCAST_ARGS version 1"]
    assert before["without"] == "2.5.0"  # BROADCAST_TO version 2
    assert before["remedy"] == "no -1 under [model.shapes]"
    assert Version(after["release"]) < Version("2.5.0")
