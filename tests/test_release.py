"""From a build to a device team, through the installed command: key, build, sign, verify, diff."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def home(edgepack, tmp_path_factory):
    """A project of its own, a pair of keys and a first signed release in `one`."""
    home = tmp_path_factory.mktemp("release")
    shutil.copytree(ROOT / "calibration", home / "calibration")
    assert edgepack("keygen", "--output", home / "release.key").returncode == 0
    done = build(edgepack, home, "one", "--sequence", "41", "--sign", home / "release.key")
    assert (done.returncode, done.stderr.count("warning")) == (0, 0), done.stderr
    return home


def build(edgepack, home, name, *arguments):
    config = home / "calibration/digits/edgepack.toml"
    few = ["--variant", "float32", "--variant", "int8", "--model-version", "1.2.3"]
    return edgepack("build", config, "--output", home / name, *few, *arguments)


def bundle(home, name):
    return home / name / "digits-1.2.3.zip"


def manifest(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("manifest.json"))


def test_a_signed_release_is_taken_and_its_report_names_it(edgepack, home):
    key = home / "release.key.pub"
    lock = home / "edgepack.lock"
    done = edgepack("verify", bundle(home, "one"), "--key", key, "--lock", lock, "--update-lock")
    assert done.returncode == 0, done.stderr
    assert "signed by " in done.stdout
    assert "sequence 41" in done.stdout
    found = edgepack("verify", bundle(home, "one"), "--key", key, "--json")
    told = json.loads(found.stdout)
    report = json.loads((home / "one/report.json").read_bytes())["bundle"]
    assert report["sha256"] == told["sha256"]
    assert report["contents_sha256"] == told["contents_sha256"]


def test_signing_later_gives_the_bytes_of_signing_at_once(edgepack, home):
    done = build(edgepack, home, "two", "--sequence", "41")
    assert done.returncode == 0, done.stderr
    unsigned = edgepack("verify", bundle(home, "two"), "--key", home / "release.key.pub")
    assert unsigned.returncode == 4
    assert "not signed: a key was given, and the bundle holds no signature" in unsigned.stderr
    assert "edgepack explain untrusted" in unsigned.stderr
    done = edgepack("sign", bundle(home, "two"), "--key", home / "release.key")
    assert done.returncode == 0, done.stderr
    assert bundle(home, "two").read_bytes() == bundle(home, "one").read_bytes()


def test_the_next_release_counts_on_from_the_last(edgepack, home):
    last = bundle(home, "one")
    arguments = ["--baseline", last, "--sequence", "baseline", "--expires", "2020-01-01"]
    done = build(edgepack, home, "next", *arguments, "--license", "MIT")
    assert done.returncode == 0, done.stderr
    found = manifest(bundle(home, "next"))
    assert (found["sequence"], found["sequence_source"]) == (42, "baseline")
    assert (found["expires"], found["license"]) == ("2020-01-01T00:00:00Z", "MIT")
    expired = edgepack("verify", bundle(home, "next"))
    assert (expired.returncode, "expired on 2020-01-01" in expired.stderr) == (4, True)
    warned = build(edgepack, home, "same", "--baseline", last, "--sequence", "41")
    assert warned.returncode == 0
    assert "warning: release: sequence 41, and the last release has 41" in warned.stderr


def test_there_is_nothing_to_count_on_from(edgepack, home):
    done = build(edgepack, home, "none", "--sequence", "baseline")
    assert done.returncode == 2
    assert "there is no last release with a sequence" in done.stderr


def test_vectors_go_along_and_replay(edgepack, home):
    found = manifest(bundle(home, "one"))
    assert "vectors/index.json" in found["attachments"]
    done = edgepack("selftest", bundle(home, "one"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_provenance_and_bill_of_materials_are_attached(edgepack, home):
    done = build(edgepack, home, "documents", "--provenance", "--sbom")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(bundle(home, "documents")) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    found = json.loads(members["manifest.json"])["attachments"]
    assert {"provenance.intoto.json", "sbom.cdx.json"} <= set(found)
    for subject in json.loads(members["provenance.intoto.json"])["subject"]:
        found = hashlib.sha256(members.pop(subject["name"])).hexdigest()
        assert found == subject["digest"]["sha256"], subject["name"]
    assert not [name for name in members if name.endswith(".tflite")]
    assert edgepack("verify", bundle(home, "documents")).returncode == 0


@pytest.fixture(scope="module")
def described(edgepack, home):
    """A signed release whose files have metadata and labels."""
    told = ["--embed-metadata", "--description", "Digits, 8 x 8", "--author", "Ours"]
    done = build(edgepack, home, "described", *told, "--sign", home / "release.key")
    assert (done.returncode, done.stderr.count("warning")) == (0, 0), done.stderr
    return bundle(home, "described")


def test_metadata_go_into_the_files_and_are_inspected(edgepack, home, described):
    with zipfile.ZipFile(described) as archive:
        model = Path(archive.extract("models/int8.tflite", home / "extracted"))
    found = json.loads(edgepack("inspect", model, "--json").stdout)["metadata"]
    assert (found["description"], found["author"]) == ("Digits, 8 x 8", "Ours")
    assert found["outputs"][0]["labels"] == [str(digit) for digit in range(10)]
    assert zipfile.ZipFile(model).read("labels.txt").decode().split() == list("0123456789")
    shown = edgepack("inspect", model).stdout
    assert "Digits, 8 x 8" in shown
    assert "labels: 0, 1, 2, 3, 4, 5, 6, 7 and 2 more" in shown


def test_metadata_change_digests_and_nothing_that_is_measured(home, described):
    before, after = manifest(bundle(home, "one")), manifest(described)
    for plain, told in zip(before["models"], after["models"], strict=True):
        assert plain["digest"] != told["digest"]
        assert plain["accuracy"] == told["accuracy"]
        assert plain["signatures"] == told["signatures"]


def test_every_verifier_takes_files_with_archives_behind_them(edgepack, home, described):
    key = home / "release.key.pub"
    assert edgepack("verify", described, "--key", key).returncode == 0
    script = ROOT / "edgepack" / "consumers" / "edgepack-verify.sh"
    commands = {"openssl": ["sh", script, described, "--key", key]}
    verifier = ROOT / "edgepack" / "consumers" / "EdgepackVerifier.java"
    commands["java"] = ["java", verifier, described, "--key", key]
    for tool, command in commands.items():
        if shutil.which(tool):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, (tool, done.stdout + done.stderr)


def test_two_releases_are_compared(edgepack, home):
    same = edgepack("diff", bundle(home, "one"), bundle(home, "one"), "--fail-on", "any")
    assert (same.returncode, "no differences" in same.stdout.lower()) == (0, True)
