"""Every built-in profile with a model that fits it and one that does not."""

from __future__ import annotations

import json

import pytest
import tflite_models
from installed_runtimes import installed
from tflite_models import scaled, tensor

from edgepack import targets

VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-float-io")
# Which of them each profile gets of the embedded example.
BEST = {
    "android": "int8",
    "android-compiled-model": "int8",
    "android-play-services": "int8",
    "android-tensorflow-lite": "int8",
    "browser": "float16",
    "edgetpu": "int8",
    "ios": "float16",
    "ios-litert": "float16",
    "linux": "int8",
    "macos": "int8",
    "microcontroller": "int8",
    "raspberry-pi": "int8",
    "raspberry-pi-tflite-runtime": "int8",
    "windows": "int8",
}


def _chain(name, version=1, dtype="float32"):
    """A file of one operator on one tensor."""
    scale = scaled([1.0], [0]) if dtype.startswith("int") else None
    ports = [tensor(port, dtype, quantization=scale) for port in ("x", "y")]
    model = tflite_models.unpack(tflite_models.build(ports, [(name, [0], [1])], [0], [1]))
    model.operatorCodes[0].version = version
    return tflite_models.pack(model)


def _second_input(dtype):
    """A float32 file that is given something else besides."""
    ports = [tensor("x"), tensor("w", shape=(4, 4), data=True), tensor("y"), tensor("z", dtype)]
    return tflite_models.build(ports, [("FULLY_CONNECTED", [0, 1, -1], [2])], [0, 3], [2])


def _open():
    """An int8 file whose batch is open."""
    model = tflite_models.unpack(_chain("RELU", dtype="int8"))
    for port in model.subgraphs[0].tensors:
        port.shapeSignature = [-1, 4]
    return tflite_models.pack(model)


def _add(version):
    ports = [tensor(port) for port in ("x", "y", "z")]
    model = tflite_models.unpack(tflite_models.build(ports, [("ADD", [0, 1], [2])], [0, 1], [2]))
    model.operatorCodes[0].version = version
    return tflite_models.pack(model)


# A file that each profile refuses, by the rule that is its own.
REFUSED = {
    "android": (_add(6), "ADD version 6 is new in com.google.ai.edge.litert:litert 2.1.6"),
    "android-compiled-model": (_second_input("int16"), "input 'z' is int16, not"),
    "android-play-services": (_chain("MyOwn"), "no way to bring operators along: MyOwn"),
    "android-tensorflow-lite": (_add(6), "no org.tensorflow:tensorflow-lite that was tried has"),
    "browser": (_chain("RELU", dtype="int8"), "input 'x' is int8, not float32 or int32 or uint8"),
    "edgetpu": (_open(), "tensors have a dimension that is not fixed"),
    "ios": (_chain("RELU", dtype="int8"), "input 'x' is int8, not"),
    "ios-litert": (_chain("RELU", dtype="complex64"), "precision is other, not"),
    "linux": (_add(6), "ADD version 6 is new in ai-edge-litert 2.1.6"),
    "macos": (_add(6), "ADD version 6 is new in ai-edge-litert 2.1.6"),
    "microcontroller": (_chain("SEGMENT_SUM", dtype="int8"), "the platform has no SEGMENT_SUM"),
    "raspberry-pi": (_add(6), "ADD version 6 is new in ai-edge-litert 2.1.6"),
    "raspberry-pi-tflite-runtime": (_add(6), "no tflite-runtime that was tried has ADD version 6"),
    "windows": (_add(6), "ADD version 6 is new in ai-edge-litert 2.1.6"),
}


@pytest.fixture(scope="module")
def shipped(edgepack, tmp_path_factory):
    """What each profile gets of the embedded example; the Edge TPU of one built for it."""
    installed(*(release for name in BEST for release in targets.load(name).runtimes))
    found = {}
    output = tmp_path_factory.mktemp("profiles")
    for name, names, variants, more in (
        ("most", sorted(BEST.keys() - {"edgetpu"}), VARIANTS, ()),
        ("edgetpu", ["edgetpu"], ("int8",), ("--granularity", "tensor")),
    ):
        asked = [word for one in variants for word in ("--variant", one)]
        asked += [word for one in names for word in ("--target", one)]
        done = edgepack("build", "--demo", "--output", output / name, *asked, *more)
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads((output / name / "report.json").read_bytes())
        found |= {one["name"]: one for one in report["targets"]}
    return found


def test_all_built_in_profiles_are_here():
    assert BEST.keys() == REFUSED.keys() == set(targets.names())


@pytest.mark.slow
@pytest.mark.parametrize("name", BEST)
def test_a_profile_gets_the_best_variant_that_fits(shipped, name):
    assert shipped[name]["variants"][0] == BEST[name]
    others = {one["variant"] for one in shipped[name]["passed_over"]}
    assert others == ({*VARIANTS} if name != "edgetpu" else {"int8"}) - {BEST[name]}
    assert all(one["reason"] for one in shipped[name]["passed_over"])
    assert shipped[name]["packaging"]


@pytest.mark.slow
def test_the_board_with_the_old_runtime_was_run(shipped):
    found = shipped["raspberry-pi-tflite-runtime"]
    assert found["proven_on"] == ["tflite-runtime==2.14.0"]
    assert "dynamic" not in found["variants"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_profile_refuses_what_its_runtime_cannot_run(edgepack, tmp_path, name):
    data, says = REFUSED[name]
    (tmp_path / "model.tflite").write_bytes(data)
    done = edgepack("targets", "check", tmp_path / "model.tflite", "--target", name)
    assert done.returncode == 6, done.stdout + done.stderr
    assert says in " ".join(done.stdout.split())
    assert f"nothing here is for {name}" in done.stderr


WATCH = """\
extends = "android-tensorflow-lite"
name = "watch"
[runtime]
least_version = "2.8.0"
"""


@pytest.mark.slow
def test_a_refusal_names_the_operator_the_release_and_a_change_that_helps(edgepack, tmp_path):
    (tmp_path / "watch.toml").write_text(WATCH)
    asked = ("--target", tmp_path / "watch.toml", "--variant", "int8", "--output", tmp_path / "out")
    done = edgepack("build", "--demo", *asked)
    assert done.returncode == 6, done.stderr
    said = " ".join(done.stdout.split())
    operator = "FULLY_CONNECTED int8 per-channel"
    assert f"{operator} is new in org.tensorflow:tensorflow-lite 2.10.0" in said
    assert 'and devices may have 2.8.0; granularity = "tensor" under [quantize]: then' in said
    helped = edgepack("build", "--demo", *asked, "--granularity", "tensor")
    assert helped.returncode == 0, helped.stdout
    assert "target watch: int8" in " ".join(helped.stdout.split())
