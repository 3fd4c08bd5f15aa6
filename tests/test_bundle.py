from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
from bundle_samples import CLASSES, EPOCH, manifest_of, sample_bundle, tiny_model, write_models
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack import api
from edgepack.bundle import archive, parts, reader, verify
from edgepack.bundle.contents import assemble, write_bundle
from edgepack.errors import UsageError, VerificationError
from edgepack.files import canonical_json, sha256_bytes, sha256_file
from edgepack.records.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
# bundle-1.zip is from before digest sets and signatures. None of these is ever written again.
GOLDENS = [ROOT / "tests" / "golden" / name for name in ("bundle-1.zip", "bundle-1-signed.zip")]
FLOAT32 = "models/float32.tflite"
INT8 = "models/int8.tflite"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return sample_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    models = {"float32": tiny_model(), "int8": tiny_model("other")}
    return sample_bundle(tmp_path_factory.mktemp("two"), models)


def members_of(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as found:
        return {info.filename: found.read(info) for info in found.infolist()}


def resummed(members: dict[str, bytes]) -> dict[str, bytes]:
    listed = {name: sha256_bytes(data) for name, data in members.items() if name != parts.SUMS}
    return {**members, parts.SUMS: parts.sums_text(listed)}


def found_in(members: dict[str, bytes], epoch: int = EPOCH) -> str:
    """What verify says of a canonical archive of these members."""
    file = io.BytesIO()
    archive.write_to(file, members, epoch=epoch)
    with pytest.raises(VerificationError) as caught:
        verify.check(file, Path("tampered.zip"))
    assert caught.value.where == "tampered.zip"
    return caught.value.message


def edited(bundle: Path, edit: Callable[[dict], object]) -> str:
    """What verify says when the manifest was edited and everything else made to agree."""
    members = members_of(bundle)
    manifest = json.loads(members[parts.MANIFEST])
    edit(manifest)
    members[parts.MANIFEST] = canonical_json(manifest)
    return found_in(resummed(members))


def test_a_bundle_verifies(two):
    result = api.verify(two)
    assert (result.name, result.version, result.schema_version) == ("pets", "1.2.3", 1)
    assert result.variants == ("float32", "int8")
    assert not result.failed
    assert result.sha256 == sha256_file(two)
    assert result.size_bytes == two.stat().st_size


def test_the_reference_names_the_bundle(tmp_path):
    models = {"float32": tiny_model()}
    paths = write_models(models, tmp_path)
    target = tmp_path / "new" / "a.zip"
    reference = write_bundle(manifest_of(models), paths, target, epoch=EPOCH)
    assert reference.path == "a.zip"
    assert reference.sha256 == sha256_file(target)
    assert reference.size_bytes == target.stat().st_size


def test_what_is_in_a_bundle(two):
    members = members_of(two)
    assert list(members) == ["SHA256SUMS", "labels.txt", "manifest.json", FLOAT32, INT8]
    assert members[FLOAT32] == tiny_model()
    assert members["labels.txt"].decode() == "cat\ndog\nÄffchen\n"


def test_models_are_aligned(two):
    with two.open("rb") as file:
        found = {e.name: e.offset for e in reader.scan(file).entries}
    assert not found[FLOAT32] % 16384
    assert not found[INT8] % 16384


def test_the_manifest_is_read_back(bundle):
    expected = manifest_of({"float32": tiny_model()}).model_copy(update={"epoch": EPOCH})
    assert verify.read_manifest(bundle) == expected


def test_the_manifest_fits_its_schema(two):
    schema = Manifest.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(members_of(two)[parts.MANIFEST]), schema)


def test_sha256sum_accepts_the_unpacked_bundle(two, tmp_path):
    with two.open("rb") as file:
        archive.extract(file, two, tmp_path)
    command = ["sha256sum", "--strict", "-c", "SHA256SUMS"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *("labels.txt: OK", "manifest.json: OK", f"{FLOAT32}: OK", f"{INT8}: OK")
    ]
    assert not done.stderr


def test_models_without_classes_have_no_labels(tmp_path):
    models = {"float32": tiny_model()}
    target = tmp_path / "a.zip"
    write_bundle(manifest_of(models, ()), write_models(models, tmp_path), target, epoch=EPOCH)
    assert parts.LABELS not in members_of(target)
    assert api.verify(target)


def test_identical_variants_may_share_a_member(tmp_path):
    models = {"float32": tiny_model(), "dynamic": tiny_model()}
    manifest = manifest_of(models)
    first, second = manifest.models
    shared = (first, second.model_copy(update={"path": first.path}))
    manifest = manifest.model_copy(update={"models": shared})
    write_bundle(manifest, write_models(models, tmp_path), tmp_path / "a.zip", epoch=EPOCH)
    assert len(members_of(tmp_path / "a.zip")) == 4
    assert api.verify(tmp_path / "a.zip").variants == ("float32", "dynamic")


BUILD = """
import locale, os, sys, time
from pathlib import Path
from bundle_samples import sample_bundle, tiny_model
os.umask(int(sys.argv[2], 8))
time.tzset()
models = {"float32": tiny_model(), "int8": tiny_model("other")}
print(sample_bundle(Path(sys.argv[1]), models, sys.argv[3]))
"""


def test_the_same_inputs_give_the_same_bytes(two, tmp_path):
    place = tmp_path / "ünterwegs"
    place.mkdir()
    env = {**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "LANG": "C"}
    env |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PYTHONHASHSEED": "5", "USER": "other"}
    command = [sys.executable, "-c", BUILD, place, "077", "another.zip"]
    subprocess.run(command, cwd=tmp_path, env=env, check=True, capture_output=True, timeout=60)
    assert (place / "another.zip").read_bytes() == two.read_bytes()


def test_order_of_members_and_epoch(tmp_path):
    models = {"float32": tiny_model(), "int8": tiny_model("other")}
    manifest = manifest_of(models)
    paths = write_models(models, tmp_path)
    backwards = dict(reversed(paths.items()))
    assert assemble(manifest, paths) == assemble(manifest, backwards)
    for name, epoch in (("a", 0), ("b", 1), ("c", EPOCH)):
        write_bundle(manifest, backwards, tmp_path / name, epoch=epoch)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c


# Nothing is free: every change of a byte, every truncation, every addition.


def refused(data: bytes | bytearray) -> bool:
    try:
        verify.check(io.BytesIO(data), Path("changed.zip"))
    except VerificationError as error:
        return "difference" in str(error)
    return False


# Single bits are flipped in tests/test_signing.py, in a signed bundle.
def test_every_change_of_a_byte_is_found(bundle):
    whole = bundle.read_bytes()
    data = bytearray(whole)
    accepted = []
    for at in range(len(whole)):
        data[at] ^= 255
        if not refused(data):
            accepted.append(at)
        data[at] ^= 255
    assert accepted == []
    assert data == whole
    assert not refused(data)


def test_every_truncation_is_found(bundle):
    whole = bundle.read_bytes()
    assert [n for n in range(len(whole)) if not refused(whole[:n])] == []
    assert [n for n in range(1, len(whole)) if not refused(whole[n:])] == []


@pytest.mark.parametrize("extra", [b"\0", b"\n", b"PK\x05\x06", bytes(22), bytes(70_000)])
def test_added_bytes_are_found(extra, bundle):
    whole = bundle.read_bytes()
    assert refused(whole + extra)
    assert refused(extra + whole)
    assert refused(whole + whole)


@given(st.data())
@settings(max_examples=200)
def test_damage_raises_nothing_else(bundle, data):
    whole = bundle.read_bytes()
    at = data.draw(st.integers(0, len(whole)) | st.integers(0, 3500))
    cut = data.draw(st.integers(0, 300))
    changed = whole[:at] + data.draw(st.binary(max_size=300)) + whole[at + cut :]
    assert changed == whole or refused(changed)


# Each attack has its message.


def test_a_bundle_zipped_again_is_refused(bundle):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as again:
        for name, data in members_of(bundle).items():
            again.writestr(name, data)
    assert refused(file.getvalue())


@pytest.mark.parametrize("name", [parts.LABELS, parts.MANIFEST, FLOAT32])
def test_a_changed_member_is_named_with_both_digests(name, bundle):
    members = members_of(bundle)
    before = sha256_bytes(members[name])
    members[name] = members[name].replace(b"a", b"b", 1)
    message = found_in(members)
    assert f"{name}: bytes changed: SHA-256 is {sha256_bytes(members[name])}" in message
    assert f"SHA256SUMS says {before}" in message


@pytest.mark.parametrize("name", [parts.LABELS, parts.MANIFEST, parts.SUMS, FLOAT32])
def test_a_missing_member_is_named(name, bundle):
    members = members_of(bundle)
    del members[name]
    assert f"{name}: missing" in found_in(members)
    assert f"{name}: missing" in found_in(members if name == parts.SUMS else resummed(members))


def test_an_archive_of_nothing_is_refused():
    assert found_in({}).count(": missing") == 2


def test_an_unlisted_member_is_named(bundle):
    members = {**members_of(bundle), "models/spy.tflite": b"x"}
    assert "models/spy.tflite: SHA256SUMS does not list it" in found_in(members)
    assert "models/spy.tflite: not listed in the manifest" in found_in(resummed(members))


def test_what_lies_among_signatures_and_is_none_is_refused(bundle):
    members = {**members_of(bundle), "signatures/note.txt": b"x"}
    assert "signatures/note.txt: SHA256SUMS does not list it" in found_in(members)
    assert "signatures/note.txt: not listed in the manifest" in found_in(resummed(members))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("  ", " ", 1), "line 1 is not a digest, two spaces and a name"),
        (lambda text: text.upper(), "line 1 is not a digest"),
        (lambda text: text + text, "not sorted, ended or unique"),
        (lambda text: text.rstrip("\n"), "not sorted, ended or unique"),
        (lambda text: "".join(sorted(text.splitlines(keepends=True))[::-1]), "not sorted"),
        (lambda text: text + f"{'0' * 64}  gone.txt\n", "gone.txt: missing; SHA256SUMS lists it"),
        (lambda text: text.split("\n", 1)[1], "labels.txt: SHA256SUMS does not list it"),
        (lambda text: "", "SHA256SUMS does not list it"),
    ],
)
def test_wrong_sums_are_named(change, message, bundle):
    members = members_of(bundle)
    members[parts.SUMS] = change(members[parts.SUMS].decode()).encode()
    assert message in found_in(members)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "manifest.json: not JSON"),
        (b"\xff", "manifest.json: not JSON"),
        (b"[" * 100_000, "manifest.json: not JSON"),
        (b"[]", "manifest.json: the document: Input should be an object"),
        (b'{"schema_version":2}', "schema_version 2 is unknown here; a newer edgepack reads it"),
        (b'{"schema_version":0}', "manifest.json: schema_version: Input should be 1"),
        (b'{"schema_version":"1"}', "manifest.json: schema_version: Input should be 1"),
        (b"{}", "manifest.json: tools: Field required"),
    ],
)
def test_what_is_no_manifest_is_named(text, message, bundle):
    assert message in found_in(resummed({**members_of(bundle), parts.MANIFEST: text}))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'{"attachments"', b'{ "attachments"', "not canonical JSON (RFC 8785) from byte 1 on"),
        (b'"failed":false', b'"failed":false,"failed":false', "not canonical JSON"),
        (b'"seed":7', b'"seed":7.0', "dataset.seed: Input should be a valid integer"),
        (b'"samples":300', b'"samples":3e2', "samples: Input should be a valid integer"),
        (b'"value":0.9}', b'"value":NaN}', "no canonical JSON"),
        (b'"seed":7', b'"seed":9007199254740992', "no canonical JSON"),
        (b'"value":0.9}', b'"value":0.90}', "not canonical JSON"),
        ("Ä".encode(), b"\\u00c4", "not canonical JSON"),
    ],
)
def test_a_manifest_in_another_form_is_refused(old, new, message, bundle):
    members = members_of(bundle)
    text = members[parts.MANIFEST].replace(old, new, 1)
    assert text != members[parts.MANIFEST]
    found = found_in(resummed({**members, parts.MANIFEST: text}))
    assert message in found


def first(manifest: dict) -> dict:
    return manifest["models"][0]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: first(m).update(size_bytes=9), f"{FLOAT32}: size_bytes is "),
        (lambda m: first(m)["digest"].update(sha256="0" * 64), f"{FLOAT32}: sha256 is "),
        (lambda m: first(m).update(precision="int8"), "precision is 'float32', and the manifest"),
        (lambda m: first(m).update(stateful=True), f"{FLOAT32}: stateful is False"),
        (lambda m: first(m).update(min_runtime_version="9"), "min_runtime_version is "),
        (lambda m: first(m).update(ops=[]), f"{FLOAT32}: ops is [{{"),
        (lambda m: first(m)["ops"][0].update(version=9), f"{FLOAT32}: ops.0.version is 1"),
        (lambda m: first(m).update(signatures=[]), f"{FLOAT32}: signatures is [{{"),
        (
            lambda m: first(m)["signatures"][0]["inputs"][0].update(dtype="int8"),
            "signatures.0.inputs.0.dtype is 'float32', and the manifest says 'int8' of float32",
        ),
        (lambda m: first(m).update(path="models/other.tflite"), "is named after no variant"),
        (lambda m: first(m).update(path="models/other.tflite"), "other.tflite: missing; the mani"),
        (lambda m: m.update(attachments=["notes.txt"]), "no place for 'notes.txt' in a bundle"),
        (lambda m: m.update(attachments=["sbom.cdx.json"]), "sbom.cdx.json: missing; the mani"),
        (lambda m: m["models"].append(first(m)), "models: 2 are of variant 'float32'"),
        (lambda m: m["models"].clear(), f"{FLOAT32}: not listed in the manifest"),
        (lambda m: m["targets"][0].update(variants=["int4"]), "targets: android takes ['int4']"),
        (lambda m: m["verdict"].update(passed=False), "failed is False, and so is verdict.passed"),
        (lambda m: m.update(epoch=EPOCH + 2), f"epoch {EPOCH + 2} is not the time of the entries"),
        (lambda m: m.update(epoch=1), "manifest.json: epoch: Input should be greater"),
        (lambda m: m.update(classes=[]), "labels.txt: not listed in the manifest"),
        (lambda m: m.update(classes=["cat", "dog"]), "3 lines, and the manifest has 2 classes"),
        (
            lambda m: m.update(classes=["dog", "cat", "Äffchen"]),
            "line 1 is 'cat', and the class is",
        ),
    ],
)
def test_a_lie_of_the_manifest_is_named(edit, message, bundle):
    assert message in edited(bundle, edit)


def test_fields_of_a_later_edgepack_are_no_fault(bundle):
    members = members_of(bundle)
    manifest = json.loads(members[parts.MANIFEST])
    manifest["later"] = {"anything": [1]}
    first(manifest).update(colour="red")
    first(manifest)["digest"].update(sha512="ab" * 64)
    manifest["verdict"]["checks"][0].update(since="2.0")
    file = io.BytesIO()
    changed = resummed({**members, parts.MANIFEST: canonical_json(manifest)})
    archive.write_to(file, changed, epoch=EPOCH)
    assert verify.check(file, bundle).manifest == verify.read_manifest(bundle)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("cat\ndog\nÄffchen", "the last line has no end"),
        ("cat\ndog\nAffe\n", "line 3 is 'Affe', and the class is 'Äffchen'"),
        ("cat\r\ndog\r\nÄffchen\r\n", "line 1 is 'cat\\r'"),
        ("cat\ndog\nÄffchen\n\n", "4 lines, and the manifest has 3 classes"),
    ],
)
def test_other_labels_are_named(labels, message, bundle):
    assert message in found_in(resummed({**members_of(bundle), parts.LABELS: labels.encode()}))


@pytest.mark.parametrize("data", [b"", b"not a model", bytes(500), tiny_model()[:200]])
def test_what_is_no_model_is_named(data, bundle):
    members = {**members_of(bundle), FLOAT32: data}
    manifest = json.loads(members[parts.MANIFEST])
    first(manifest).update(size_bytes=len(data), digest={"sha256": sha256_bytes(data)})
    message = found_in(resummed({**members, parts.MANIFEST: canonical_json(manifest)}))
    assert f"{FLOAT32}: not a readable .tflite: " in message


def test_swapped_models_are_named(two):
    members = members_of(two)
    members[FLOAT32], members[INT8] = members[INT8], members[FLOAT32]
    message = found_in(resummed(members))
    assert f"{FLOAT32}: sha256 is " in message
    assert f"{INT8}: sha256 is " in message


def test_every_difference_is_listed(two):
    members = members_of(two)
    members[FLOAT32] += b"x"
    members["notes.txt"] = b"x"
    members[parts.LABELS] = b"cat\n"
    message = found_in(members, EPOCH + 60)
    named = (FLOAT32, "notes.txt", parts.LABELS, "epoch")
    assert all(name in message for name in named)
    assert f"{message.count(chr(10))} differences" in message


def test_an_overlong_text_is_refused(bundle, monkeypatch):
    monkeypatch.setattr(verify, "MAX_TEXT", 10)
    message = found_in(members_of(bundle))
    assert "manifest.json: longer than 10 bytes" in message
    assert "SHA256SUMS: longer than 10 bytes" in message


# What cannot be read or written.


@pytest.mark.parametrize("check", [api.verify, verify.read_manifest])
def test_what_is_not_there_is_a_usage_error(check, tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        check(tmp_path / "none.zip")
    with pytest.raises(UsageError, match="not a bundle but a directory"):
        check(tmp_path)
    with pytest.raises(UsageError, match="not a bundle but a directory or a device"):
        check(Path("/dev/zero"))


@pytest.mark.parametrize("check", [api.verify, verify.read_manifest])
def test_an_empty_file_is_no_bundle(check, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(VerificationError, match="0 bytes are too few") as caught:
        check(tmp_path / "a.zip")
    assert caught.value.exit_code == 4
    assert caught.value.where == str(tmp_path / "a.zip")


@pytest.mark.parametrize("name", ["", "a\nb", "a\r", "a\u2028b", "\n"])
def test_a_class_that_is_not_a_line_is_refused(name, tmp_path):
    models = {"float32": tiny_model()}
    manifest = manifest_of(models, ("cat", name))
    with pytest.raises(UsageError, match="class 1 is named") as caught:
        write_bundle(manifest, write_models(models, tmp_path), tmp_path / "a.zip", epoch=EPOCH)
    assert "Rename the class" in caught.value.hint
    assert not (tmp_path / "a.zip").exists()


def test_a_number_that_is_not_finite_is_named(tmp_path):
    manifest = manifest_of({"float32": tiny_model()})
    checks = (manifest.verdict.checks[0].model_copy(update={"value": float("nan")}),)
    verdict = manifest.verdict.model_copy(update={"checks": checks})
    with pytest.raises(UsageError, match=r"cannot say verdict\.checks\.0\.value"):
        assemble(manifest.model_copy(update={"verdict": verdict}), {"float32": tmp_path})


def test_a_variant_without_a_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no file was given for float32"):
        write_bundle(manifest_of({"float32": tiny_model()}), {}, tmp_path / "a.zip", epoch=EPOCH)


def test_a_bundle_that_does_not_verify_replaces_nothing(tmp_path):
    manifest = manifest_of({"float32": tiny_model()})
    paths = write_models({"float32": tiny_model("changed since")}, tmp_path)
    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    with pytest.raises(VerificationError, match="bytes changed"):
        write_bundle(manifest, paths, target, epoch=EPOCH)
    assert target.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "float32.in"]


def test_writing_sweeps_what_killed_runs_left(tmp_path):
    left = tmp_path / ".pets-1.2.3.zip.edgepack-0123456789ab.tmp"
    left.write_bytes(b"x")
    sample_bundle(tmp_path)
    assert not left.exists()


def test_ten_megabytes_take_a_fraction_of_a_second(tmp_path):
    models = {"float32": tiny_model() + bytes(10_000_000)}
    bundle = sample_bundle(tmp_path, models)
    start = time.perf_counter()
    api.verify(bundle)
    assert time.perf_counter() - start < 0.5


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda path: path.name)
def test_every_golden_bundle_still_verifies(golden, tmp_path):
    result = api.verify(golden)
    assert (result.name, result.variants) == ("pets", ("float32", "int8"))
    assert verify.read_manifest(golden).classes == CLASSES
    with golden.open("rb") as file:
        archive.extract(file, golden, tmp_path)
    assert (tmp_path / FLOAT32).read_bytes() == tiny_model()
