"""A hundred thousand mutants of a bundle: refused in time and in little memory, or unchanged."""

from __future__ import annotations

import io
import os
import random
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import forged_bundles as forge
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hostile_bundles import KINDS, Mutants, huge

from edgepack.bundle import keys, verify
from edgepack.errors import VerificationError

CORPUS = Path(__file__).parent / "corpus"
WHERE = Path("mutant.zip")
COUNT = int(os.environ.get("EDGEPACK_MUTANTS", "100000"))
SHARES = {"raw": 30, "framing": 20, "text": 12, "values": 20, "model": 8, "texts": 10}
PARTS = 2  # for as many processes
SECONDS = 1
BYTES = 96 << 20


@pytest.fixture(scope="module")
def signer():
    """A key that is the same in each run, and so are its signatures, and all mutants of them."""
    key = ec.derive_private_key(2026, ec.SECP256R1())
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    with pytest.MonkeyPatch.context() as patch:
        text = key.private_bytes(*pem, serialization.NoEncryption()).decode()
        patch.setenv("MUTANTS_KEY", text)
        return keys.signer("env:MUTANTS_KEY", None, lambda _: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, signer) -> bytes:
    return forge.written(tmp_path_factory.mktemp("whole"), forge.manifest(), [signer])


def taken(data: bytes, given=()) -> bool:
    """Whether a bundle is accepted; anything but a refusal is an error, and so is dawdling."""
    started = time.process_time()
    try:
        verify.check(io.BytesIO(data), WHERE, given)
    except VerificationError:
        return False
    else:
        return True
    finally:
        assert time.process_time() - started < SECONDS


def test_the_bundle_that_is_mutated_holds(whole, signer):
    assert taken(whole)
    assert taken(whole, [signer.public])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_refused(whole, signer, kind, part):
    drawn, mutants = random.Random(f"{kind} {part}"), Mutants(whole)
    sealed = kind in {"text", "values", "model"}  # under digests that fit
    for number in range(COUNT * SHARES[kind] // 100 // PARTS):
        data = getattr(mutants, kind)(drawn)
        if data == whole:
            continue
        try:
            # By a key that is not given, a signature is not checked but for its form; where its
            # own bytes change, it takes the key to tell. With the key, what is under a signature
            # that does not hold is not looked at; so members are also read without.
            keyed = kind == "texts" or number % (8 if sealed else 2) == 1
            assert not taken(data, [signer.public] if keyed else ())
        except Exception as error:
            raise AssertionError(f"mutant {number} of kind {kind}, part {part}") from error


@pytest.fixture(scope="module")
def giants(whole):
    return huge(forge.unsigned(forge.members(whole)))


def test_what_declares_or_holds_much_takes_no_time(giants):
    for name, data in giants.items():
        started = time.process_time()
        with suppress(VerificationError):
            verify.check(io.BytesIO(data), WHERE)
        assert time.process_time() - started < SECONDS, name


@pytest.mark.slow
def test_what_declares_or_holds_much_takes_little_memory(giants):
    for name, data in giants.items():
        tracemalloc.start()
        with suppress(VerificationError):
            verify.check(io.BytesIO(data), WHERE)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < BYTES, f"{name}: {peak >> 20} MiB"


def test_the_first_differences_of_much_are_named(whole):
    members = forge.unsigned(forge.members(whole))
    many = "".join(f"{number}\n" for number in range(100_000)).encode()
    for name in ("labels.txt", "SHA256SUMS"):
        with pytest.raises(VerificationError) as caught:
            verify.check(io.BytesIO(forge.zipped({**members, name: many})), WHERE)
        assert len(caught.value.message) < 10_000


# What was once found: an archive that must be refused, by the name of what it does.


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_the_corpus_is_refused(path):
    assert not taken(path.read_bytes())
