"""Signatures of bundles: what is signed, by which keys, and what is refused."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pty
import shutil
import stat
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_samples import EPOCH, manifest_of, sample_bundle, tiny_model, write_models
from cryptography.hazmat.primitives.asymmetric import utils

from edgepack import api
from edgepack.bundle import archive, envelope, keys, parts, reader, statement, trust, verify
from edgepack.bundle.contents import write_bundle
from edgepack.errors import (
    ExpiredError,
    FailedBundleError,
    KeyFileError,
    LockError,
    RollbackError,
    UntrustedError,
    UsageError,
    VerificationError,
)
from edgepack.files import canonical_json

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden" / "bundle-1-signed.zip"
COMMAND = (sys.executable, "-m", "edgepack")
MODELS = {"float32": tiny_model(), "int8": tiny_model("other")}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Two pairs of keys and a bundle that the first signed."""
    home = tmp_path_factory.mktemp("signing")
    for name in ("release", "other"):
        api.keygen(home / f"{name}.key")
    sample_bundle(home, MODELS, "unsigned.zip")
    api.sign(home / "unsigned.zip", [str(home / "release.key")], output=home / "signed.zip")
    return home


def run(*arguments, **variables: bytes) -> subprocess.CompletedProcess[str]:
    """The command, with variables that need not be text."""
    env = {**os.environb, **{name.encode(): value for name, value in variables.items()}}
    command = [*COMMAND, *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def members_of(bundle: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(bundle) as found:
        return {info.filename: found.read(info) for info in found.infolist()}


def check(members: dict[str, bytes], *public: Path) -> verify.Checked:
    file = io.BytesIO()
    archive.write_to(file, members, epoch=EPOCH)
    return verify.check(file, Path("a.zip"), [keys.public_key(path) for path in public])


def release(directory: Path, file: str = "a.zip", **changes) -> Path:
    """A bundle whose manifest says this of its release."""
    manifest = manifest_of(MODELS).model_copy(update=changes)
    paths = write_models(MODELS, directory)
    write_bundle(manifest, paths, directory / file, epoch=EPOCH)
    return directory / file


# Keys.


def test_a_private_key_is_its_owners_alone_and_nothing_is_replaced(tmp_path):
    previous = os.umask(0)
    try:
        made = api.keygen(tmp_path / "deep" / "a.key")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(Path(made.private_key).stat().st_mode) == 0o600
    assert keys.public_key(Path(made.public_key)).key_id == made.key_id
    with pytest.raises(KeyFileError, match="is there already"):
        api.keygen(tmp_path / "deep" / "a.key")


def test_an_encrypted_key_wants_its_passphrase(tmp_path, home):
    made = api.keygen(tmp_path / "a.key", passphrase="Grüße".encode())
    assert made.encrypted
    bundle = home / "unsigned.zip"
    signed = tmp_path / "a.zip"
    for given in (None, lambda _: b"wrong"):
        with pytest.raises(KeyFileError, match="the passphrase does not open it"):
            api.sign(bundle, [made.private_key], output=signed, passphrase=given)
    assert not signed.exists()
    api.sign(bundle, [made.private_key], output=signed, passphrase=lambda _: "Grüße".encode())
    assert api.verify(signed, keys=[made.public_key]).signatures[0].checked


def test_the_environment_may_hold_the_key(home, tmp_path, monkeypatch):
    monkeypatch.setenv("RELEASE_KEY", (home / "release.key").read_text())
    api.sign(home / "unsigned.zip", ["env:RELEASE_KEY"], output=tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == (home / "signed.zip").read_bytes()
    with pytest.raises(KeyFileError, match="variable NOWHERE is not set"):
        api.sign(home / "unsigned.zip", ["env:NOWHERE"], output=tmp_path / "b.zip")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
@pytest.mark.parametrize("form", ["", " | base64"])
def test_a_command_may_sign_in_der_or_base64(home, tmp_path, form):
    script = tmp_path / "hsm"
    script.write_text(f"#!/bin/sh\nopenssl dgst -sha256 -sign '{home}/release.key'{form}\n")
    script.chmod(0o755)
    for _ in range(4):  # half of OpenSSL's signatures have the greater s
        api.sign(
            home / "unsigned.zip",
            [f"command:{script}"],
            public_key=home / "release.key.pub",
            output=tmp_path / "a.zip",
        )
        assert api.verify(tmp_path / "a.zip", keys=[home / "release.key.pub"])


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("false", "failed: exit code 1"),
        ("sh -c 'echo no token >&2; exit 3'", "exit code 3: no token"),
        ("no-such-program-here", "No such file"),
        ("true", "does not fit the public key"),
        ("echo hello", "does not fit the public key"),
        ("", "needs arguments, and --public-key"),
        ("sign 'release", "is no shell command: No closing quotation"),
    ],
)
def test_a_command_that_fails_says_how(home, tmp_path, command, says):
    with pytest.raises(KeyFileError, match=says):
        api.sign(
            home / "unsigned.zip",
            [f"command:{command}"],
            public_key=home / "release.key.pub",
            output=tmp_path / "a.zip",
        )
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("taken", ["release.key", "release.key.pub", "link"])
def test_a_signed_bundle_takes_no_keys_place(home, tmp_path, taken):
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    (tmp_path / "link").symlink_to("release.key")
    before = (tmp_path / taken).read_bytes()
    with pytest.raises(KeyFileError, match="the output would take the place of this key"):
        api.sign(
            tmp_path / "unsigned.zip",
            [str(tmp_path / "release.key")],
            public_key=tmp_path / "release.key.pub",
            output=tmp_path / "." / taken,
        )
    assert (tmp_path / taken).read_bytes() == before


def test_a_passphrase_that_no_tool_reads_is_refused(tmp_path):
    api.keygen(tmp_path / "a.key", passphrase=b"x" * 1023)
    with pytest.raises(KeyFileError, match="has 1024 bytes, and 1023 are the most"):
        api.keygen(tmp_path / "b.key", passphrase=b"x" * 1024)
    assert not (tmp_path / "b.key").exists()


def test_the_environment_may_hold_bytes_that_are_no_text(home, tmp_path):
    odd = {"EDGEPACK_KEY_PASSPHRASE": b"\xff\xfe"}
    done = run("keygen", "--encrypt", "--output", tmp_path / "a.key", **odd)
    assert done.returncode == 0, done.stderr
    signing = ("sign", home / "unsigned.zip", "--output", tmp_path / "a.zip", "--key")
    assert run(*signing, tmp_path / "a.key", **odd).returncode == 0
    done = run(*signing, "env:ODD", ODD=b"\xff")
    assert (done.returncode, "it is no private key in PEM" in done.stderr) == (2, True), done.stderr


def test_the_end_of_input_at_a_passphrase_is_no_traceback(tmp_path):
    main, terminal = pty.openpty()
    command = [*COMMAND, "keygen", "--encrypt", "--output", tmp_path / "a.key"]
    with subprocess.Popen(
        command, stdin=terminal, stderr=terminal, stdout=terminal, cwd=ROOT, start_new_session=True
    ) as running:
        os.close(terminal)
        told = b""
        with contextlib.suppress(OSError):  # the terminal's end
            while part := os.read(main, 1024):
                told += part
                if b"Passphrase: " in part:
                    os.write(main, b"\x04")
    os.close(main)
    assert (running.returncode, b"no passphrase was given" in told) == (2, True), told


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_a_command_of_another_key_is_found_out(home, tmp_path):
    command = f"command:openssl dgst -sha256 -sign {home}/other.key"
    with pytest.raises(KeyFileError, match="does not fit the public key"):
        api.sign(
            home / "unsigned.zip",
            [command],
            public_key=home / "release.key.pub",
            output=tmp_path / "a.zip",
        )


def test_what_is_no_key_is_refused(home, tmp_path):
    bundle = home / "signed.zip"
    (tmp_path / "text").write_text("hello")
    with pytest.raises(KeyFileError, match="is no public key"):
        api.verify(bundle, keys=[tmp_path / "text"])
    with pytest.raises(KeyFileError, match="is a private key"):
        api.verify(bundle, keys=[home / "release.key"])
    with pytest.raises(KeyFileError, match="No such file"):
        api.verify(bundle, keys=[tmp_path / "none"])
    with pytest.raises(KeyFileError, match="no private key"):
        api.sign(bundle, [str(home / "release.key.pub")])
    with pytest.raises(KeyFileError, match="no private key"):
        api.sign(bundle, [str(tmp_path / "text")])


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_a_key_on_another_curve_is_refused(home, tmp_path):
    key, public = tmp_path / "a.key", tmp_path / "a.pub"
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp384r1"]
    subprocess.run(["openssl", "genpkey", *curve, "-out", key], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    with pytest.raises(KeyFileError, match="not a key on the curve P-256"):
        api.sign(home / "unsigned.zip", [str(key)], output=tmp_path / "a.zip")
    with pytest.raises(KeyFileError, match="it is not on the curve P-256"):
        api.verify(home / "signed.zip", keys=[public])


# Signatures.


def test_signing_again_gives_the_same_bytes(home, tmp_path):
    bundle = tmp_path / "a.zip"
    shutil.copy(home / "unsigned.zip", bundle)
    api.sign(bundle, [str(home / "release.key")])
    api.sign(bundle, [str(home / "release.key")])
    assert bundle.read_bytes() == (home / "signed.zip").read_bytes()


def test_signing_changes_nothing_but_signatures(home):
    before, after = members_of(home / "unsigned.zip"), members_of(home / "signed.zip")
    assert before.items() <= after.items()
    assert [name.partition("/")[0] for name in after.keys() - before.keys()] == ["signatures"]
    contents = {api.verify(home / name).contents_sha256 for name in ("unsigned.zip", "signed.zip")}
    assert len(contents) == 1


def test_several_keys_may_sign_in_any_order(home, tmp_path):
    both = [str(home / "release.key"), str(home / "other.key")]
    api.sign(home / "unsigned.zip", both, output=tmp_path / "a.zip")
    api.sign(home / "signed.zip", both[1:], output=tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    found = api.verify(tmp_path / "a.zip", keys=[home / "other.key.pub"]).signatures
    assert sorted(one.checked for one in found) == [False, True]
    every = api.verify(tmp_path / "a.zip", keys=[f"{key}.pub" for key in both]).signatures
    assert all(one.checked for one in every)


def test_a_wrong_key_and_none_are_told_apart(home):
    with pytest.raises(UntrustedError, match="not signed by the given key: its signatures are by"):
        api.verify(home / "signed.zip", keys=[home / "other.key.pub"])
    with pytest.raises(UntrustedError, match="not signed: a key was given, and the bundle holds"):
        api.verify(home / "unsigned.zip", keys=[home / "release.key.pub"])


def test_one_of_several_given_keys_is_enough(home):
    given = [home / "other.key.pub", home / "release.key.pub"]
    assert api.verify(home / "signed.zip", keys=given).signatures[0].checked


def resigned(home: Path, change) -> dict[str, bytes]:
    """The members of the signed bundle, its signature changed."""
    members = members_of(home / "signed.zip")
    (name,) = envelope.key_ids(members)
    return {**members, name: change(members[name])}


def spelled(change):
    """A change of the signature's JSON value, written canonically again."""

    def changed(text: bytes) -> bytes:
        value = json.loads(text)
        change(value)
        return canonical_json(value)

    return changed


def greater(text: bytes) -> bytes:
    found = envelope.read(text)
    r, s = utils.decode_dss_signature(found.signature)
    der = utils.encode_dss_signature(r, keys.ORDER - s)
    return envelope.Envelope(found.payload, der, found.key_id).text()


def loosened(text: bytes) -> bytes:
    """The same signature, its base64 with other bits in the padding."""
    sig = json.loads(text)["dsseEnvelope"]["signatures"][0]["sig"]
    body = sig.rstrip("=")
    if body == sig:
        pytest.skip("this signature's base64 has no padding")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = body[:-1] + letters[letters.index(body[-1]) | 1]
    assert base64.b64decode(sig) == base64.b64decode(other + sig[len(body) :])
    return text.replace(sig.encode(), (other + sig[len(body) :]).encode())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (greater, "is not in canonical form"),
        (loosened, "is not in canonical form"),
        (lambda text: text + b"\n", "is not in canonical form"),
        (lambda text: text.replace(b'","', b'", "', 1), "is not in canonical form"),
        (spelled(lambda v: v.update(extra=1)), "is not in canonical form"),
        (
            spelled(lambda v: v["verificationMaterial"]["publicKey"].update(hint="ab" * 32)),
            "is not in canonical form",
        ),
        (lambda _: b"{}", "is no Sigstore bundle"),
        (lambda _: b"\xff\xfe", "is no Sigstore bundle"),
        (spelled(lambda v: v["dsseEnvelope"].update(payload="*")), "base64 is damaged"),
        (spelled(lambda v: v["dsseEnvelope"].update(payloadType="text/plain")), "no in-toto"),
        (
            spelled(lambda v: v["dsseEnvelope"]["signatures"].append({"sig": "AA=="})),
            "statement with one signature",
        ),
        (
            spelled(lambda v: v["dsseEnvelope"]["signatures"][0].update(sig="AAAA")),
            "does not hold",
        ),
    ],
)
def test_another_form_of_a_signature_is_refused(home, change, says):
    with pytest.raises(UntrustedError, match=says):
        check(resigned(home, change), home / "release.key.pub")


def test_a_signature_is_for_these_contents_only(home, tmp_path):
    other = sample_bundle(tmp_path, {"float32": tiny_model("newer")}, "b.zip")
    signature = {n: d for n, d in members_of(home / "signed.zip").items() if "signatures" in n}
    for public in ([home / "release.key.pub"], []):
        with pytest.raises(VerificationError, match="is for other contents than SHA256SUMS lists"):
            check({**members_of(other), **signature}, *public)


def test_a_signature_is_for_the_manifests_name_only(home):
    members = members_of(home / "unsigned.zip")
    digests = parts.signed_digests(members[parts.SUMS])
    signer = keys.signer(str(home / "release.key"), None, lambda _: None)
    payload = statement.statement("dogs", digests)
    text = envelope.Envelope(
        payload, signer.signature(statement.pae(payload)), signer.public.key_id
    )
    members[envelope.member(signer.public.key_id)] = text.text()
    with pytest.raises(VerificationError, match="a signature is for 'dogs'"):
        check(members, home / "release.key.pub")


def test_nothing_is_interpreted_before_the_signature_holds(home, monkeypatch):
    def parse(*_):
        raise AssertionError("a manifest that nobody signed was read")

    monkeypatch.setattr(parts, "read_manifest", parse)
    with pytest.raises(UntrustedError):
        api.verify(home / "signed.zip", keys=[home / "other.key.pub"])


@pytest.mark.slow
def test_every_flip_of_one_bit_is_refused(home, tmp_path):
    bundle = sample_bundle(tmp_path, {"float32": tiny_model()}, "a.zip")
    api.sign(bundle, [str(home / "release.key")])
    given = (keys.public_key(home / "release.key.pub"),)
    whole = bytearray(bundle.read_bytes())
    with bundle.open("rb") as file:
        padding = [e.offset - len(e.extra) for e in reader.entries(file, bundle) if e.extra]
    assert verify.check(io.BytesIO(whole), bundle, given)
    taken = []
    for at in range(len(whole)):
        # Of the alignment's thousands of equal zeros, each byte is flipped in one bit.
        dull = any(start + 6 <= at < start + 16_384 - 512 for start in padding)
        for bit in [at % 8] if dull else range(8):
            whole[at] ^= 1 << bit
            try:
                verify.check(io.BytesIO(whole), bundle, given)
                taken.append((at, bit))
            except VerificationError:
                pass
            whole[at] ^= 1 << bit
    assert taken == []


def test_the_golden_signature_still_holds():
    assert api.verify(GOLDEN, keys=[GOLDEN.with_suffix(".pub")]).signatures[0].checked


def test_a_failed_bundle_is_neither_taken_nor_signed_silently(home, tmp_path):
    verdict = manifest_of(MODELS).verdict.model_copy(update={"passed": False})
    bundle = release(tmp_path, failed=True, verdict=verdict)
    with pytest.raises(FailedBundleError, match="its gate refused this build"):
        api.verify(bundle)
    with pytest.raises(FailedBundleError):
        api.sign(bundle, [str(home / "release.key")])
    api.sign(bundle, [str(home / "release.key")], allow_failed=True)
    assert api.verify(bundle, allow_failed=True).failed


# A signature beside the bundle.


def beside(home: Path, directory: Path, change=lambda text: text) -> Path:
    """The signature as a file of its own, and less canonical."""
    (text,) = [d for n, d in members_of(home / "signed.zip").items() if n.startswith("signatures")]
    path = directory / "model.sig"
    path.write_bytes(change(json.dumps(json.loads(text), indent=1).encode()))
    return path


def test_a_signature_beside_the_bundle_is_as_good(home, tmp_path):
    path = beside(home, tmp_path)
    public = [home / "release.key.pub"]
    assert api.verify(home / "unsigned.zip", signature=path, keys=public)
    assert api.verify(home / "signed.zip", signature=path, keys=public)
    with pytest.raises(UntrustedError, match="does not hold"):
        api.verify(home / "unsigned.zip", signature=path, keys=[home / "other.key.pub"])
    other = sample_bundle(tmp_path, {"float32": tiny_model("newer")}, "b.zip")
    with pytest.raises(UntrustedError, match=r"models/float32\.tflite: is not what was signed"):
        api.verify(other, signature=path, keys=public)
    with pytest.raises(UsageError, match="checked by a key"):
        api.verify(home / "unsigned.zip", signature=path)


# Days and releases.


def test_a_bundle_expires_at_its_second(tmp_path):
    bundle = release(tmp_path, expires="2030-01-02T03:04:05Z")
    day = datetime(2030, 1, 2, 3, 4, 4, tzinfo=UTC)
    assert trust.take(bundle, trust.Policy(now=day)).expires == "2030-01-02T03:04:05Z"
    with pytest.raises(ExpiredError, match="expired on 2030-01-02T03:04:05Z"):
        trust.take(bundle, trust.Policy(now=day.replace(second=5)))


def test_an_older_release_is_refused(tmp_path):
    lock = tmp_path / "edgepack.lock"
    older, newer = (release(tmp_path, f"{n}.zip", sequence=n) for n in (41, 42))
    with pytest.raises(LockError, match="no such lock file"):
        api.verify(newer, lock=lock)
    api.verify(newer, lock=lock, update_lock=True)
    text = lock.read_text()
    assert text.splitlines()[1].startswith("pets 42 sha256:")
    assert api.verify(newer, lock=lock)
    with pytest.raises(RollbackError, match=r"sequence 41 is lower than 42 in edgepack\.lock"):
        api.verify(older, lock=lock)
    with pytest.raises(RollbackError):
        api.verify(older, lock=lock, update_lock=True)
    assert lock.read_text() == text


def test_a_newer_release_is_taken_and_locked_only_when_asked(tmp_path):
    lock = tmp_path / "edgepack.lock"
    older, newer = (release(tmp_path, f"{n}.zip", sequence=n) for n in (41, 42))
    api.verify(older, lock=lock, update_lock=True)
    before = lock.read_text()
    assert api.verify(newer, lock=lock).sequence == 42
    assert lock.read_text() == before
    api.verify(newer, lock=lock, update_lock=True)
    assert " 42 " in lock.read_text()


def test_two_releases_of_one_sequence_are_refused_and_signatures_do_not_count(home, tmp_path):
    lock = tmp_path / "edgepack.lock"
    one = release(tmp_path, "one.zip", sequence=7)
    api.verify(one, lock=lock, update_lock=True)
    api.sign(one, [str(home / "release.key")])
    assert api.verify(one, lock=lock)
    two = release(tmp_path, "two.zip", sequence=7, version="1.2.4")
    with pytest.raises(RollbackError, match="two releases of one sequence"):
        api.verify(two, lock=lock)


def test_a_lock_wants_a_sequence_and_the_bundles_name(tmp_path):
    lock = tmp_path / "edgepack.lock"
    with pytest.raises(RollbackError, match="no sequence: a lock needs one"):
        api.verify(release(tmp_path), lock=lock, update_lock=True)
    assert not lock.exists()
    api.verify(release(tmp_path, sequence=1, name="cats"), lock=lock, update_lock=True)
    with pytest.raises(RollbackError, match=r"pets is not in edgepack\.lock"):
        api.verify(release(tmp_path, "b.zip", sequence=9), lock=lock)
    with pytest.raises(UsageError, match="no lock file is named"):
        api.verify(release(tmp_path, "b.zip", sequence=9), update_lock=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("lock 1", "lock 2"),
        lambda text: text + text.splitlines()[1] + "\n",
        lambda text: text.replace(" 7 ", " 07 "),
        lambda text: text.replace(" 7 ", " 9999999999999999 "),
        lambda text: text.replace("sha256:", ""),
        lambda text: text + "\n",
        lambda text: "",
    ],
)
def test_a_damaged_lock_is_refused(tmp_path, change):
    lock = tmp_path / "edgepack.lock"
    bundle = release(tmp_path, sequence=7)
    api.verify(bundle, lock=lock, update_lock=True)
    lock.write_text(change(lock.read_text()))
    with pytest.raises(LockError):
        api.verify(bundle, lock=lock)


def test_a_lock_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(LockError, match="is not a regular file"):
        api.verify(release(tmp_path, sequence=7), lock=tmp_path / "lock", update_lock=True)


def test_a_lock_that_need_not_change_is_not_written(tmp_path):
    lock = tmp_path / "edgepack.lock"
    bundle = release(tmp_path, sequence=7)
    api.verify(bundle, lock=lock, update_lock=True)
    before = lock.stat().st_mtime_ns, lock.stat().st_ino
    api.verify(bundle, lock=lock, update_lock=True)
    assert (lock.stat().st_mtime_ns, lock.stat().st_ino) == before
