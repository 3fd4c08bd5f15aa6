"""The Gradle tasks, with Debian's Gradle, against good and tampered bundles."""

from __future__ import annotations

import shutil
import stat
import subprocess
from typing import TYPE_CHECKING

import forged_bundles as forge
import pytest
import tampered_bundles as tampered

from edgepack import api
from edgepack.bundle import keys, lock

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("gradle"), reason="Gradle is not installed"),
]
SCRIPT = """
apply from: 'edgepack/edgepack.gradle'
edgepack {
    bundle = file('models/pets.zip')
    keys = [file('release.key.pub')]
    lock = file('edgepack.lock')
    target = 'android'
}
"""


class Project:
    """An app's module that applies the script plugin."""

    def __init__(self, directory: Path, home: Path) -> None:
        self.directory, self.home = directory, home
        directory.mkdir()
        (directory / "models").mkdir()
        (directory / "settings.gradle").touch()
        (directory / "build.gradle").write_text(SCRIPT)
        api.export("android", directory / "edgepack")
        api.keygen(directory / "release.key")
        self.signer = keys.signer(str(directory / "release.key"), None, lambda _: None)
        self.bundle = directory / "models" / "pets.zip"
        self.release(sequence=7)
        api.verify(self.bundle, lock=directory / "edgepack.lock", update_lock=True)

    def release(self, **changes) -> None:
        told = forge.manifest(**changes)
        self.bundle.write_bytes(forge.written(self.directory / "models", told, [self.signer]))

    def gradle(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        flags = ["--offline", "--console=plain", "--build-cache", "-g", self.home]
        return subprocess.run(
            ["gradle", *flags, *arguments],
            check=False, cwd=self.directory, text=True, timeout=300, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def made(self) -> dict[str, bytes]:
        folder = self.directory / "build" / "generated" / "edgepack" / "models"
        return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """One project for all tests, since starting Gradle takes seconds."""
    found = Project(tmp_path_factory.mktemp("gradle") / "the app", tmp_path_factory.mktemp("home"))
    yield found
    subprocess.run(["gradle", "-g", found.home, "--stop"], check=False, capture_output=True)


def outcome(done: subprocess.CompletedProcess[str]) -> str:
    line = next(line for line in done.stdout.splitlines() if line.startswith(":edgepackModels"))
    return line.removeprefix(":edgepackModels").strip()


def test_the_task_extracts_is_up_to_date_and_comes_from_the_build_cache(project):
    done = project.gradle("edgepackModels")
    assert (done.returncode, outcome(done)) == (0, ""), done.stdout
    members = forge.members(project.bundle.read_bytes())
    assert project.made() == {
        "int8.tflite": members["models/int8.tflite"],
        "labels.txt": members["labels.txt"],
        "manifest.json": members["manifest.json"],
    }
    assert outcome(project.gradle("edgepackModels")) == "UP-TO-DATE"
    shutil.rmtree(project.directory / "build")
    assert outcome(project.gradle("edgepackModels")) == "FROM-CACHE"
    assert project.made().keys() == {"int8.tflite", "labels.txt", "manifest.json"}


@pytest.mark.parametrize(
    "name",
    ["unsigned", "extra", "missing", "changed", "renamed", "expired", "failed", "compressed",
     "a symbolic link", "a name twice", "bytes appended", "bytes prepended", "overlapping"],
)  # fmt: skip
def test_a_tampered_bundle_fails_the_build_with_the_verifiers_words(project, name):
    cases = tampered.CONTENTS | tampered.MANIFESTS | tampered.ARCHIVES
    make, says = cases[name]
    project.release(sequence=7)
    found = forge.members(project.bundle.read_bytes())

    def sign(members, name="pets"):
        return forge.signed(members, [project.signer], name)

    project.bundle.write_bytes(make(found, sign))
    done = project.gradle("edgepackModels")
    assert done.returncode != 0
    assert f"> pets.zip: {says}"[:60] in done.stdout or says in done.stdout
    assert "Caused by" not in done.stdout
    assert not (project.directory / "build/generated/edgepack/models").exists()


def test_an_older_release_fails_and_the_lock_task_takes_a_newer(project):
    path = project.directory / "edgepack.lock"
    project.release(sequence=6)
    done = project.gradle("edgepackModels")
    assert "pets.zip: sequence 6 is lower than 7 in edgepack.lock: an older" in done.stdout
    project.release(sequence=9, version="1.3.0")
    before = path.read_bytes()
    path.chmod(stat.S_IRUSR)
    assert project.gradle("edgepackModels").returncode == 0
    assert path.read_bytes() == before
    done = project.gradle("edgepackUpdateLock")
    assert (done.returncode, lock.read(path)["pets"].sequence) == (0, 9), done.stdout


def test_another_key_and_a_missing_bundle_are_told(project, tmp_path):
    project.release(sequence=9, version="1.3.0")
    public = project.directory / "release.key.pub"
    kept = public.read_bytes()
    api.keygen(tmp_path / "other.key")
    public.write_bytes((tmp_path / "other.key.pub").read_bytes())
    done = project.gradle("edgepackModels")
    assert "pets.zip: not signed by the given key: its signatures are by " in done.stdout
    public.write_bytes(kept)
    project.bundle.unlink()
    done = project.gradle("edgepackModels")
    assert done.returncode != 0
    assert project.bundle.name in done.stdout


def test_values_may_stand_in_a_file_for_kotlin_builds(project):
    project.release(sequence=9, version="1.3.0")
    (project.directory / "build.gradle").write_text("apply from: 'edgepack/edgepack.gradle'\n")
    (project.directory / "edgepack" / "edgepack.properties").write_text(
        "bundle = models/pets.zip\nkeys = release.key.pub\nvariants = int8\ninto = net\n"
    )
    done = project.gradle("edgepackModels")
    assert done.returncode == 0, done.stdout
    folder = project.directory / "build" / "generated" / "edgepack" / "net"
    assert "int8.tflite" in {path.name for path in folder.iterdir()}
