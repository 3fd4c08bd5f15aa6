"""Files on releases of runtimes, for real: each in an environment that holds just that."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import kernel_files
import pytest
import tflite_models
from installed_runtimes import installed
from packaging.version import Version

import edgepack as package
from edgepack.compat.proof import boundaries, share
from edgepack.compat.registered import HAS, table, versioned
from edgepack.errors import RuntimeInstallError, UsageError
from edgepack.pipeline import releases
from edgepack.records.runtimes import ReplayedTensor, ReplayJob
from edgepack.records.vectors import VariantVectors
from edgepack.runtimes import requirement, running, wheels
from edgepack.runtimes.environment import Environments
from edgepack.runtimes.interpreters import interpreters

pytestmark = pytest.mark.slow

RELEASES = (
    "tflite-runtime==2.14.0",
    "ai-edge-litert==1.0.1",
    "ai-edge-litert==1.4.0",
    "ai-edge-litert==2.0.3",
    "ai-edge-litert==2.3.0",
)
SMALL = ("ai-edge-litert", "tflite-runtime")  # whose releases are a few MB


@pytest.fixture(scope="module")
def environments():
    """Those that the command uses; skips where a release cannot be had."""
    return installed(*RELEASES)


@pytest.fixture(scope="module")
def bundle(edgepack, tmp_path_factory):
    """The embedded example with golden vectors."""
    output = tmp_path_factory.mktemp("runtimes")
    command = ["build", "--demo", "--vectors", "3", "--output", output]
    variants = [word for name in ("float32", "dynamic", "int8") for word in ("--variant", name)]
    done = edgepack(*command, *variants)
    assert done.returncode == 0, done.stderr
    return output / "digits-1.0.0.zip"


def test_every_variant_runs_on_every_release_or_is_named(edgepack, environments, bundle):
    asked = [word for name in RELEASES for word in ("--runtime", name)]
    done = edgepack("runtimes", bundle, *asked, "--offline", "--jobs", "2", "--json", timeout=600)
    found = json.loads(done.stdout)
    wrong = {
        (one["runtime"], one["variant"])
        for one in found["runs"]
        if not (one["loads"] and one["agrees"])
    }
    # It takes the scales of each channel for one scale, says nothing, and answers at chance.
    assert wrong == {("tflite-runtime==2.14.0", "dynamic")}
    assert len(found["runs"]) == 3 * len(RELEASES)
    assert all(one["p50_ms"] > 0 and one["python"] for one in found["runs"])
    assert done.returncode == 6
    assert "dynamic on tflite-runtime==2.14.0: 'scores' is off by 0." in done.stderr


def test_what_was_computed_of_a_file_is_what_runs(edgepack, environments, bundle):
    report = json.loads((bundle.parent / "report.json").read_bytes())
    least = {
        (one["variant"], release["numbering"]): release
        for one in report["evidence"]["variants"]
        for release in one["least_releases"]
    }
    asked = [requirement.parse(release) for release in RELEASES]
    found = package.runtime_matrix(bundle, map(str, asked), offline=True)
    for run in found.runs:
        wanted = requirement.parse(run.runtime)
        known = least[run.variant, wanted.package]["release"]
        can = known is not None and Version(known) <= Version(wanted.version)
        assert can == (run.loads and run.agrees), run
    assert least["dynamic", "tflite-runtime"]["operators"] == [
        "FULLY_CONNECTED dynamic per-channel"
    ]
    int8 = least["int8", "tflite-runtime"]
    assert (int8["release"], int8["without"]) == ("2.10.0", "2.7.0")


def test_what_agrees_is_a_table_and_no_error(edgepack, environments, bundle):
    done = edgepack("runtimes", bundle, "--runtime", RELEASES[1], "--variant", "int8")
    assert done.returncode == 0, done.stderr
    assert "ai-edge-litert==1.0.1" in done.stdout
    assert " ms" in done.stdout


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_has_what_the_table_says(environments, release, tmp_path):
    wanted = requirement.parse(release)
    known = table(wanted.package)
    place = known.releases.index(wanted.version)
    expected = {name for name, row in known.rows() if row.answers[place] == HAS}
    assert _has(environments, wanted, tmp_path) == expected


def _has(environments, wanted, directory):
    """Names of the rows that a release has."""
    python = environments.python(wanted)
    registered = running.registered(python)
    rows = {versioned(name, one) for name, found in registered.items() for one in found}
    return rows | kernel_files.right(python, list(kernel_files.KINDS), directory)


def test_what_decides_is_refused_by_the_release_before(environments, tmp_path):
    """For each row that can decide: the newest older release does not have it, the first does."""
    borders = [(package, one) for package in SMALL for one in boundaries(package)]
    sides = dict.fromkeys(
        requirement.Requirement(package, release)
        for package, (_, *releases) in borders
        for release in releases
    )  # a second each to install
    for wanted in sides:
        (tmp_path / str(wanted)).mkdir()
    with ThreadPoolExecutor(2) as pool:
        asked = pool.map(lambda one: _has(environments, one, tmp_path / str(one)), sides)
        try:
            has = dict(zip(sides, asked, strict=True))
        except RuntimeInstallError as error:
            pytest.skip(f"an older release needs an older Python: {error}")
    wrong = [
        (package, name)
        for package, (name, *releases) in borders
        if [name in has[requirement.Requirement(package, one)] for one in releases] != [False, True]
    ]
    assert wrong == []
    assert len(borders) == sum(share(package).deciding for package in SMALL) > 100


def test_a_float16_file_is_computed_wrong_without_a_word(tmp_path):
    """The bias of a convolution is taken for float16, as the weights are."""
    environments = installed(*(f"ai-edge-litert=={one}" for one in ("1.0.1", "1.3.0", "1.4.0")))
    for release, agrees in (("1.0.1", True), ("1.3.0", False), ("1.4.0", True)):
        python = environments.python(requirement.Requirement("ai-edge-litert", release))
        names = ["CONV_2D float16", "CONV_2D float16 float16-bias"]
        job = kernel_files.job_of(0, kernel_files.KINDS[names[0]], tmp_path)
        assert running.run(python, job, tmp_path, {}).reason == ""
        right = kernel_files.right(python, names, tmp_path)
        assert right == ({*names} if agrees else {names[1]})


def _job(directory, model, dtype="float32"):
    (directory / "model.tflite").write_bytes(model)
    (directory / "in.bin").write_bytes(bytes(16))
    tensor = ReplayedTensor(place=0, dtype=dtype, shape=(1, 4), path=str(directory / "in.bin"))
    return ReplayJob(
        model=str(directory / "model.tflite"),
        count=1,
        threads=1,
        rounds=1,
        inputs=(tensor,),
        outputs=(tensor.model_copy(update={"path": str(directory / "out.npy")}),),
    )


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_says_itself_what_it_does_not_know(environments, release, tmp_path):
    model = tflite_models.unpack(tflite_models.PLAIN)
    model.operatorCodes[0].version = 24
    python = environments.python(requirement.parse(release))
    found = running.run(python, _job(tmp_path, tflite_models.pack(model)), tmp_path, {})
    assert not found.loaded
    assert "Didn't find op for builtin opcode" in found.reason
    assert "version '24'" in found.reason


def test_a_death_is_an_answer(tmp_path):
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\nkill -SEGV $$\n")
    dying.chmod(0o755)
    found = running.run(dying, _job(tmp_path, b""), tmp_path, {})
    assert (found.loaded, found.reason) == (False, "it died by SIGSEGV")
    dying.write_text("#!/bin/sh\necho cannot >&2; exit 3\n")
    found = running.run(dying, _job(tmp_path, b""), tmp_path, {})
    assert found.reason == "it ended with code 3: cannot"
    dying.write_text("#!/bin/sh\nkill -35 $$\n")  # a real-time signal, which has no name
    assert running.run(dying, _job(tmp_path, b""), tmp_path, {}).reason == "it died by signal 35"


def test_what_follows_a_death_is_run_too(tmp_path):
    """The first process answers one job and dies at the second; another answers the third."""
    told = '{"python": "3.9.1", "loaded": true}'
    dying = tmp_path / "python"
    dying.write_text(
        f"#!/bin/sh\necho noise\necho '{told}'\n[ $# -gt 3 ] || exit 0\nkill -ABRT $$\n"
    )
    dying.chmod(0o755)
    found = running.run_all(dying, [_job(tmp_path, b"")] * 3, tmp_path, {})
    assert [one.reason for one in found] == ["", "it died by SIGABRT", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tflite-runtime", "does not name one release"),
        ("tflite-runtime>=2.14", "does not name one release"),
        ("tflite-runtime==2.*", "does not name one release"),
        ("tflite-runtime==2.14.0; python_version<'3'", "says more than a release"),
        ("torch==2.0", "torch is no runtime known here"),
        ("==1", "is no requirement"),
    ],
)
def test_what_is_no_release_is_refused(text, says):
    with pytest.raises(UsageError, match=says):
        requirement.parse(text)
    assert str(requirement.parse("tflite_runtime == 2.14.0")) == "tflite-runtime==2.14.0"


def test_offline_takes_only_what_is_there(edgepack, bundle, tmp_path):
    asked = ("--runtime", RELEASES[0], "--offline", "--cache-dir", tmp_path)
    done = edgepack("runtimes", bundle, *asked)
    assert (done.returncode, "error[runtime-install]" in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.glob("runtimes/*")) == []


def test_a_release_that_does_not_exist_leaves_nothing(environments, tmp_path):
    absent = requirement.parse("ai-edge-litert==0.0.1")
    with pytest.raises(RuntimeInstallError, match=r"0\.0\.1 cannot be installed by any Python"):
        Environments(tmp_path).python(absent)
    assert list(tmp_path.iterdir()) == []


def test_an_environment_whose_python_is_gone_is_made_anew(monkeypatch, tmp_path):
    def install(_, directory):
        (directory / "bin").mkdir(parents=True)
        (directory / wheels.PROGRAM).symlink_to(gone)

    gone = tmp_path / "python3.9"
    gone.touch()
    monkeypatch.setattr(wheels, "install", install)
    environments, wanted = Environments(tmp_path / "cache"), requirement.parse(RELEASES[0])
    python = environments.python(wanted)
    gone.unlink()
    gone = tmp_path / "python3.10"
    gone.touch()
    assert environments.python(wanted) == python
    assert python.resolve() == gone


def test_pip_does_where_uv_is_not(environments, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    interpreters.cache_clear()
    wanted = requirement.parse(RELEASES[1])
    python = Environments(tmp_path).python(wanted)
    interpreters.cache_clear()
    assert running.registered(python)
    assert (python.parent / "pip").exists()
    assert os.access(python, os.X_OK)


def test_the_function_returns_what_does_not_hold(environments, bundle):
    found = package.runtime_matrix(bundle, [RELEASES[0]], variants=["dynamic"])
    assert not found.passed
    assert found.runs[0].difference > found.runs[0].tolerance
    with pytest.raises(UsageError, match="no runtime is named"):
        package.runtime_matrix(bundle, [])


def test_no_name_of_a_variant_leads_out_of_the_scratch_directory(monkeypatch, tmp_path):
    """A bundle that nobody signed may name a variant anything."""

    class Refusing:
        def run(self, job, directory, environment):
            (directory / "job.json").write_text(job.model_dump_json())
            return running.failed("it refuses")

    monkeypatch.setattr(releases.runtime, "prepared", lambda *_: Refusing())
    names = ("int8", "../../out", str(tmp_path / "absolute"))
    recording = releases.Recording(
        root=tmp_path / "root",
        count=1,
        files={name: releases.File(tmp_path / "model.tflite", ()) for name in names},
        entries=tuple(
            VariantVectors(variant=name, signature="", inputs=(), outputs=(), configurations=())
            for name in names
        ),
        scratch=tmp_path / "root/answers",
    )
    wanted = tuple(map(requirement.parse, RELEASES[:2]))
    found = releases.run(recording, wanted, Environments(tmp_path), releases.Manner(jobs=2))
    assert [(one.variant, one.runtime) for one in found] == [
        (name, release) for release in RELEASES[:2] for name in names
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"root"}
    assert len(list((tmp_path / "root/answers").glob("*/job.json"))) == len(found)


OWN = """\
extends = "linux"
name = "board"
runtimes = ["tflite-runtime==2.14.0", "ai-edge-litert==1.0.1"]
"""


def _build_for(edgepack, tmp_path, *variants):
    (tmp_path / "board.toml").write_text(OWN)
    chosen = [word for name in variants for word in ("--variant", name)]
    target = ("--target", tmp_path / "board.toml", "--target", "linux")
    done = edgepack(
        "build", "--demo", "--output", tmp_path / "dist", "--vectors", "0", *target, *chosen
    )
    report = json.loads((tmp_path / "dist/report.json").read_bytes())
    return done, report, {one["name"]: one for one in report["targets"]}


def test_a_target_gets_nothing_that_its_runtimes_answer_otherwise(edgepack, environments, tmp_path):
    done, report, targets = _build_for(edgepack, tmp_path, "float32", "dynamic", "int8")
    assert done.returncode == 0, done.stderr
    assert targets["board"]["variants"] == ["int8", "float32"]
    assert targets["board"]["proven_on"] == ["tflite-runtime==2.14.0", "ai-edge-litert==1.0.1"]
    reasons = {one["variant"]: one["reason"] for one in targets["board"]["passed_over"]}
    assert reasons["dynamic"].startswith("on tflite-runtime==2.14.0 'scores' is off by 0.")
    assert targets["linux"]["variants"] == ["int8", "dynamic", "float32"]
    assert targets["linux"]["proven_on"] == []
    runs = {one["variant"]: one["runs"] for one in report["evidence"]["variants"]}
    assert {name: len(of) for name, of in runs.items()} == {"float32": 2, "dynamic": 2, "int8": 2}
    bundle = tmp_path / "dist/digits-1.0.0.zip"
    assert json.loads(edgepack("inspect", bundle, "--json").stdout)["attachments"] == []


def test_a_target_whose_runtimes_take_nothing_ends_the_build_with_6(
    edgepack, environments, tmp_path
):
    done, report, targets = _build_for(edgepack, tmp_path, "dynamic")
    assert done.returncode == 6
    assert targets["board"]["variants"] == []
    assert "FAIL  target:board" in done.stdout
    said = " ".join(done.stdout.split())
    assert "dynamic: on tflite-runtime==2.14.0 'scores' is off by 0." in said
    assert report["bundle"] is None
