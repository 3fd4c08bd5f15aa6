"""The Java verifier, with the JDK's own tools, against good and tampered bundles."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import bundle_samples
import forged_bundles as forge
import pytest
import tampered_bundles as tampered
from forged_bundles import Record
from tampered_bundles import own

from edgepack import api
from edgepack.bundle import keys, lock, parts
from edgepack.errors import VerificationError

TESTS = Path(__file__).parent
VERIFIER = TESTS.parent / "edgepack" / "consumers" / "EdgepackVerifier.java"
TAMPERED = tampered.CONTENTS | tampered.MANIFESTS | tampered.ARCHIVES

pytestmark = pytest.mark.skipif(
    not (shutil.which("java") and shutil.which("javac")), reason="no JDK is installed"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The compiled verifier and its harness, two keys and a small signed bundle."""
    home = tmp_path_factory.mktemp("the app's model (é)")
    sources = [VERIFIER, TESTS / "EdgepackHarness.java"]
    flags = ["--release", "11", "-Xlint:all,-serial", "-Werror"]
    subprocess.run(["javac", *flags, "-d", home / "classes", *sources], check=True)
    for name in ("ours", "theirs"):
        api.keygen(home / f"{name}.key")
    (home / "whole.zip").write_bytes(forge.written(home, forge.manifest(), [signer(home)]))
    return home


def signer(home, name="ours"):
    return keys.signer(str(home / f"{name}.key"), None, lambda _: None)


def java(home, *arguments):
    classes = ["-cp", str(home / "classes"), "-XX:TieredStopAtLevel=1"]
    return subprocess.run(
        ["java", *classes, *map(str, arguments)],
        check=False, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def verifier(home, *arguments, key="ours"):
    return java(home, "EdgepackVerifier", *arguments, "--key", home / f"{key}.key.pub")


@pytest.fixture(scope="module")
def cases(home):
    """Every tampered bundle, with the words that must refuse it."""
    found = forge.members((home / "whole.zip").read_bytes())
    ours = signer(home)

    def sign(members, name="pets"):
        return forge.signed(members, [ours], name)

    made = {name: (make(found, sign), says) for name, (make, says) in TAMPERED.items()}
    for name, (make, says) in tampered.SIGNATURES.items():
        made[f"signature: {name}"] = (forge.zipped(make(found, ours)), says)
    for number, (name, says) in enumerate(tampered.NAMES.items()):
        record = Record(name, b"x")
        listed = sorted([*forge.records(found), record], key=lambda one: one.name)
        made[f"name {number}"] = (forge.forged(listed), says)
    return made


@pytest.fixture(scope="module")
def said(home, cases, tmp_path_factory):
    """What the verifier says of each, in one run."""
    directory = tmp_path_factory.mktemp("cases")
    for number, (data, _) in enumerate(cases.values()):
        (directory / f"{number}.zip").write_bytes(data)
    done = java(home, "EdgepackHarness", "cases", home / "ours.key.pub", directory)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("\t", 1) for line in done.stdout.splitlines())
    return {name: lines[f"{number}.zip"] for number, name in enumerate(cases)}


# The Java verifier bounds members, and not texts within them.
OTHERWISE = {"a text without end": "manifest.json: longer than 2097152 bytes"}


def test_every_tampering_is_refused_in_the_same_words(cases, said):
    wrong = {
        name: (said[name], OTHERWISE.get(name, says))
        for name, (_, says) in cases.items()
        if OTHERWISE.get(name, says) not in said[name]
    }
    assert wrong == {}


def test_python_refuses_every_tampering_too(home, cases, tmp_path):
    taken = []
    for name, (data, _) in cases.items():
        path = tmp_path / "a.zip"
        path.write_bytes(data)
        with contextlib.suppress(VerificationError):
            api.verify(path, keys=[home / "ours.key.pub"])
            taken.append(name)
    assert taken == []


@pytest.mark.slow
def test_no_flip_of_one_bit_is_taken(home):
    done = java(home, "EdgepackHarness", "flips", home / "ours.key.pub", home / "whole.zip")
    assert (done.returncode, done.stdout, done.stderr) == (0, "whole\tholds\n", "")


def test_a_good_bundle_is_extracted(home, tmp_path):
    done = verifier(home, home / "whole.zip", "--extract", tmp_path / "out", "--target", "android")
    assert (done.returncode, done.stderr) == (0, "")
    assert "holds: pets 1.2.3 (int8)" in done.stdout
    found = forge.members((home / "whole.zip").read_bytes())
    assert (tmp_path / "out/int8.tflite").read_bytes() == found["models/int8.tflite"]
    assert json.loads((tmp_path / "out/manifest.json").read_bytes())["name"] == "pets"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "int8.tflite", "labels.txt", "manifest.json",
    ]  # fmt: skip


def test_the_source_runs_as_it_is(home):
    command = ["java", VERIFIER, home / "whole.zip", "--key", home / "ours.key.pub"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_wrong_key_and_none_are_told_apart(home, tmp_path):
    done = verifier(home, home / "whole.zip", "--extract", tmp_path / "out", key="theirs")
    assert (done.returncode, (tmp_path / "out").exists()) == (4, False)
    assert done.stderr.startswith("error: not signed by the given key: its signatures are by ")


def test_somebody_elses_signature_may_stand_beside_ours(home, tmp_path):
    both = [signer(home), signer(home, "theirs")]
    (tmp_path / "a.zip").write_bytes(forge.written(tmp_path, forge.manifest(), both))
    assert verifier(home, tmp_path / "a.zip").returncode == 0
    found = forge.members((tmp_path / "a.zip").read_bytes())
    found[own(both[1])] = b"{}"
    (tmp_path / "a.zip").write_bytes(forge.zipped(found))
    done = verifier(home, tmp_path / "a.zip")
    assert (done.returncode, "is not in canonical form" in done.stderr) == (4, True)


def bundle(home, directory, name, **changes):
    path = directory / name
    path.write_bytes(forge.written(directory, forge.manifest(**changes), [signer(home)]))
    return path


def test_an_older_release_is_refused_by_either_verifiers_lock(home, tmp_path):
    older, newer = (bundle(home, tmp_path, f"{n}.zip", sequence=n) for n in (8, 9))
    path = tmp_path / "edgepack.lock"
    assert "there is no such lock file" in verifier(home, newer, "--lock", path).stderr
    done = verifier(home, newer, "--lock", path, "--update-lock")
    assert (done.returncode, done.stderr) == (0, "")
    assert lock.read(path)["pets"].sequence == 9
    text = path.read_bytes()
    assert api.verify(newer, lock=path)
    refused = verifier(home, older, "--lock", path, "--update-lock")
    assert refused.returncode == 4
    assert "sequence 8 is lower than 9 in edgepack.lock: an older release" in refused.stderr
    assert path.read_bytes() == text
    path.unlink()
    api.verify(older, lock=path, update_lock=True)
    assert verifier(home, newer, "--lock", path).returncode == 0
    other = bundle(home, tmp_path, "other.zip", sequence=8, version="2.0.0")
    assert "two releases of one sequence" in verifier(home, other, "--lock", path).stderr


@pytest.mark.parametrize("text", ["", "hello\n", f"{lock.HEAD}\npets 07 sha256:{'0' * 64} 1\n"])
def test_a_damaged_lock_is_a_usage_error(home, tmp_path, text):
    (tmp_path / "edgepack.lock").write_text(text)
    done = verifier(home, home / "whole.zip", "--lock", tmp_path / "edgepack.lock")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.zip", "--key", "ours.key.pub"], "none.zip: there is no such file"),
        ([".", "--key", "ours.key.pub"], "not a bundle but a directory"),
        (["whole.zip"], "name the key that must have signed by --key, or say --unsigned"),
        (["whole.zip", "--key", "none"], "none: there is no such file"),
        (["whole.zip", "--key", "ours.key"], "is no public key in PEM"),
        (["whole.zip", "--key"], "--key needs a value"),
        (["whole.zip", "--unsigned", "--wat", "x"], "--wat is no option"),
        (["whole.zip", "--unsigned", "--extract", "x", "--variant", "int4"], "has no variant int4"),
        (["whole.zip", "--unsigned", "--extract", "x", "--target", "toaster"], "target toaster"),
        (["whole.zip", "--unsigned", "--update-lock"], "no lock file is named"),
    ],
)
def test_a_mistake_is_told_in_a_line(home, arguments, says):
    classes = ["-cp", "classes", "-XX:TieredStopAtLevel=1"]
    done = subprocess.run(
        ["java", *classes, "EdgepackVerifier", *arguments],
        check=False, capture_output=True, text=True, cwd=home,
    )  # fmt: skip
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr


def test_every_golden_bundle_is_read(home):
    golden = TESTS / "golden" / "bundle-1-signed.zip"
    done = java(home, "EdgepackVerifier", golden, "--key", golden.with_suffix(".pub"))
    assert (done.returncode, done.stderr) == (0, "")


def test_attachments_and_unknown_fields_are_no_fault(home, tmp_path):
    found = forge.members((home / "whole.zip").read_bytes())
    more = forge.said({**found, parts.SBOM: b"{}"}, attachments=[parts.SBOM], later={"x": [1.5e-7]})
    (tmp_path / "a.zip").write_bytes(forge.zipped(forge.signed(more, [signer(home)])))
    done = verifier(home, tmp_path / "a.zip")
    assert (done.returncode, done.stderr) == (0, "")


def test_vectors_are_extracted_where_asked_for(home, tmp_path):
    found = forge.members((home / "whole.zip").read_bytes())
    names = ["vectors/index.json", "vectors/int8/0.bin"]
    more = forge.said({**found, **dict.fromkeys(names, b"{}")}, attachments=names)
    (tmp_path / "a.zip").write_bytes(forge.zipped(forge.signed(more, [signer(home)])))
    for asked, there in ((["--vectors"], True), ([], False)):
        done = verifier(home, tmp_path / "a.zip", "--extract", tmp_path / f"{there}", *asked)
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / f"{there}" / names[1]).exists() == there


def test_a_large_model_takes_little_memory(home, tmp_path):
    data = bundle_samples.tiny_model() + bytes(80_000_000)
    models = {"int8": data}
    told = bundle_samples.manifest_of(models)
    paths = bundle_samples.write_models(models, tmp_path)
    from edgepack.bundle.contents import write_bundle

    write_bundle(told, paths, tmp_path / "a.zip", epoch=bundle_samples.EPOCH)
    arguments = ["-Xmx24m", "EdgepackVerifier", tmp_path / "a.zip", "--unsigned"]
    done = java(home, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
