"""Keys: made, read from a file, the environment or a command, and used.

ECDSA over P-256 with SHA-256: what OpenSSL, the JDK, Android's Java, CryptoKit, HSMs and cloud key
services all have. Signatures are of the form with the lesser s, so that no second one can be made
of a known one without the key.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import KeyFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cryptography.hazmat.primitives.asymmetric.ec import (
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )

# Of the curve's group: SEC 2, version 2.0, section 2.4.2.
ORDER = 0xFFFFFFFF_00000000_FFFFFFFF_FFFFFFFF_BCE6FAAD_A7179E84_F3B9CAC2_FC632551
ENVIRONMENT = "env:"
COMMAND = "command:"
COMMAND_SECONDS = 300  # a person may have to touch a token
MAX_BYTES = 1 << 16
LONGEST_PASSPHRASE = 1023  # bytes; OpenSSL reads no more
PUBLIC_HINT = "Name the public key that edgepack keygen wrote, or one of: openssl pkey -pubout"


@dataclass(frozen=True)
class PublicKey:
    """A key that bundles are checked with.

    Args:
        pem: SubjectPublicKeyInfo in PEM, as OpenSSL prints it.
    """

    pem: bytes

    @property
    def key_id(self) -> str:
        """SHA-256 of the PEM in hexadecimal: the hint in Sigstore bundles."""
        return hashlib.sha256(self.pem).hexdigest()

    def holds(self, signature: bytes, data: bytes) -> bool:
        """Whether a signature in DER is this key's over data."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        with contextlib.suppress(InvalidSignature):
            _public(self.pem).verify(signature, data, ec.ECDSA(hashes.SHA256()))
            return True
        return False


@dataclass(frozen=True)
class Signer:
    """What signs: a public key, and how its private one is reached.

    Args:
        public: the key that will be named in the signature.
        sign: the signature in DER of given bytes; any valid one.
    """

    public: PublicKey
    sign: Callable[[bytes], bytes]

    def signature(self, data: bytes) -> bytes:
        """The signature over data, in DER and of the lesser s.

        Raises:
            KeyFileError: what came back is not the public key's signature.
        """
        try:
            made = lesser(self.sign(data))
        except ValueError:
            made = b""
        if not made or not self.public.holds(made, data):
            raise KeyFileError(
                f"what was signed does not fit the public key {self.public.key_id[:16]}",
                hint="Name the public key of the very key that signs.",
            )
        return made


def lesser(signature: bytes) -> bytes:
    """A signature in DER, of r and the lesser of s and its negative; both verify.

    Raises:
        ValueError: it is not in DER.
    """
    from cryptography.hazmat.primitives.asymmetric import utils

    r, s = utils.decode_dss_signature(signature)
    return utils.encode_dss_signature(r, min(s, ORDER - s))


def generate(passphrase: bytes | None = None) -> tuple[bytes, PublicKey]:
    """A new private key in PEM (PKCS #8, encrypted where there is a passphrase), and its public.

    Raises:
        KeyFileError: the passphrase is too long.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        _check_length(passphrase)
        encryption = serialization.BestAvailableEncryption(passphrase)
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, encryption), _public_of(key)


def _check_length(passphrase: bytes) -> None:
    if len(passphrase) > LONGEST_PASSPHRASE:
        raise KeyFileError(
            f"the passphrase has {len(passphrase)} bytes, and {LONGEST_PASSPHRASE} are the most",
            hint="Choose a shorter one.",
        )


def public_key(path: Path) -> PublicKey:
    """The public key in a PEM file.

    Raises:
        KeyFileError: it cannot be read, is no public key, or none on P-256.
    """
    pem = _file(path)
    if b"PRIVATE KEY" in pem:
        raise KeyFileError(
            "is a private key, and a public one is asked for", where=path, hint=PUBLIC_HINT
        )
    try:
        return PublicKey(_pem(_public(pem)))
    except ValueError as error:
        raise KeyFileError(f"is no public key: {error}", where=path, hint=PUBLIC_HINT) from error


def signer(spec: str, public: Path | None, passphrase: Callable[[str], bytes | None]) -> Signer:
    """The signer that a user names.

    Args:
        spec: path of a PEM file; `env:NAME`, a variable with the PEM; or `command:ARGUMENTS`, a
            program that reads what is to be signed from stdin and writes the signature to stdout,
            in DER or its base64.
        public: the public key's file; needed for a command, which cannot tell it.
        passphrase: asked for where the key is encrypted, with the key's name; None: there is none.

    Raises:
        KeyFileError: there is no such key, or it cannot be used.
    """
    if spec.startswith(COMMAND):
        return _by_command(_arguments(spec.removeprefix(COMMAND)), public)
    if spec.startswith(ENVIRONMENT):
        return _by_key(_variable(spec.removeprefix(ENVIRONMENT)), spec, passphrase)
    return _by_key(_file(Path(spec)), spec, passphrase)


def check_apart(output: Path, specs: Iterable[str], public: Path | None) -> None:
    """Refuse an output that would take the place of a key, under whatever name.

    Raises:
        KeyFileError: it would.
    """
    files = (Path(spec) for spec in specs if not spec.startswith((COMMAND, ENVIRONMENT)))
    for file in (*files, *filter(None, [public])):
        if os.path.realpath(output) == os.path.realpath(file):
            raise KeyFileError(
                "the output would take the place of this key",
                where=file,
                hint="Name another file by --output.",
            )


def _by_key(pem: bytes, where: str, passphrase: Callable[[str], bytes | None]) -> Signer:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = _private(pem, where, passphrase)
    # RFC 6979: the same bytes and key give the same signature, so that builds stay reproducible.
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return Signer(_public_of(key), lambda data: key.sign(data, algorithm))


def _arguments(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise KeyFileError(
            f"the command that signs is no shell command: {error}",
            where=command,
            hint="Close its quotes, or escape them by a backslash.",
        ) from error


def _by_command(arguments: list[str], public: Path | None) -> Signer:
    if not arguments or public is None:
        raise KeyFileError(
            "a command that signs needs arguments, and --public-key beside it",
            hint="Such as --key 'command:./sign-with-hsm.sh' --public-key release.pub",
        )

    def sign(data: bytes) -> bytes:
        return _raw(_run(arguments, data))

    return Signer(public_key(public), sign)


def _run(arguments: list[str], data: bytes) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            arguments, input=data, capture_output=True, timeout=COMMAND_SECONDS, check=True
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        reason = f"exit code {error.returncode}{': ' + said[-1] if said else ''}"
    except subprocess.TimeoutExpired:
        reason = f"no answer within {COMMAND_SECONDS} seconds"
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        return done.stdout
    raise KeyFileError(
        f"the command that signs failed: {reason}",
        where=shlex.join(arguments),
        hint="It gets the bytes to sign on stdin, and writes the signature to stdout.",
    )


def _raw(output: bytes) -> bytes:
    """A signature in DER that may stand in base64, as cloud services give it."""
    with contextlib.suppress(binascii.Error):
        return base64.b64decode(b"".join(output.split()), validate=True)
    return output


def _private(
    pem: bytes, where: str, passphrase: Callable[[str], bytes | None]
) -> EllipticCurvePrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    encrypted = b"ENCRYPTED" in pem
    secret = passphrase(where) if encrypted else None
    try:
        key = serialization.load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        reason = "the passphrase does not open it" if encrypted else "it is no private key in PEM"
        raise KeyFileError(
            reason, where=where, hint="edgepack keygen writes a key of the right kind."
        ) from error
    return _p256_private(key, where)


def _p256_private(key: object, where: str) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise KeyFileError(
        "is not a key on the curve P-256", where=where, hint="Make one by: edgepack keygen"
    )


def _public(pem: bytes) -> EllipticCurvePublicKey:
    """The key of a PEM.

    Raises:
        ValueError: it holds none, or one of another kind.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("it holds no SubjectPublicKeyInfo in PEM") from error
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ValueError("it is not on the curve P-256")


def _public_of(key: EllipticCurvePrivateKey) -> PublicKey:
    return PublicKey(_pem(key.public_key()))


def _pem(key: EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization

    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, kind)


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES)
    except OSError as error:
        raise KeyFileError(
            f"cannot be read: {error.strerror or error}",
            where=path,
            hint="Make a pair of keys by: edgepack keygen",
        ) from error


def _variable(name: str) -> bytes:
    if not (value := os.environ.get(name)):
        raise KeyFileError(f"the environment variable {name} is not set, or empty")
    return os.fsencode(value)
