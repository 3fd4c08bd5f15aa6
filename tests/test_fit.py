"""Files held against what target profiles ask, one objection at a time."""

from __future__ import annotations

import json

import evidence_samples as samples
import kernel_files
import pytest
import tflite_models

from edgepack import api
from edgepack.compat.fit import fit
from edgepack.edgetpu.fit import fit as edgetpu
from edgepack.records.edgetpu import NotCompiled
from edgepack.records.micro import ArenaSize, MicroFit
from edgepack.records.runtimes import RuntimeRun
from edgepack.records.target import Candidate
from edgepack.records.tensors import OpUse

RUNTIME = "tflite-runtime==2.14.0"


def run(**changes):
    given = RuntimeRun(variant="int8", runtime=RUNTIME, python="3.9", loads=True, agrees=True)
    return given.model_copy(update=changes)


def candidate(facts=None, **changes):
    evidence = samples.evidence(samples.variant())
    given = Candidate(variant="int8", facts=samples.files(evidence, **(facts or {}))["int8"])
    return given.model_copy(update=changes)


def micro(size, **changes):
    arena = ArenaSize(bytes=size, method="estimated", planned=size, kept=0)
    known = dict.fromkeys(("unsupported", "float_operators", "unaccelerated", "open_shapes"), ())
    given = MicroFit(flash_bytes=60_000, arena=arena, objections=(), **known)
    return given.model_copy(update=changes)


CUSTOM = (OpUse(name="FlexErf", custom=True, count=1), OpUse(name="CONV_2D", version=3, count=1))


@pytest.mark.parametrize(
    ("asks", "facts", "known", "kind", "says"),
    [
        ({"precisions": ("float32",)}, {}, {}, "precision", "precision is int8, not float32"),
        ({"input_dtypes": ("uint8",)}, {}, {}, "dtype", "input 'image' is int8, not uint8"),
        ({"output_dtypes": ("uint8",)}, {}, {}, "dtype", "output 'scores' is int8, not uint8"),
        ({"weight_dtypes": ("int8",)}, {}, {}, "dtype", "constants are int32, not int8"),
        ({"static_shapes": True}, {"open_tensors": 2}, {}, "shape", "2 tensors have a dimension"),
        ({"integer_only": True}, {"float_ops": ("EXP",)}, {}, "float", "EXP computes in float"),
        ({"custom_operators": False}, {"ops": CUSTOM}, {}, "operator", "along: FlexErf"),
        ({"operators": {"SOFTMAX": 0}}, {}, {}, "operator", "the platform has no CONV_2D"),
        (
            {"operators": {"SOFTMAX": 1, "CONV_2D": 2}},
            {},
            {},
            "operator",
            "CONV_2D is of version 3, and the platform has it up to 2",
        ),
        ({"max_size_bytes": 10}, {}, {}, "size", "60000 bytes are more than 10"),
        ({"max_memory_bytes": 10}, {}, {"memory_bytes": 11}, "memory", "more than 10 bytes"),
        (
            {"max_arena_bytes": 10},
            {},
            {"micro": micro(11)},
            "arena",
            "11 bytes of tensor arena (estimated) are more than 10",
        ),
        (
            {"platform": "microcontroller"},
            {},
            {"micro": micro(9, objections=("it refuses the file: no",))},
            "run",
            "it refuses the file: no",
        ),
        (
            {"platform": "microcontroller"},
            {"ops": CUSTOM},
            {"micro": micro(9, unsupported=("BUCKETIZE", "FlexErf"))},
            "operator",
            "TFLite Micro has no BUCKETIZE; take BUCKETIZE out of the model",
        ),
        (
            {"runtimes": (RUNTIME,)},
            {},
            {"runs": (run(loads=False, reason="no op"),)},
            "run",
            f"on {RUNTIME} does not load: no op",
        ),
        (
            {"runtimes": (RUNTIME,)},
            {},
            {"runs": (run(loads=False, python="", reason="it died by SIGSEGV"),)},
            "run",
            f"on {RUNTIME} gives no answer: it died by SIGSEGV",
        ),
        (
            {"runtimes": (RUNTIME,)},
            {},
            {"runs": (run(agrees=False, output="y", difference=3.0, tolerance=1.0),)},
            "run",
            f"on {RUNTIME} 'y' is off by 3, and 1 is allowed",
        ),
    ],
)
def test_each_thing_that_is_asked_has_its_objection(asks, facts, known, kind, says):
    found = fit(samples.target(**asks), candidate(facts, **known))
    assert not found.fits
    (objection,) = found.objections
    assert objection.kind == kind
    assert says in str(objection)
    asked_nothing = fit(samples.target(), candidate(facts, **known))
    assert asked_nothing.fits, asked_nothing


@pytest.mark.parametrize(
    ("asks", "facts", "known"),
    [
        ({"weight_dtypes": ("int8", "int32")}, {}, {}),
        ({"static_shapes": True, "integer_only": True, "custom_operators": False}, {}, {}),
        ({"operators": {"SOFTMAX": 1, "CONV_2D": 3}}, {}, {}),
        ({"operators": {"SOFTMAX": 0, "CONV_2D": 0}}, {"ops": CUSTOM}, {}),
        ({"max_size_bytes": 60_000, "max_memory_bytes": 9}, {}, {"memory_bytes": 9}),
        ({"max_arena_bytes": 9}, {}, {"micro": micro(9)}),
        ({"platform": "android"}, {}, {"micro": micro(9, objections=("no",))}),
        ({"runtimes": (RUNTIME,)}, {}, {"runs": (run(), run(runtime="another==1", loads=False))}),
    ],
)
def test_what_is_within_what_is_asked_fits(asks, facts, known):
    found = fit(samples.target(**asks), candidate(facts, **known))
    assert (found.objections, found.unchecked) == ((), ())


@pytest.mark.parametrize(
    ("asks", "says"),
    [
        ({"max_memory_bytes": 9}, "peak memory was not measured"),
        ({"max_arena_bytes": 9}, "the tensor arena is not known"),
        ({"runtimes": (RUNTIME,)}, f"it was not run on {RUNTIME}"),
    ],
)
def test_what_nothing_tells_is_said(asks, says):
    found = fit(samples.target(**asks), candidate())
    assert found.fits
    (doubt,) = found.unchecked
    assert says in doubt


def _check(edgepack, path, *options):
    done = edgepack("targets", "check", path, *options, "--json")
    fits = json.loads(done.stdout)["fits"]
    return done, {(one["target"], one["variant"]): one for one in fits}


def test_a_file_is_held_against_every_built_in_profile(edgepack, tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tflite_models.PLAIN)
    done, found = _check(edgepack, tmp_path / "plain.tflite")
    assert done.returncode == 0, done.stderr
    listed = json.loads(edgepack("targets", "--json").stdout)
    assert found.keys() == {(one["name"], "plain") for one in listed}
    assert found["linux", "plain"]["objections"] == []


def test_a_target_that_was_named_and_takes_nothing_is_an_error(edgepack, tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tflite_models.PLAIN)
    own = 'extends = "android"\nname = "tiny"\nmax_size_bytes = 10\n'
    (tmp_path / "tiny.toml").write_text(own)
    asked = ("--target", tmp_path / "tiny.toml", "--target", "android")
    done = edgepack("targets", "check", tmp_path / "plain.tflite", *asked)
    assert done.returncode == 6
    assert "error[incompatible]" in done.stderr
    assert "nothing here is for tiny" in done.stderr
    assert "bytes are more than 10" in done.stdout


def test_one_name_does_not_answer_for_two_targets(edgepack, tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tflite_models.PLAIN)
    (tmp_path / "tiny.toml").write_text('extends = "android"\nmax_size_bytes = 10\n')
    asked = ("--target", tmp_path / "tiny.toml", "--target", "android")
    done = edgepack("targets", "check", tmp_path / "plain.tflite", *asked)
    assert done.returncode == 2
    assert 'two targets are called "android"' in done.stderr


@pytest.mark.parametrize(
    ("name", "says"), [("absent.tflite", "usage"), ("notes.txt", ""), ("saved_model", "usage")]
)
def test_what_is_no_file_for_a_device_is_refused(edgepack, tmp_path, name, says):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model/saved_model.pb").write_bytes(b"")
    done = edgepack("targets", "check", tmp_path / name)
    assert done.returncode == 2, done.stderr
    assert f"error[{says}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_s_own_compiler_has_the_last_word(tmp_path):
    (tmp_path / "plain.tflite").write_bytes(tflite_models.PLAIN)
    known = edgetpu(tmp_path / "plain.tflite")
    refused = NotCompiled(why="edgetpu_compiler ended with code 1: no", version="16.0", log="no")
    ran = candidate(edgetpu=known.model_copy(update={"not_compiled": refused}))
    (objection,) = fit(samples.target(platform="edgetpu"), ran).objections
    assert "ended with code 1" in objection.what
    assert fit(samples.target(), ran).fits
    assert fit(samples.target(platform="edgetpu"), candidate(edgetpu=known)).fits


@pytest.mark.parametrize(
    ("kind", "named", "says"),
    [
        ("DIV int8", "linux", "DIV int8 is new in ai-edge-litert 1.4.0"),
        ("BATCH_MATMUL dynamic per-channel", "linux", "is new in ai-edge-litert 1.3.0"),
        ("BATCH_MATMUL int8 per-channel", "linux", "no ai-edge-litert that was tried has BATCH_"),
        ("BATCH_MATMUL int8 per-tensor", "linux", "is not computed right by ai-edge-litert 2.0.2"),
        ("BATCH_MATMUL int8 per-tensor", "android-compiled-model", "2.1.2, and devices may have"),
        ("BATCH_MATMUL int8 per-tensor", "android", ""),  # below 2
        ("MUL int8 5-D broadcast", "android-tensorflow-lite", "devices may have 2.10.0"),
        ("SUM int8", "android-tensorflow-lite", "devices may have 2.10.0"),
        ("DIV int8", "android-tensorflow-lite", "no org.tensorflow:tensorflow-lite that was"),
    ],
)
def test_what_kernels_do_not_compute_is_refused(tmp_path, kind, named, says):
    (tmp_path / "a.tflite").write_bytes(kernel_files.file_of(kernel_files.KINDS[kind]))
    (found,) = api.check_targets(tmp_path / "a.tflite", targets=[named]).fits
    reasons = [one.what for one in found.objections if one.kind == "release"]
    assert len(reasons) == bool(says), reasons
    assert all(says in reason for reason in reasons)


@pytest.mark.parametrize(
    ("least_version", "operators", "doubted"),
    [
        ("2.5.0", "", True),
        ("2.7.0", "", False),
        ("2.5.0", "[operators]\nFULLY_CONNECTED = 0\n", False),
    ],
)
def test_a_release_before_all_that_were_asked_is_no_silent_yes(
    tmp_path, least_version, operators, doubted
):
    (tmp_path / "a.tflite").write_bytes(tflite_models.PLAIN)
    runtime = f'artifact = "tflite-runtime"\nleast_version = "{least_version}"\n'
    own = f'extends = "linux"\nname = "own"\n{operators}[runtime]\n{runtime}'
    (tmp_path / "own.toml").write_text(own)
    (found,) = api.check_targets(tmp_path / "a.tflite", targets=[str(tmp_path / "own.toml")]).fits
    said = "whether tflite-runtime 2.5.0 has what it needs was not asked"
    assert found.fits
    assert found.unchecked == ((said,) if doubted else ())


def test_what_a_microcontroller_did_not_run_is_unchecked(tmp_path):
    (tmp_path / "a.tflite").write_bytes(tflite_models.PLAIN)
    own = 'extends = "microcontroller"\nname = "own"\nprecisions = ["float32"]\n'
    own += "integer_only = false\ninput_dtypes = []\noutput_dtypes = []\n"
    (tmp_path / "own.toml").write_text(own)
    (found,) = api.check_targets(tmp_path / "a.tflite", targets=[str(tmp_path / "own.toml")]).fits
    assert found.fits
    assert any("did not run it" in one for one in found.unchecked)


def test_what_only_later_releases_lost_does_not_count(tmp_path):
    kind = kernel_files.KINDS["CONV_2D float16"]  # wrong in 1.1.0 to 1.3.0
    (tmp_path / "a.tflite").write_bytes(kernel_files.file_of(kind))
    own = 'extends = "android"\nname = "own"\n[runtime]\nbelow_version = "{}"\n'
    for below, taken in (("1.1", True), ("1.1.1", False), ("1.5", False)):
        (tmp_path / "own.toml").write_text(own.format(below))
        found = api.check_targets(tmp_path / "a.tflite", targets=[str(tmp_path / "own.toml")])
        assert found.fits[0].fits == taken, below
