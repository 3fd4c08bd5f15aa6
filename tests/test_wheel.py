"""The wheel, installed alone and outside any checkout: what a user has."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[1]
OFFLINE = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|Could not fetch URL|ProxyError"
)
pytestmark = pytest.mark.slow


def python(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=check)


def installed(venv: Path, cwd: Path, env: dict[str, str]) -> Run:
    """Runs the command of one environment, away from the checkout."""

    def run(*arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [venv / "bin" / "edgepack", *arguments],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    python("build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    return next(out.glob("edgepack-*-py3-none-any.whl"))


@pytest.fixture(scope="module")
def base_venv(wheel, tmp_path_factory) -> Path:
    """edgepack as `pip install edgepack` leaves it, at the versions of the lock."""
    root = tmp_path_factory.mktemp("base")
    pins = re.findall(r"^([a-z0-9-]+==[^ \n]+(?: ; [^\\\n]+)?)", lock(), re.MULTILINE)
    (root / "pins.txt").write_text("\n".join(pins))
    python("venv", "--without-pip", root / "venv")
    pip = ("pip", "--python", root / "venv" / "bin" / "python", "install", "--quiet")
    done = python(*pip, "--constraint", root / "pins.txt", wheel, check=False)
    if OFFLINE.search(done.stderr):
        pytest.skip("no package index can be reached to install the base dependencies from")
    assert done.returncode == 0, done.stderr
    return root / "venv"


@pytest.fixture(scope="module")
def base(base_venv, plain_env) -> Run:
    return installed(base_venv, base_venv.parent, plain_env)


@pytest.fixture(scope="module")
def full(wheel, tmp_path_factory, plain_env) -> Run:
    """edgepack[build]: the wheel, beside the libraries of the environment that runs the tests."""
    root = tmp_path_factory.mktemp("full")
    python("venv", "--without-pip", root / "venv")
    pip = ("pip", "--python", root / "venv" / "bin" / "python", "install", "--quiet", "--no-deps")
    python(*pip, wheel)
    site = next((root / "venv" / "lib").glob("python3.*")) / "site-packages"
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return installed(root / "venv", root, plain_env)


@pytest.fixture(scope="module")
def bundle(full, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bundle")
    done = full("build", "--demo", "--output", out)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("digits-*.zip"))


def lock() -> str:
    return (ROOT / "requirements-dev.lock").read_text()


def test_wheel_holds_code_targets_and_example_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    data = [name for name in names if name.startswith("edgepack/_data/")]
    assert sum(name.endswith(".png") for name in data) == 1797
    assert "edgepack/_data/calibration/digits/saved_model/saved_model.pb" in data
    assert {"edgepack/_data/targets/android.toml", "edgepack/_data/targets/ios.toml"} <= set(data)
    pages = {f"edgepack/_data/errors/{page.name}" for page in (ROOT / "docs/errors").glob("*.md")}
    assert {name for name in data if name.startswith("edgepack/_data/errors/")} == pages
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edgepack"}
    assert not [name for name in names if "__pycache__" in name]


def test_wheel_is_the_same_when_built_again(wheel, tmp_path):
    python("build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_base_install_is_small(base_venv):
    site = next(base_venv.glob("lib/python3.*/site-packages"))
    assert not {"numpy", "tensorflow", "PIL", "sklearn"} & {entry.name for entry in site.iterdir()}
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < 50_000_000


def test_base_install_lists_the_built_in_targets(base):
    done = base("targets")
    assert done.returncode == 0, done.stderr
    assert "android" in done.stdout
    assert "ios" in done.stdout


def test_base_install_explains_an_error(base):
    done = base("explain", "unsafe-model")
    assert done.returncode == 0, done.stderr
    assert "allow_unsafe_ops" in done.stdout


def test_base_install_names_the_extra_that_building_needs(base, tmp_path):
    done = base("build", "--demo", "--output", tmp_path)
    assert done.returncode == 2
    assert "edgepack[build]" in done.stderr


@pytest.mark.parametrize("platform", ["android", "ios", "java"])
def test_base_install_exports_the_verifiers(base, tmp_path, platform):
    done = base("export", platform, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    consumers = ROOT / "edgepack" / "consumers"
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (consumers / file.name).read_bytes()
    assert [*tmp_path.iterdir()]


def test_base_install_holds_a_bundle_against_targets(base, bundle):
    done = base("targets", "check", bundle, "--target", "android", "--target", "microcontroller")
    assert done.returncode == 0, done.stderr
    assert "microcontroller" in done.stdout


def test_base_install_says_what_runs_on_other_runtimes_need(base, bundle):
    done = base("runtimes", bundle, "--runtime", "tflite-runtime==2.14.0")
    assert (done.returncode, "error[missing-extra]" in done.stderr) == (2, True), done.stderr


def test_base_install_exports_a_c_array(base, bundle, tmp_path):
    asked = ("export", "microcontroller", "--bundle", bundle, "--variant", "int8")
    done = base(*asked, "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"digits_model.c", "digits_model.h"}


def test_base_install_tells_that_a_bundle_does_not_differ_from_itself(base, bundle):
    done = base("diff", bundle, bundle, "--fail-on", "any")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no differences" in done.stdout


def test_base_install_inspects_a_saved_model(base):
    done = base("inspect", ROOT / "calibration" / "digits" / "saved_model")
    assert done.returncode == 0, done.stderr
    assert "serving_default" in done.stdout


def test_base_install_verifies_and_inspects_what_the_full_one_built(base, bundle):
    verified = base("verify", bundle)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    inspected = base("inspect", bundle)
    assert inspected.returncode == 0, inspected.stderr
    assert "int8" in inspected.stdout


def test_base_install_refuses_a_changed_bundle(base, bundle, tmp_path):
    changed = bytearray(bundle.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / bundle.name).write_bytes(changed)
    assert base("verify", tmp_path / bundle.name).returncode == 4
