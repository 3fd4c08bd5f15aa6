"""What TFLite Micro can run and what it takes: read, estimated, and asked of a release."""

from __future__ import annotations

import zipfile
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace

import evidence_samples as samples
import kernel_files
import micro_models
import pytest
import tflite_models
from hypothesis import given
from hypothesis import strategies as st
from installed_runtimes import installed
from tflite_models import tensor

from edgepack.cache import Cache, default_root
from edgepack.errors import ModelError, RuntimeInstallError
from edgepack.micro import measured
from edgepack.micro.arena import buffers, estimate, sizes
from edgepack.micro.fit import check
from edgepack.micro.operators import operators
from edgepack.micro.planner import Buffer, aligned, extent, offsets
from edgepack.pipeline import devices
from edgepack.pipeline.measuring import Measured
from edgepack.runtimes.environment import Environments
from edgepack.tflite import subgraphs
from edgepack.tflite.schema import OPERATORS

ROOT = Path(__file__).parents[1]
BUFFERS = st.lists(
    st.builds(
        lambda size, first, length: Buffer(size, first, first + length),
        st.integers(1, 300),
        st.integers(0, 12),
        st.integers(0, 6),
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def environments():
    """Where the release that the tables name is; skips where it cannot be had."""
    return installed(str(operators().runtime))


@pytest.fixture(scope="module")
def digits(edgepack, tmp_path_factory):
    """The embedded example's files, by variant."""
    output = tmp_path_factory.mktemp("digits")
    variants = [word for name in ("float32", "dynamic", "int8") for word in ("--variant", name)]
    done = edgepack("build", "--demo", "--vectors", "3", "--output", output, *variants)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(output / "digits-1.0.0.zip") as bundle:
        bundle.extractall(output)
    return {path.stem: path for path in (output / "models").iterdir()}


def parts(arena):
    return arena.planned, arena.kept, arena.starting


def written(tmp_path, data):
    (tmp_path / "model.tflite").write_bytes(data)
    return tmp_path / "model.tflite"


@given(BUFFERS)
def test_what_lives_at_one_time_never_shares_a_place(found):
    placed = list(zip(offsets(found), found, strict=True))
    for (one, first), (other, second) in combinations(placed, 2):
        apart = one + first.size <= other or other + second.size <= one
        assert apart or not first.meets(second)
    assert all(offset % 16 == 0 for offset, _ in placed)


@given(BUFFERS)
def test_a_plan_is_no_smaller_than_its_fullest_step_and_no_larger_than_all(found):
    alive = [
        sum(aligned(one.size) for one in found if one.first <= step <= one.last)
        for step in range(20)
    ]
    assert max(alive) <= extent(found) <= sum(aligned(one.size) for one in found)


def test_the_largest_comes_first_and_fills_the_first_gap():
    found = (Buffer(16, 0, 9), Buffer(64, 0, 1), Buffer(32, 2, 3), Buffer(64, 2, 9))
    # the last of the largest at 0, the other where it ended, then what is left by size
    assert offsets(found) == (96, 0, 64, 0)
    assert extent(()) == 0


def test_the_tables_name_operators_of_the_schema():
    known, accelerated = operators(), operators().cmsis_nn
    assert set(known.builtin) <= set(OPERATORS)
    assert len(set(known.builtin)) == len(known.builtin)
    assert set(accelerated.int16) < set(accelerated.int8) < set(known.builtin)
    assert sizes().options.keys() | sizes().data.keys() <= set(known.builtin)


@pytest.mark.slow
def test_the_release_has_the_operators_of_the_table_and_no_others(environments, tmp_path):
    micro_models.write_every_operator(tmp_path)
    said = micro_models.opened_all(environments.python(operators().runtime), tmp_path)
    absent = {name for name, text in said.items() if f"builtin opcode '{name}'" in text}
    assert len(said) == len(OPERATORS) - 1
    assert said.keys() - absent == set(operators().builtin)


def test_inputs_live_from_the_start_and_outputs_to_the_end(tmp_path):
    (graph,) = subgraphs.read(written(tmp_path, micro_models.KEPT))
    assert list(buffers(graph)) == [
        Buffer(160, 0, 4),
        Buffer(160, 1, 2),
        Buffer(160, 2, 3),
        Buffer(160, 3, 4),
        Buffer(160, 4, 4),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", micro_models.GRAPHS)
def test_the_estimate_of_a_small_graph_is_what_is_measured(environments, tmp_path, name):
    path = written(tmp_path, micro_models.GRAPHS[name])
    found, guess = measured.arena(path, environments), estimate(path)
    assert (found.method, guess.method) == ("measured", "estimated")
    assert parts(guess) == parts(found)
    assert found.bytes == sum(parts(found))
    assert (found.starting > 0) == (name in {"chain", "many"})
    assert found.runtime == str(operators().runtime)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_the_estimate_of_the_example_is_what_is_measured(environments, digits, variant):
    found, guess = measured.arena(digits[variant], environments), estimate(digits[variant])
    assert found.method == "measured", found.reason
    assert parts(guess) == parts(found)


@pytest.mark.slow
def test_the_example_fits_as_int8_alone(environments, digits):
    fit = {name: check(path) for name, path in digits.items()}
    assert (fit["int8"].runs, fit["int8"].integer_only) == (True, True)
    assert fit["int8"].flash_bytes == aligned(digits["int8"].stat().st_size)
    assert fit["int8"].unaccelerated == ()
    assert (fit["float32"].runs, fit["float32"].integer_only) == (True, False)
    assert not fit["dynamic"].runs
    assert "its CONV_2D takes no int8 weights beside float activations" in fit["dynamic"].objections
    refused = measured.arena(digits["dynamic"], environments)
    assert (refused.method, refused.bytes) == ("estimated", fit["dynamic"].arena.bytes)
    assert "Hybrid models are not supported" in refused.refused
    assert check(digits["dynamic"], refused).objections[-1].startswith("it refuses the file: ")


@pytest.mark.slow
def test_the_example_answers_there_as_it_did_when_it_was_built(environments, edgepack, digits):
    bundle = digits["int8"].parents[1] / "digits-1.0.0.zip"
    cache = ("--cache-dir", default_root())
    release = ("--runtime", str(operators().runtime), *cache)
    done = edgepack("runtimes", bundle, *release, "--variant", "int8", "--variant", "float32")
    assert done.returncode == 0, done.stderr + done.stdout
    done = edgepack("runtimes", bundle, *release, "--variant", "dynamic")
    assert done.returncode == 6
    assert "dynamic on tflite-micro==" in done.stderr
    assert "TFLM failed to allocate tensors" in done.stderr


def made(nodes, *tensors):
    return tflite_models.build(list(tensors), nodes, [0], [1])


def test_what_it_does_not_have_is_named(tmp_path):
    nodes = [("COMPLEX_ABS", [0], [1]), ("MyOwn", [0], [1]), ("SignalWindow", [0], [1])]
    fit = check(written(tmp_path, made(nodes, tensor("x"), tensor("y"))))
    assert fit.unsupported == ("COMPLEX_ABS", "MyOwn")
    assert not fit.runs


@pytest.mark.parametrize(
    ("dtype", "weights", "node", "says"),
    [
        ("string", "float32", "RELU", "tensor 'x' is of type string, which has no size there"),
        ("variant", "float32", "RELU", "tensor 'x' is of type variant"),
        ("float16", "float32", "DEQUANTIZE", "its DEQUANTIZE takes no float16"),
        ("float32", "int8", "FULLY_CONNECTED", "its FULLY_CONNECTED takes no int8 weights beside"),
    ],
)
def test_what_else_stands_in_the_way_is_said(tmp_path, dtype, weights, node, says):
    tensors = tensor("x", dtype), tensor("y"), tensor("w", weights, (4, 4), data=True)
    inputs = [0, 2] if node == "FULLY_CONNECTED" else [0]
    fit = check(written(tmp_path, made([(node, inputs, [1])], *tensors)))
    assert [one for one in fit.objections if one.startswith(says)]
    assert not fit.runs


def test_weights_with_a_scale_for_each_channel_are_expanded_wrong(environments, tmp_path):
    python = environments.python(operators().runtime)
    names = [f"CONV_2D weight-only per-{what}" for what in ("channel", "tensor")]
    assert kernel_files.right(python, names, tmp_path) == {names[1]}
    found = []
    for name in names:
        (tmp_path / "a.tflite").write_bytes(kernel_files.file_of(kernel_files.KINDS[name]))
        found.append(check(tmp_path / "a.tflite").objections)
    assert found == [
        ("its DEQUANTIZE takes the first scale of weights for all their channels",),
        (),
    ]


def test_open_shapes_and_slow_kernels_are_told_and_run(tmp_path):
    open_one = tensor("x", "int8", shapeSignature=[-1, 4])
    nodes = [("TANH", [0], [2]), ("RESHAPE", [2], [3]), ("ADD", [0, 3], [1])]
    others = tensor("y", "int8"), tensor("t", "int8"), tensor("r", "int8")
    fit = check(written(tmp_path, made(nodes, open_one, *others)))
    assert (fit.open_shapes, fit.unaccelerated, fit.runs) == (("x",), ("TANH",), True)
    wide = [tensor(name, "int16") for name in "xy"]
    assert check(written(tmp_path, made([("PAD", [0], [1])], *wide))).unaccelerated == ("PAD",)


def test_what_is_no_model_is_refused(tmp_path):
    for function in (check, estimate):
        with pytest.raises(ModelError, match="not a whole"):
            function(written(tmp_path, b"no model at all"))


@pytest.mark.parametrize("border", ["inputs", "outputs"])
def test_borders_that_are_not_there_are_refused(tmp_path, border):
    model = tflite_models.unpack(tflite_models.PLAIN)
    signature = getattr(model.signatureDefs[0], border)[0].tensorIndex
    setattr(model.subgraphs[0], border, [signature, 99])
    with pytest.raises(ModelError, match="tensor 99 of 3"):
        check(written(tmp_path, tflite_models.pack(model)))


class Stub:
    """An environment whose Python is a script, or that cannot be made."""

    def __init__(self, directory, script=None):
        self.program = directory / "python"
        if script is not None:
            self.program.write_text(f"#!/bin/sh\n{script}\n")
            self.program.chmod(0o755)

    def python(self, _wanted):
        if not self.program.exists():
            raise RuntimeInstallError("there is no wheel for this machine")
        return self.program


SAYS = r"""printf '\n{"loads": %s, "ran": %s, "reason": "so"}\n'"""


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "there is no wheel for this machine"),
        ("kill -SEGV $$", "died by SIGSEGV"),
        ("kill -35 $$", "died by signal 35"),
        ("exit 3", "ended with code 3"),
        ("echo '{}'", "ended with code 0"),
        (SAYS % ("false", "false"), "cannot be imported: so"),
        (SAYS % ("true", "false"), "refuses the file"),
        (SAYS % ("true", "true"), "did not say what it took"),
        ("exec sleep 5", "gave no answer within 0.2 seconds"),
    ],
)
def test_where_it_cannot_be_measured_the_estimate_says_why(tmp_path, monkeypatch, script, reason):
    if script and "sleep" in script:
        monkeypatch.setattr(measured, "SECONDS", 0.2)
    path = written(tmp_path, micro_models.CHAIN)
    found = measured.arena(path, Stub(tmp_path, script))
    assert (found.method, found.bytes, found.runtime) == ("estimated", estimate(path).bytes, "")
    assert found.reason.endswith(reason)
    assert found.refused == ("so" if reason == "refuses the file" else "")


def test_the_program_gets_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("CI_TOKEN", "7")
    stub = Stub(tmp_path, 'exit "${CI_TOKEN:-3}"')
    found = measured.arena(written(tmp_path, micro_models.CHAIN), stub)
    assert found.reason.endswith("ended with code 3")


def test_a_program_that_cannot_be_started_is_a_reason(tmp_path):
    stub = Stub(tmp_path, "exit 0")
    stub.program.chmod(0o600)
    found = measured.arena(written(tmp_path, micro_models.CHAIN), stub)
    assert "cannot be started" in found.reason


def test_an_estimate_stays_only_until_it_can_be_measured(tmp_path, monkeypatch):
    """A build that could not measure leaves nothing that the next one would take for the answer."""
    session = SimpleNamespace(cache=Cache(tmp_path), warn=lambda *said: told.append(said[1]))
    session.tell = lambda *_: None
    path, told = written(tmp_path, micro_models.CHAIN), []
    plan = SimpleNamespace(targets=(samples.target(max_arena_bytes=9),))
    evidence = samples.evidence(samples.variant())
    built = (SimpleNamespace(evidence=evidence.variants[0], file=SimpleNamespace(path=path)),)
    given = Measured(None, None, None, built, evidence, None)
    for script, refused in (("exit 3", ""), (SAYS % ("true", "false"), "so"), ("exit 4", "so")):
        stub = Stub(tmp_path, script)
        monkeypatch.setattr(devices, "Environments", lambda _, stub=stub: stub)
        found = devices.look(session, plan, given).evidence.variants[0].micro.arena
        assert (found.method, found.refused) == ("estimated", refused)
    (warning,) = told
    assert warning.startswith("int8: estimated, not measured: tflite-micro==")
    assert warning.endswith("ended with code 3")


def line(name, size):
    return b"[RecordingMicroAllocator] Arena allocation %s %d bytes\n" % (name, size)


def test_offline_estimates(tmp_path):
    path = written(tmp_path, micro_models.CHAIN)
    found = measured.arena(path, Environments(tmp_path / "runtimes", offline=True))
    assert "--offline forbids to fetch it" in found.reason


@given(st.integers(0, 2**31), st.integers(0, 2**31), st.binary(max_size=80), st.booleans())
def test_sizes_are_found_in_whatever_is_printed_around_them(head, tail, noise, ends):
    said = line(b"total", head + tail) + line(b"head", head) + line(b"tail", tail)
    printed = noise + b"\n" + said if ends else said + noise
    expected = {"total": head + tail, "head": head, "tail": tail}
    assert measured.sizes_said(printed) == expected


@given(st.binary(max_size=200))
def test_nothing_is_read_into_what_says_nothing(noise):
    assert measured.sizes_said(noise) is None
    assert measured.sizes_said(line(b"total", 9) + line(b"head", 4) + line(b"tail", 4)) is None
    assert measured.refusal(noise).isprintable()
    assert len(measured.refusal(noise)) <= measured.LENGTH
