"""Files in the browser's runtime, for real: LiteRT.js from npm, in a headless Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import browser_models
import numpy as np
import pytest
import tflite_models
from browser_models import BOTTOM, TOP
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgepack.cache import default_root
from edgepack.compat.registered import table
from edgepack.errors import RuntimeInstallError, UsageError
from edgepack.records.settings import Limits
from edgepack.runtimes import browser, npy, requirement, runtime
from edgepack.runtimes.environment import Environments
from edgepack.runtimes.serving import Exchange, serving
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow

NEW, OLD = "@litertjs/core==2.5.3", "@litertjs/core==0.2.1"
RELEASES = (NEW, OLD)
VARIANTS = ("float32", "float16", "dynamic", "int8", "int8-float-io")
PLAIN_ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture(scope="module")
def releases():
    """Those that the command uses, by name; skips where they, or a browser, cannot be had."""
    environments = Environments(default_root() / "runtimes")
    try:
        return {name: runtime.prepared(requirement.parse(name), environments) for name in RELEASES}
    except RuntimeInstallError as error:
        pytest.skip(f"the browser's runtime cannot be run here: {error}")


@pytest.fixture(scope="module")
def bundle(edgepack, tmp_path_factory):
    """The embedded example with golden vectors."""
    output = tmp_path_factory.mktemp("browser")
    variants = [word for name in VARIANTS for word in ("--variant", name)]
    done = edgepack("build", "--demo", "--vectors", "3", "--output", output, *variants)
    assert done.returncode == 0, done.stderr
    return output / "digits-1.0.0.zip"


def test_every_variant_runs_in_the_browser_or_is_named(edgepack, releases, bundle):
    asked = [word for name in RELEASES for word in ("--runtime", name)]
    done = edgepack("runtimes", bundle, *asked, "--offline", "--json")
    found = {(one["runtime"], one["variant"]): one for one in json.loads(done.stdout)["runs"]}
    assert found.keys() == {(release, name) for release in RELEASES for name in VARIANTS}
    wrong = {key: one for key, one in found.items() if not (one["loads"] and one["agrees"])}
    assert {key: (one["loads"], one["reason"]) for key, one in wrong.items()} == {
        (NEW, "int8"): (False, "Error: Element type INT8 is not supported."),
        (OLD, "int8"): (True, "Error: Tensor type not supported: 9"),
    }
    right = [one for key, one in found.items() if key not in wrong]
    assert all(one["p50_ms"] > 0 for one in right)
    assert all(one["browser"].split(".")[0].isdecimal() for one in right)
    assert not any(one["python"] for one in found.values())
    assert done.returncode == 6
    assert f"int8 on {NEW}: does not load: Error: Element type INT8" in done.stderr


def test_what_agrees_is_a_table_that_names_the_browser(edgepack, releases, bundle):
    asked = ("--runtime", "litertjs==2.5.3", "--variant", "float32", "--threads", "2")
    done = edgepack("runtimes", bundle, *asked)
    assert done.returncode == 0, done.stderr
    assert "@litertjs/core==2.5.3 Chromium " in done.stdout
    assert " ms" in done.stdout


@pytest.fixture
def run(releases, tmp_path):
    """Runs a job on a release."""
    return lambda release, job: releases[release].run(job, tmp_path, PLAIN_ENVIRONMENT)


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_says_itself_what_it_does_not_know(run, release, tmp_path):
    model = tflite_models.unpack(tflite_models.PLAIN)
    model.operatorCodes[0].version = 24
    inputs, outputs = [("input", "x", 0, TOP)], [("output", "y", 0)]
    job = browser_models.job(tmp_path, tflite_models.pack(model), inputs, outputs)
    found = run(release, job)
    assert not found.loaded
    assert "Didn't find op for builtin opcode 'FULLY_CONNECTED' version '24'" in found.reason


@pytest.mark.parametrize(
    ("release", "dtype", "loads", "says"),
    [
        (NEW, "int64", False, "Element type INT64 is not supported."),
        (NEW, "string", False, "Element type STRING is not supported."),
        (OLD, "uint8", True, "Tensor type not supported: 3"),
        (OLD, "float16", True, "no typed array holds float16"),
    ],
)
def test_what_its_tensors_cannot_hold_is_a_reason(run, release, dtype, loads, says, tmp_path):
    found = run(release, browser_models.echo(tmp_path, dtype))
    assert found.loaded is loads
    assert says in found.reason


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_what_its_tensors_hold_comes_back(run, dtype, tmp_path):
    assert not run(NEW, browser_models.echo(tmp_path, dtype)).reason
    expected = np.arange(8).reshape(2, 1, 4).astype(dtype)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected, strict=True)


def test_another_shape_than_the_files_is_a_reason(run, tmp_path):
    found = run(NEW, browser_models.echo(tmp_path, "float32", shape=(3, 4)))
    assert found.loaded
    assert "Float32[3, 4] does not match expected ranked tensor type Float32[1, 4]" in found.reason


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("named", [True, False])
def test_tensors_find_their_place(run, release, named, tmp_path):
    inputs = [("bottom", "b", 1, BOTTOM), ("top", "t", 0, TOP)]
    outputs = [("a", "plus", 1), ("z", "minus", 0)]
    model = browser_models.subtracting(named=named)
    assert not run(release, browser_models.job(tmp_path, model, inputs, outputs)).reason
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), TOP + BOTTOM)
    np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), TOP - BOTTOM)


def test_an_invocation_has_no_memory_of_another(run, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    with WorkerPool("TensorFlow", 1, Limits(), tmp_path / "log") as pool:
        pool.submit(browser_models.save_counter, tmp_path / "counter.tflite").result()
    values = np.zeros((2, 1, 2), np.float32)
    model = (tmp_path / "counter.tflite").read_bytes()
    job = browser_models.job(tmp_path, model, [("x", "x", 0, values)], [("y", "y", 0)])
    assert not run(NEW, job).reason
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), values + 1)


def test_the_newest_release_registers_what_a_release_of_litert_does(releases):
    known = table("ai-edge-litert")
    place = known.releases.index("2.1.6")
    expected = {
        (name, version)
        for name, row in known.since.items()
        for version in range(1, len(row) + 1)
        if (first := known.operator(name, version).first) is not None and first <= place
    }
    found = releases[NEW].registered()
    assert {(name, version) for name, all_ in found.items() for version in all_} == expected


# What a browser does that is none: it gets the switches, and a file that sends it to its page.
STAND_IN = """#!/usr/bin/env python3
import pathlib, re, sys, time, urllib.parse, urllib.request
start = pathlib.Path(urllib.parse.urlparse(sys.argv[-1]).path).read_text()
at = re.search("http:[a-zA-Z0-9:/._-]+/", start)[0]
assert not any(at in word for word in sys.argv), "anyone could read the secret"
"""
PAGE_DIES = f"""{STAND_IN}
urllib.request.urlopen(at + "alive").close()
time.sleep(60)
"""
LIES = f"""{STAND_IN}
urllib.request.urlopen(at + "output/0", b"12345")
said = b'{{"loaded": true, "seconds": [1], "outputs": [{{"dtype": "float32", "shape": [1, 4]}}]}}'
urllib.request.urlopen(at + "answer", said)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("#!/bin/sh\nkill -SEGV $$\n", "it died by SIGSEGV"),
        ("#!/bin/sh\necho cannot >&2; exit 3\n", "it ended with code 3: cannot"),
        ("#!/bin/sh\nexec sleep 60\n", "no answer within 1 seconds"),
        (PAGE_DIES, "its page died"),
        (LIES, "its answer cannot be read: 5 bytes, and [2, 1, 4] float32 are 32"),
        ("", "cannot be run: Exec format error"),
    ],
)
def test_a_death_is_an_answer(script, says, monkeypatch, tmp_path):
    dying = tmp_path / "browser"
    dying.write_text(script)
    dying.chmod(0o755)
    monkeypatch.setattr(browser, "SECONDS", 1.0 if "sleep 60\n" in script else 20.0)
    job = browser_models.echo(tmp_path, "float32")
    found = browser.run(dying, tmp_path, job, tmp_path, PLAIN_ENVIRONMENT)
    assert not found.loaded
    assert says in found.reason
    if "sleep" not in script:
        with pytest.raises(subprocess.SubprocessError, match=re.escape(says)):
            browser.registered(dying, tmp_path)


def _asked(address, data=None):
    try:
        with urllib.request.urlopen(address, data, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


def test_the_server_gives_what_is_listed_and_nothing_else(tmp_path):
    (tmp_path / "listed").write_bytes(b"yes")
    (tmp_path / "other").write_bytes(b"no")
    exchange = Exchange({"file": tmp_path / "listed"}, {"answer": tmp_path / "answer"})
    with serving(exchange) as address:
        root = address.split("/", 3)
        assert root[2].startswith("127.0.0.1:")
        assert len(root[3]) > 40
        assert _asked(f"{address}file") == (200, b"yes")
        for path in ("other", "../other", "listed", "", "%2e%2e/other", str(tmp_path / "other")):
            assert _asked(address + path)[0] == 404, path
        for path in ("", "file", "alive", "x/file"):
            assert _asked("/".join([*root[:3], path]))[0] == 404, path
        assert _asked(f"{address}elsewhere", b"x")[0] == 404
        assert _asked("/".join([*root[:3], "answer"]), b"x")[0] == 404
        assert not exchange.answered.is_set()
        assert _asked(f"{address}answer", b"said")[0] == 204
        assert exchange.answered.wait(20)
    assert (tmp_path / "answer").read_bytes() == b"said"
    assert {path.name for path in tmp_path.iterdir()} == {"listed", "other", "answer"}


@given(
    arrays.arrays(st.sampled_from(sorted(npy.TYPES)), arrays.array_shapes(min_dims=0, min_side=0))
)
def test_numpy_reads_what_is_written_without_it(tmp_path_factory, array):
    path = tmp_path_factory.getbasetemp() / "written.npy"
    path.write_bytes(npy.encoded(array.tobytes(), array.dtype.name, array.shape))
    np.testing.assert_array_equal(np.load(path), array, strict=True)
    with pytest.raises(ValueError, match="bytes, and"):
        npy.encoded(array.tobytes() + b"x", array.dtype.name, array.shape)


def test_a_type_that_is_none_is_not_written():
    with pytest.raises(ValueError, match="'string' is no type of numbers"):
        npy.encoded(b"", "string", (0,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("@litertjs/core", "does not name one release"),
        ("@litertjs/core==latest", "is no requirement"),
        ("@litertjs/core==../2", "is no requirement"),
        ("@litertjs/tfjs==2.0", "is no requirement"),
    ],
)
def test_what_is_no_release_is_refused(text, says):
    with pytest.raises(UsageError, match=says):
        requirement.parse(text)


def test_offline_takes_only_what_is_there(releases, edgepack, bundle, tmp_path):
    done = edgepack("runtimes", bundle, "--runtime", NEW, "--offline", "--cache-dir", tmp_path)
    assert (done.returncode, "error[runtime-install]" in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.glob("runtimes/*")) == []


def test_a_release_that_does_not_exist_leaves_nothing(releases, tmp_path):
    absent = requirement.parse("@litertjs/core==0.0.1")
    with pytest.raises(RuntimeInstallError, match=r"by npm: .*No matching version found for"):
        Environments(tmp_path).modules(absent)
    assert list(tmp_path.iterdir()) == []


def test_another_browser_has_another_stamp(monkeypatch, tmp_path):
    """What a build keeps of runs in one is not taken for another's."""
    program = tmp_path / "browser"
    program.touch(0o755)
    monkeypatch.setenv("CHROME_PATH", str(program))
    wanted = requirement.parse(NEW)
    old = browser.stamp(wanted)
    assert browser.stamp(wanted) == old
    os.utime(program, (1, 1))
    assert browser.stamp(wanted) != old


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    wanted = requirement.parse(NEW)
    monkeypatch.setenv("CHROME_PATH", "no-such-browser")
    with pytest.raises(
        RuntimeInstallError, match="runs in Chromium, and no-such-browser was not found"
    ):
        browser.program(wanted)
    monkeypatch.delenv("CHROME_PATH")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(RuntimeInstallError, match="runs in Chromium, and none was found"):
        browser.program(wanted)
    with pytest.raises(RuntimeInstallError, match="npm is not on PATH"):
        Environments(tmp_path).modules(wanted)
    assert list(tmp_path.iterdir()) == []
