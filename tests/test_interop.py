"""Other people's programs and these bundles: model-signing, openssl, Sigstore's own verifier."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bundle_samples import sample_bundle, tiny_model

from edgepack import api
from edgepack.bundle import envelope, keys, statement
from edgepack.errors import UntrustedError

HERE = Path(__file__).parent
# model-signing 1.1.1 imports pyOpenSSL and does not say so.
MODEL_SIGNING = ("model-signing==1.1.1", "pyopenssl==26.4.0")
SIGSTORE = ("@sigstore/bundle@3.1.0", "@sigstore/verify@2.1.1")  # they run on Node.js 18
MODELS = {"float32": tiny_model(), "int8": tiny_model("other")}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A pair of keys, and a bundle with and without a signature."""
    home = tmp_path_factory.mktemp("interop")
    api.keygen(home / "release.key")
    api.keygen(home / "other.key")
    sample_bundle(home, MODELS, "unsigned.zip")
    api.sign(home / "unsigned.zip", [str(home / "release.key")], output=home / "signed.zip")
    return home


def unpacked(bundle: Path, directory: Path) -> Path:
    """The directory that a bundle unpacks to."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(directory)
    return directory


def signature_in(directory: Path) -> Path:
    (found,) = (directory / "signatures").iterdir()
    return found


def run(command, cwd: Path, env=None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr or done.stdout).strip().rpartition("\n")[2]


# OpenSSF's model-signing, in an environment that uv makes once and keeps in its own cache.


@pytest.fixture(scope="module")
def model_signing(tmp_path_factory):
    """Runs model_signing_peer.py where model-signing is; skips where it cannot be fetched."""
    kept = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    env = {**os.environ, "UV_CACHE_DIR": kept}
    with_ = [part for name in MODEL_SIGNING for part in ("--with", name)]
    options = ["run", "--quiet", "--no-project", "--python", sys.executable, *with_]
    start = [sys.executable, "-m", "uv", *options, "python"]
    nowhere = tmp_path_factory.mktemp("nowhere")
    found = run([*start, "-c", "import model_signing.signing, OpenSSL"], nowhere, env)
    if found.returncode:
        pytest.skip(f"model-signing cannot be had here: {last_line(found)}")

    def peer(*arguments):
        return run([*start, HERE / "model_signing_peer.py", *arguments], nowhere, env)

    return peer


@pytest.mark.slow
def test_model_signing_verifies_our_signature(home, tmp_path, model_signing):
    directory = unpacked(home / "signed.zip", tmp_path / "a")
    signature, public = signature_in(directory), home / "release.key.pub"
    assert model_signing("verify", directory, signature, public).stdout == "done\n"
    wrong = model_signing("verify", directory, signature, home / "other.key.pub")
    assert wrong.returncode == 1
    (directory / "labels.txt").write_text("cat\nfox\n")
    changed = model_signing("verify", directory, signature, public)
    assert changed.returncode == 1
    assert "Hash mismatch for 'labels.txt'" in changed.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unsigned.zip", "signed.zip"])
def test_we_verify_model_signings_signature(home, tmp_path, model_signing, name):
    directory, signature = unpacked(home / name, tmp_path / "a"), tmp_path / "model.sig"
    done = model_signing("sign", directory, signature, home / "release.key")
    assert done.stdout == "done\n", done.stderr
    public = [home / "release.key.pub"]
    assert api.verify(home / name, signature=signature, keys=public)
    with pytest.raises(UntrustedError, match="does not hold"):
        api.verify(home / name, signature=signature, keys=[home / "other.key.pub"])
    other = sample_bundle(tmp_path, {**MODELS, "int8": tiny_model("newer")}, "b.zip")
    with pytest.raises(UntrustedError, match=r"models/int8\.tflite: is not what was signed"):
        api.verify(other, signature=signature, keys=public)


# OpenSSL.


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_verifies_our_signature(home, tmp_path):
    member = signature_in(unpacked(home / "signed.zip", tmp_path)).read_text()
    dsse = json.loads(member)["dsseEnvelope"]
    payload = base64.b64decode(dsse["payload"])
    (tmp_path / "sig").write_bytes(base64.b64decode(dsse["signatures"][0]["sig"]))
    kind = dsse["payloadType"].encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    verify = ["openssl", "dgst", "-sha256", "-verify", home / "release.key.pub"]
    for data, says in ((signed, "Verified OK\n"), (signed + b" ", "Verification failure\n")):
        (tmp_path / "signed").write_bytes(data)
        done = run([*verify, "-signature", "sig", "signed"], tmp_path)
        assert done.stdout == says
    assert done.returncode == 1


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_and_we_name_a_key_alike(home, tmp_path):
    """The key's id is the digest of what OpenSSL prints."""
    printed = run(["openssl", "pkey", "-in", home / "release.key", "-pubout"], tmp_path).stdout
    public = keys.public_key(home / "release.key.pub")
    assert keys.PublicKey(printed.encode()).key_id == public.key_id
    name = signature_in(unpacked(home / "signed.zip", tmp_path)).name
    assert name == f"{public.key_id}.sigstore.json"


# Sigstore's verifier for JavaScript.


@pytest.fixture(scope="module")
def sigstore(tmp_path_factory):
    """Runs sigstore_peer.js beside its packages; skips where they cannot be fetched."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs node and npm")
    directory = tmp_path_factory.mktemp("npm")
    (directory / "package.json").write_text('{"private": true}')
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    done = run([*install, *SIGSTORE], directory)
    if done.returncode:
        pytest.skip(f"npm cannot fetch {SIGSTORE[0]} here: {last_line(done)}")
    return lambda *arguments: run(["node", HERE / "sigstore_peer.js", *arguments], directory)


@pytest.mark.slow
def test_sigstore_parses_and_verifies_our_signature(home, tmp_path, sigstore):
    signature = signature_in(unpacked(home / "signed.zip", tmp_path))
    public = home / "release.key.pub"
    done = sigstore(signature, public)
    assert done.returncode == 0, done.stderr
    ours = envelope.read(signature.read_bytes())
    assert json.loads(done.stdout) == {
        "type": statement.PAYLOAD_TYPE,
        "payload": base64.b64encode(ours.payload).decode(),
        "hint": keys.public_key(public).key_id,
    }
    assert sigstore(signature, home / "other.key.pub").stderr == "refused: SIGNATURE_ERROR\n"
    changed = envelope.Envelope(ours.payload + b" ", ours.signature, ours.key_id)
    signature.write_bytes(changed.text())
    assert sigstore(signature, public).stderr == "refused: SIGNATURE_ERROR\n"
