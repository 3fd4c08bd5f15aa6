"""The command line: what it prints where, and with which code it exits."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import typer.main
from bundle_samples import EPOCH, manifest_of, tiny_model, write_models
from typer.testing import CliRunner

from edgepack import api
from edgepack.bundle.contents import write_bundle
from edgepack.bundle.verify import read_manifest
from edgepack.cli.app import app
from edgepack.compat import proof
from edgepack.config import settings
from edgepack.errors import (
    ConfigError,
    DatasetError,
    GateError,
    IncompatibleError,
    MissingExtraError,
    ModelError,
    OutputError,
    UsageError,
    VerificationError,
    WorkerError,
)
from edgepack.records.events import Event
from edgepack.records.evidence import Evidence, SourceEvidence
from edgepack.records.facts import SavedModelFacts
from edgepack.records.manifest import Manifest
from edgepack.records.report import BuildResult, BundleRef, Report
from edgepack.records.target import Target
from edgepack.records.verdict import Check, Verdict
from edgepack.records.verification import Verification
from edgepack.schemas import names as schema_names

ROOT = Path(__file__).resolve().parents[1]
GOLDEN_BUNDLE = ROOT / "tests/golden/bundle-1.zip"
DIGITS = ROOT / "calibration/digits"
MODEL = DIGITS / "saved_model"
DOCUMENTATION = (ROOT / "docs/commands.md").read_text()


# What the commands print


def test_version_is_that_of_the_package(edgepack):
    done = edgepack("--version")
    assert re.fullmatch(r"edgepack \d+\.\d+\.\d+\n", done.stdout)
    assert done.returncode == 0


def test_no_command_prints_the_help(edgepack):
    assert "Commands:" in edgepack().stdout + edgepack().stderr
    assert edgepack("-h").stdout == edgepack("--help").stdout


def test_verify_says_what_holds(edgepack):
    done = edgepack("verify", GOLDEN_BUNDLE)
    assert done.returncode == 0
    assert "holds: pets 1.2.3 (float32, int8)" in done.stdout
    assert done.stderr == ""
    found = Verification.model_validate_json(edgepack("verify", GOLDEN_BUNDLE, "--json").stdout)
    assert found.sha256 in done.stdout


def test_verify_refuses_a_changed_bundle(edgepack, tmp_path):
    content = bytearray(GOLDEN_BUNDLE.read_bytes())
    content[-1] ^= 1
    (tmp_path / "a.zip").write_bytes(content)
    done = edgepack("verify", tmp_path / "a.zip")
    assert (done.returncode, done.stdout) == (4, "")
    assert f"error[verification]: {tmp_path}/a.zip: not a whole bundle" in done.stderr
    assert "Traceback" not in done.stderr


def test_inspect_shows_a_saved_model(edgepack):
    done = edgepack("inspect", MODEL)
    assert done.returncode == 0
    for text in ("serving_default", "image", "[?, 8, 8, 1]", "2.21.0", "Relu"):
        assert text in done.stdout
    found = SavedModelFacts.model_validate_json(edgepack("inspect", MODEL, "--json").stdout)
    assert found.digest in done.stdout


def test_inspect_shows_a_bundle(edgepack):
    done = edgepack("inspect", GOLDEN_BUNDLE)
    assert done.returncode == 0
    for text in ("pets 1.2.3", "int8", "Äffchen", "0.9133"):
        assert text in done.stdout
    Manifest.model_validate_json(edgepack("inspect", GOLDEN_BUNDLE, "--json").stdout)


def test_inspect_tells_of_a_bundle_as_a_release(edgepack, tmp_path):
    models = {"float32": tiny_model()}
    told = {"sequence": 42, "sequence_source": "commits", "expires": "2030-01-01T00:00:00Z"}
    manifest = manifest_of(models).model_copy(update={**told, "license": "MIT"})
    attached = {"vectors/index.json": b"{}", "sbom.cdx.json": b"{}"}
    paths = write_models(models, tmp_path)
    write_bundle(manifest, paths, tmp_path / "a.zip", epoch=EPOCH, attachments=attached)
    done = edgepack("inspect", tmp_path / "a.zip")
    for text in ("42 (commits)", "2030-01-01T00:00:00Z", "MIT", "golden vectors (1 files), sbom"):
        assert text in done.stdout


def test_inspect_shows_a_tflite_file(edgepack, tmp_path):
    model = tmp_path / "tiny.tflite"
    model.write_bytes(GOLDEN_BUNDLE.read_bytes()[0x4000:][:540])
    done = edgepack("inspect", model)
    assert done.returncode == 0, done.stderr
    for text in ("float32", "RELU", "image", "scores"):
        assert text in done.stdout
    assert json.loads(edgepack("inspect", model, "--json").stdout)["kind"] == "tflite"


def test_targets_are_listed_and_shown(edgepack):
    done = edgepack("targets")
    assert all(name in done.stdout for name in ("android", "ios", "linux", "microcontroller"))
    shares = [f"{one.package} {one.run} of {one.rows}" for one in proof.shares()]
    assert all(said in " ".join(done.stdout.split()) for said in shares)
    listed = json.loads(edgepack("targets", "--json").stdout)
    profiles = {found.name: found for found in map(Target.model_validate, listed)}
    assert list(profiles) == sorted(profiles)
    shown = edgepack("targets", "show", "ios")
    assert "float16, int8, mixed, dynamic, weight-only, float32 (best first)" in shown.stdout
    assert "tensorflow/lite/swift" in shown.stdout
    found = json.loads(edgepack("targets", "show", "ios", "--json").stdout)
    assert Target.model_validate(found) == profiles["ios"]


@pytest.mark.parametrize("name", schema_names())
def test_schema_prints_json(edgepack, name):
    assert json.loads(edgepack("schema", name).stdout)["$id"].startswith("urn:edgepack:")


def test_init_writes_what_build_reads(edgepack, tmp_path):
    done = edgepack("init", MODEL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Next  edgepack build edgepack.toml" in done.stdout
    assert settings.load(tmp_path / "edgepack.toml").model.name == "digits"
    assert edgepack("init", MODEL, cwd=tmp_path).returncode == 2
    done = edgepack("init", MODEL, "--force", "--json", cwd=tmp_path)
    assert json.loads(done.stdout) == {
        "config": "edgepack.toml",
        "dataset": "dataset.toml",
        "dataset_is_new": False,
    }


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("biuld",), "Did you mean 'build'?"),
        (("verify",), "Missing argument"),
        (("verify", "a", "b"), "unexpected extra argument"),
        (("build", "--baselin", "a"), "--baseline"),
        (("build", "--threads", "many"), "--threads"),
        (("build", "--varaint", "int8"), "--variant"),
        (("build", "nowhere.toml"), "nowhere.toml: there is no such file"),
        (("build",), "edgepack init SAVED_MODEL"),
        (("build", MODEL), f"edgepack init {MODEL}"),
        (("build", DIGITS, "--demo"), "--demo is about the embedded project"),
        (("build", "--demo", "--variant", "flot16"), 'did you mean "float16"?'),
        (("build", "--demo", "--budget", "int8.max_siz=1"), "--budget int8.max_siz=1: "),
        (("build", "--model", "m", "--name", "n"), "--dataset: is needed"),
        (("inspect", "nowhere"), "nowhere"),
        (("inspect", ROOT / "README.md"), "neither a SavedModel directory, nor"),
        (("verify", "nowhere.zip"), "nowhere.zip"),
        (("init", "nowhere"), "nowhere"),
        (("init", ROOT / "README.md"), "is a file, not a SavedModel directory"),
        (("targets", "show", "andriod"), 'did you mean "android"?'),
        (("targets", "shwo"), "Did you mean 'show'?"),
        (("schema", "manifets"), 'did you mean "manifest"?'),
        ((b"inspect", b"\xff"), "is not UTF-8 text"),
    ],
)
def test_each_mistake_is_one_message_with_exit_code_2(edgepack, tmp_path, arguments, says):
    done = edgepack(*map(_argument, arguments), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def _argument(value):
    return os.fsdecode(value) if isinstance(value, bytes) else value


def test_with_json_an_error_is_one_line_of_json(edgepack):
    done = edgepack("targets", "show", "andriod", "--json")
    error = json.loads(done.stderr)["error"]
    assert (error["type"], error["code"]) == ("ConfigError", "config")
    assert error["exit_code"] == done.returncode == 2
    assert {"message", "where", "hint"} <= error.keys()
    assert done.stdout == ""


# A build, its stages replaced


def result(*checks: Check, strict: bool = False, bundle: bool = True) -> BuildResult:
    manifest = read_manifest(GOLDEN_BUNDLE)
    refused = {"fail", "inconclusive"} if strict else {"fail"}
    passed = not any(check.outcome in refused for check in checks)
    report = Report(
        name="pets",
        version="1.2.3",
        bundle=BundleRef(path="pets-1.2.3.zip", sha256="ab" * 32, size_bytes=1) if bundle else None,
        source=manifest.source,
        dataset=manifest.dataset,
        lints=(),
        evidence=Evidence(source=SourceEvidence(accuracy=manifest.source.accuracy), variants=()),
        targets=manifest.targets,
        verdict=Verdict(passed=passed, strict=strict, checks=checks),
        tools=manifest.tools,
    )
    return BuildResult(
        passed=passed,
        bundle="dist/pets-1.2.3.zip" if bundle else None,
        report=report,
        report_json="dist/report.json",
        report_markdown="dist/report.md",
    )


def check(subject: str, outcome: str) -> Check:
    return Check(subject=subject, name="max_size_bytes", value=2, budget=1, outcome=outcome)


PASSED = result(check("int8", "pass"))


@pytest.fixture
def built(monkeypatch):
    """Runs `edgepack build --demo` where a build does as told."""

    def run(does, *arguments: str):
        monkeypatch.setattr(api, "build", does)
        return CliRunner().invoke(app, ["build", "--demo", *arguments], prog_name="edgepack")

    return run


def raising(error: BaseException):
    def does(*_: object, **__: object):
        raise error

    return does


@pytest.mark.parametrize(
    ("checks", "strict", "code"),
    [
        ([check("int8", "pass"), check("target:ios", "pass")], False, 0),
        ([check("int8", "fail")], False, 3),
        ([check("int8", "fail"), check("target:ios", "fail")], False, 3),
        ([check("target:ios", "fail"), check("int8", "pass")], False, 6),
        ([check("target:ios", "fail"), check("int8", "inconclusive")], False, 6),
        ([check("target:ios", "fail"), check("int8", "inconclusive")], True, 3),
        ([check("int8", "inconclusive")], False, 0),
        ([check("int8", "inconclusive")], True, 3),
    ],
)
def test_the_verdict_decides_the_exit_code(built, checks, strict, code):
    found = result(*checks, strict=strict)
    done = built(lambda *_, **__: found)
    assert done.exit_code == code
    assert "pets 1.2.3" in done.stdout
    done = built(lambda *_, **__: found, "--json")
    assert done.exit_code == code
    assert BuildResult.model_validate_json(done.stdout) == found


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (ConfigError, 2),
        (DatasetError, 2),
        (MissingExtraError, 2),
        (OutputError, 2),
        (GateError, 3),
        (VerificationError, 4),
        (ModelError, 5),
        (WorkerError, 5),
        (IncompatibleError, 6),
    ],
)
def test_each_error_has_its_exit_code(built, kind, code):
    done = built(raising(kind("it broke", where="here", hint="Mend it.")))
    assert done.exit_code == code
    more = f"edgepack explain {kind.code} tells more."
    assert done.stderr == f"error[{kind.code}]: here: it broke\n  Mend it.\n  {more}\n"
    assert done.stdout == ""


def test_a_bug_asks_to_be_reported_and_shows_its_traceback_only_when_verbose(built):
    done = built(raising(ZeroDivisionError("oops")))
    assert done.exit_code == 1
    assert "bug in edgepack: ZeroDivisionError: oops" in done.stderr
    assert "report it" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Traceback" in built(raising(ZeroDivisionError("oops")), "--verbose").stderr
    said = json.loads(built(raising(ZeroDivisionError("oops")), "--json").stderr)
    assert (said["error"]["type"], said["error"]["exit_code"]) == ("Bug", 1)
    assert said["error"]["code"] == "error"


def test_ctrl_c_is_one_line_and_130(built):
    done = built(raising(KeyboardInterrupt()))
    assert done.exit_code == 130
    assert done.stderr.count("\n") == 1


def emitting(*events: Event):
    def does(*_: object, on_event, **__: object):
        workers = [threading.Thread(target=on_event, args=(event,)) for event in events]
        for worker in workers:
            worker.start()
            worker.join()
        return PASSED

    return does


EVENTS = (
    Event(stage="convert", message="converting"),
    *(Event(stage="run", message="running", done=done, total=3) for done in range(4)),
    Event(stage="samples", message="few samples", level="warning"),
)


def test_progress_is_plain_lines_where_stderr_is_no_terminal(built):
    done = built(emitting(*EVENTS))
    assert done.stderr.splitlines() == [
        "convert: converting",
        "run: running",
        "run: running 3/3",
        "warning: samples: few samples",
    ]
    assert "converting" not in done.stdout


def test_quiet_leaves_warnings_and_results(built):
    done = built(emitting(*EVENTS), "--quiet")
    assert done.stderr == "warning: samples: few samples\n"
    assert "pets 1.2.3" in done.stdout


def test_every_option_reaches_the_build(built, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = {}

    def does(wanted, **options):
        seen.update(options, wanted=wanted)
        return PASSED

    options = "--strict --allow-failed --no-cache --verbose --baseline old.zip --cache-dir c"
    options += " --sign a.key --sign env:KEY --public-key a.pub"
    changes = "--name cats --model-version 9.9.9 --variant int8 --target linux --threads 3"
    assert built(does, *options.split(), *changes.split()).exit_code == 0
    wanted = seen.pop("wanted")
    assert seen.pop("on_event")
    assert seen.pop("passphrase")
    assert seen == {
        "keys": ["a.key", "env:KEY"],
        "public_key": Path("a.pub"),
        "strict": True,
        "allow_failed": True,
        "no_cache": True,
        "verbose": True,
        "baseline": Path("old.zip"),
        "cache": Path("c"),
    }
    assert wanted.model.name == "cats"
    assert wanted.model.version == "9.9.9"
    assert (wanted.variants, wanted.targets, wanted.latency.threads) == (("int8",), ("linux",), 3)
    assert wanted.output == str(tmp_path / "dist")


def test_a_config_file_is_found_in_the_working_directory(monkeypatch, tmp_path):
    shutil.copytree(ROOT / "calibration", tmp_path / "calibration")
    monkeypatch.chdir(tmp_path / "calibration/digits")
    found = []
    monkeypatch.setattr(api, "build", lambda wanted, **_: found.append(wanted) or PASSED)
    for arguments in ([], ["."], ["edgepack.toml"], [str(tmp_path / "calibration/digits")]):
        done = CliRunner().invoke(app, ["build", *arguments])
        assert done.exit_code == 0, done.stderr
    assert len({one.model_dump_json() for one in found}) == 1


def test_flags_alone_build_without_a_config_file(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    found = []
    monkeypatch.setattr(api, "build", lambda wanted, **_: found.append(wanted) or PASSED)
    flags = "--model m --name n --model-version 1.0.0 --dataset d.toml"
    assert CliRunner().invoke(app, ["build", *flags.split()]).exit_code == 0
    assert found[0].model.path == str(tmp_path / "m")


def test_what_building_needs_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(api.BUILD_PARTS, "no_such_library", "no-such-library")
    done = CliRunner().invoke(app, ["build", "--demo"])
    assert done.exit_code == 2
    assert "building needs no-such-library" in done.stderr
    assert 'pip install "edgepack[build]"' in done.stderr


# Streams and signals


def python(*arguments, env, **options):
    command = [sys.executable, "-m", "edgepack", *map(str, arguments)]
    return subprocess.Popen(
        command, env=env | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.parametrize("arguments", [("schema", "config"), ("targets",), ("init", MODEL)])
def test_a_reader_that_goes_away_is_no_error(plain_env, tmp_path, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with python(*arguments, env=plain_env, stdout=writer, cwd=tmp_path) as process:
        os.close(writer)
        _, errors = process.communicate(timeout=30)
    assert errors == ""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("arguments", [("schema", "config"), ("targets",), ("--help",)])
def test_a_full_disk_below_standard_output_is_told(plain_env, arguments):
    with (
        Path("/dev/full").open("w") as full,
        python(*arguments, env=plain_env, stdout=full) as process,
    ):
        _, errors = process.communicate(timeout=30)
    told, more = errors.splitlines()
    assert told == "error[output]: standard output cannot be written: No space left on device"
    assert more == "  edgepack explain output tells more."
    assert process.returncode == 2


def test_a_closed_standard_output_breaks_nothing(plain_env):
    command = f"exec {sys.executable} -m edgepack targets >&-"
    done = subprocess.run(
        ["sh", "-c", command],
        env=plain_env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "")],
)
def test_a_signal_ends_a_command_without_a_traceback(plain_env, tmp_path, number, code, says):
    os.mkfifo(tmp_path / "edgepack.toml")
    with python("build", tmp_path / "edgepack.toml", env=plain_env) as process:
        writer = os.open(tmp_path / "edgepack.toml", os.O_WRONLY)  # returns when the command reads
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        os.close(writer)
    assert process.returncode == code
    assert says in errors
    assert "Traceback" not in errors


def test_colour_is_for_terminals_that_want_it(plain_env):
    done = subprocess.run(
        [sys.executable, "-m", "edgepack", "targets"],
        env={key: value for key, value in plain_env.items() if key not in {"NO_COLOR", "TERM"}}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "\x1b[" not in done.stdout


# Imports


def loaded(code: str, env: dict[str, str]) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=env | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in done.stderr.split()}


def test_the_package_imports_nothing_before_it_is_used(plain_env):
    heavy = {"pydantic", "rich", "typer", "numpy", "tensorflow"}
    assert not loaded("import edgepack", plain_env) & heavy
    assert not loaded("import edgepack; edgepack.verify, edgepack.__version__", plain_env) & heavy


def test_the_help_imports_neither_pydantic_nor_rich(plain_env):
    code = "from edgepack.cli.app import app\napp(['--help'], standalone_mode=False)"
    assert not loaded(code, plain_env) & {"pydantic", "rich", "numpy", "tensorflow"}


# The documentation


def commands(command=None, name=""):
    command = command or typer.main.get_command(app)
    yield name, command
    for child, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{name} {child}".strip())


@pytest.mark.parametrize(("name", "command"), [*commands()], ids=lambda value: str(value)[:20])
def test_every_command_and_option_is_documented(name, command):
    assert f"`edgepack {name}".strip() in DOCUMENTATION
    options = {option for one in command.params for option in one.opts if option[:1] == "-"}
    assert not {option for option in options if f"`{option}" not in DOCUMENTATION}


def test_no_option_is_documented_that_there_is_not():
    options = [one for _, command in commands() for one in command.params]
    there = {opt for one in options for opt in (*one.opts, *one.secondary_opts)}
    named = set(re.findall(r"`(--[a-z-]+)", DOCUMENTATION))
    assert named <= there | {"--help"}
