"""Signed bundles are written whole or not at all, and the same wherever that is done."""

from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bundle_samples import EPOCH, manifest_of, write_models
from interrupted import MODELS

from edgepack import api
from edgepack.bundle.contents import write_bundle
from edgepack.files import sha256_file

HERE = Path(__file__).parent
ROOT = HERE.parent
KILLS = 50


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A bundle of some 150 KiB that one key signed, and a second key."""
    home = tmp_path_factory.mktemp("interrupted")
    for name in ("first", "second"):
        api.keygen(home / f"{name}.key")
    paths = write_models(MODELS, home)
    write_bundle(manifest_of(MODELS), paths, home / "pets.zip", epoch=EPOCH)
    api.sign(home / "pets.zip", [str(home / "first.key")])
    return home


def started(bundle: Path, key: Path, action: str, **options) -> subprocess.Popen[str]:
    """A process that has loaded all it needs, and signs once it is told to."""
    process = subprocess.Popen(
        [sys.executable, HERE / "interrupted.py", bundle, key, action],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def told(process: subprocess.Popen[str]) -> str:
    return process.communicate("go\n", timeout=60)[0]


def finished(process: subprocess.Popen[str]) -> str:
    """What it says at the end of what it is now told to do."""
    return process.communicate("go\n", timeout=60)[1]


@pytest.mark.slow
@pytest.mark.parametrize("action", ["sign", "write"])
def test_killed_at_any_time_it_leaves_the_bundle_before_or_the_one_after(home, tmp_path, action):
    bundle = Path(shutil.copy(home / "pets.zip", tmp_path))
    public = [home / "first.key.pub", home / "second.key.pub"]
    before, start = bundle.read_bytes(), time.monotonic()
    process = started(bundle, home / "second.key", action)
    start = time.monotonic()
    assert finished(process) == ""
    seconds, after = time.monotonic() - start, bundle.read_bytes()
    assert after != before
    drawn, stray = random.Random(action), 0
    for number in range(KILLS // 2):
        bundle.write_bytes(before)
        process = started(bundle, home / "second.key", action)
        process.stdin.write("go\n")
        process.stdin.flush()
        while number % 2 and process.poll() is None and not list(tmp_path.glob(".*.tmp")):
            pass  # every second kill falls into the writing itself
        time.sleep(drawn.uniform(0, 0.0005 if number % 2 else seconds))
        process.kill()
        process.communicate()
        assert bundle.read_bytes() in {before, after}
        assert api.verify(bundle, keys=public)
        stray += len(list(tmp_path.glob(".*.tmp")))
    assert stray  # or no kill fell into the writing
    assert finished(started(bundle, home / "second.key", action)) == ""
    assert bundle.read_bytes() == after
    assert [path.name for path in tmp_path.iterdir()] == ["pets.zip"]


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))


@pytest.mark.parametrize("action", ["sign", "write"])
def test_where_no_space_is_left_the_bundle_before_stays(home, tmp_path, action):
    bundle = Path(shutil.copy(home / "pets.zip", tmp_path))
    process = started(bundle, home / "second.key", action, preexec_fn=limited)
    assert "cannot be written: File too large" in finished(process)
    assert bundle.read_bytes() == (home / "pets.zip").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["pets.zip"]


# Two machines' worth of differences.


def differing(home: Path, directory: Path, number: int) -> list[str]:
    """Digests of a bundle that is written and signed, and one that is signed by command."""
    directory.mkdir()
    inputs = directory / "inputs"
    inputs.mkdir()
    files = ["first.key", "float32.in", "int8.in"]
    for name in files[:: 1 if number else -1]:  # other inodes, in another order
        shutil.copy(home / name, inputs)
        os.utime(inputs / name, (number * 1e9, number * 1e9))
    shutil.copy(home / "pets.zip", directory)
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": str(number),
        "HOME": str(directory if number else "/"),
        "USER": ("ann", "bob")[number],
        "LC_ALL": ("C", "tr_TR.UTF-8")[number],
        "LANG": ("C", "tr_TR.UTF-8")[number],
        "TZ": ("UTC", "Pacific/Kiritimati")[number],
    }
    written = directory / "written.zip"
    code = [sys.executable, HERE / "interrupted.py", written, inputs / "first.key", "write"]
    keys = [f"--key={path}" for path in (home / "second.key", inputs / "first.key")]
    command = [sys.executable, "-m", "edgepack", "sign", "pets.zip", *keys[:: 1 if number else -1]]
    for arguments in (code, command):
        subprocess.run(
            arguments,
            cwd=directory,
            env=env,
            umask=(0o022, 0o077)[number],
            input="go\n",
            capture_output=True,
            text=True,
            check=True,
        )
    return [sha256_file(written), sha256_file(directory / "pets.zip")]


def test_another_machine_makes_the_same_signed_bytes(home, tmp_path):
    one, other = (differing(home, tmp_path / name, n) for n, name in enumerate(("a", "b c")))
    assert one == other
