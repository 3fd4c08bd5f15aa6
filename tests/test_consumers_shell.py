from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import signal
import stat
import struct
import subprocess
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bundle_samples
import forged_bundles as forge
import pytest
import tampered_bundles as tampered
from forged_bundles import Record
from tampered_bundles import MODEL, NOT_CANONICAL, NOT_HELD, OTHER_CONTENTS, own

from edgepack.bundle import envelope, framing, keys, lock, parts
from edgepack.files import sha256_bytes

SCRIPT = Path(__file__).parents[1] / "edgepack" / "consumers" / "edgepack-verify.sh"
TOOLS = (
    *("awk", "cat", "cmp", "cp", "date", "dd", "fold", "grep", "head", "mkdir", "mktemp", "mv"),
    *("od", "openssl", "rm", "sed", "sort", "tail", "tr", "wc"),
)
SHELLS = {
    "dash": ["dash"],
    "bash": ["bash", "--posix"],
    "busybox": ["busybox", "sh"],
    "zsh": ["zsh", "--emulate", "sh"],
}
AWKS = {"mawk": "mawk", "gawk": "gawk", "bwk": "original-awk"}
TAMPERED = tampered.CONTENTS | tampered.MANIFESTS | tampered.ARCHIVES
XCODE = ("SCRIPT_", "EDGEPACK_", "TARGET_BUILD", "UNLOCALIZED", "DERIVED_FILE", "TARGET_TEMP")

pytestmark = pytest.mark.skipif(
    not shutil.which("openssl"), reason="openssl is not installed: it checks the signatures"
)


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """Our signer and somebody else's, with their public keys in a directory of files."""
    directory = tmp_path_factory.mktemp("keys of the team")
    signers = []
    for name in ("ours", "theirs"):
        private, public = keys.generate()
        (directory / f"{name}.key").write_bytes(private)
        (directory / f"{name}.pub").write_bytes(public.pem)
        signers.append(keys.signer(str(directory / f"{name}.key"), None, lambda _: None))
    return (*signers, directory)


@pytest.fixture(scope="session")
def ours(pair):
    return pair[0]


@pytest.fixture(scope="session")
def theirs(pair):
    return pair[1]


@pytest.fixture(scope="session")
def key(pair):
    return pair[2] / "ours.pub"


@pytest.fixture(scope="session")
def whole(ours, tmp_path_factory):
    """A small signed bundle."""
    return forge.written(tmp_path_factory.mktemp("whole"), forge.manifest(), [ours])


@pytest.fixture
def here(tmp_path):
    """A directory whose path has spaces, quotes and letters beyond ASCII."""
    directory = tmp_path / "the app's model $(é)"
    directory.mkdir()
    return directory


@pytest.fixture
def bundle(here, whole):
    path = here / "pets 1.2.3.zip"
    path.write_bytes(whole)
    return path


def run(*arguments, shell="sh", cwd=None, path=None, user=None, **env):
    """What the script answers: exit code, stdout and stderr in one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(XCODE)}
    told = kept | env | ({"PATH": str(path)} if path else {})
    start = [shutil.which(SHELLS.get(shell, [shell])[0]), *SHELLS.get(shell, [shell])[1:]]
    return subprocess.run(
        [*start, SCRIPT, *arguments],
        check=False,
        cwd=cwd,
        env={name: str(value) for name, value in told.items()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        timeout=60,
        user=user,
        text=True,
        errors="surrogateescape",
    )


def holds(done):
    return (done.returncode, "error:" in done.stdout) == (0, False) or done.stdout


def short(signer):
    return signer.public.key_id[:16]


def files(directory):
    """Contents by relative path of all that lies below a directory."""
    found = (path for path in directory.rglob("*") if not path.is_dir())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


def installed(names):
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                not shutil.which(program), reason=f"{program} is not installed"
            ),
        )
        for name, program in names
    ]


each_shell = pytest.mark.parametrize(
    "shell", installed((name, start[0]) for name, start in SHELLS.items())
)


def toolbox(directory, extra):
    """A PATH with nothing but the tools that the script says it needs."""
    directory.mkdir()
    for name, program in {**{name: name for name in TOOLS}, **extra}.items():
        (directory / name).symlink_to(shutil.which(program))
    return directory


# What holds


@each_shell
def test_a_signed_bundle_is_taken(shell, bundle, key, here, whole, ours):
    done = run(bundle, "--key", key, "--extract", here / "taken", shell=shell)
    assert holds(done) is True
    assert f"pets 1.2.3 holds (sequence 7), signed by {short(ours)}" in done.stdout
    assert files(here / "taken") == forge.members(whole)
    assert {path.name for path in here.iterdir()} == {"taken", bundle.name}


@each_shell
def test_a_changed_bundle_is_refused(shell, here, key, whole):
    (here / "changed.zip").write_bytes(whole.replace(b"TFL3", b"TFL4"))
    done = run(here / "changed.zip", "--key", key, "--extract", here / "taken", shell=shell)
    assert done.returncode == 4
    assert f"changed.zip: {MODEL}: bytes changed: SHA-256 is " in done.stdout
    assert not (here / "taken").exists()


@pytest.mark.parametrize("awk", installed(AWKS.items()))
def test_any_awk_reads_it(awk, tmp_path, bundle, key, here, whole, ours):
    path = toolbox(tmp_path / "bin", {"awk": AWKS[awk], "sha256sum": "sha256sum"})
    found = forge.signed({**forge.members(whole), "vectors/ä b.bin": b"1"}, [ours])
    odd = forge.signed(forge.said(found, attachments=["vectors/ä b.bin"]), [ours])
    bundle.write_bytes(forge.zipped(odd))
    assert holds(run(bundle, "--key", key, "--extract", here / "taken", path=path)) is True
    assert files(here / "taken") == odd
    bundle.write_bytes(forge.zipped({**odd, "extra": b""}))
    done = run(bundle, "--key", key, path=path)
    assert "extra: SHA256SUMS does not list it" in done.stdout
    for expires, code in (("2099-01-01T00:00:00Z", 0), ("2020-01-01T00:00:00Z", 4)):
        bundle.write_bytes(forge.zipped(forge.signed(forge.said(odd, expires=expires), [ours])))
        assert run(bundle, "--key", key, path=path).returncode == code


@pytest.mark.parametrize(
    "digests", installed([(name, name) for name in ("sha256sum", "shasum", "openssl")])
)
def test_only_the_named_tools_are_needed(digests, tmp_path, bundle, key, here, whole):
    path = toolbox(tmp_path / "bin", {digests: digests})
    taken = here / "taken"
    locked = ["--lock", here / "edgepack.lock", "--update-lock"]
    assert holds(run(bundle, "--key", key, "--extract", taken, *locked, path=path)) is True
    assert files(taken) == forge.members(whole)


@pytest.mark.skipif(not shutil.which("busybox"), reason="busybox is not installed")
def test_busybox_alone_is_enough_beside_openssl(tmp_path, bundle, key, here, whole):
    path = tmp_path / "bin"
    path.mkdir()
    for name in ("sha256sum", *TOOLS):
        (path / name).symlink_to(shutil.which("openssl" if name == "openssl" else "busybox"))
    done = run(bundle, "--key", key, "--extract", here / "taken", shell="busybox", path=path)
    assert holds(done) is True
    assert files(here / "taken") == forge.members(whole)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_finds_nothing():
    done = subprocess.run(
        ["shellcheck", "--shell=sh", SCRIPT], check=False, capture_output=True, text=True
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8", "nonsense", ""])
def test_the_locale_changes_nothing(locale, bundle, key, here, whole):
    done = run(bundle, "--key", key, "--extract", here / "taken", LC_ALL=locale, LANG=locale)
    assert holds(done) is True
    assert files(here / "taken") == forge.members(whole)


def test_names_with_spaces_and_umlauts(here, ours, key, whole):
    variant = "größe s"
    found = forge.members(whole)
    model = json.loads(found["manifest.json"])["models"][0]
    model |= {"variant": variant, "path": f"models/{variant}.tflite"}
    targets = [{"name": "ios", "variants": [variant], "platform": "ios", "runtime": None}]
    found = forge.said(found, models=[model], targets=targets, attachments=["vectors/日 本.bin"])
    found |= {f"models/{variant}.tflite": found.pop(MODEL), "vectors/日 本.bin": bytes(range(256))}
    found = forge.signed(found, [ours])
    path = here / "-o dd.zip"
    path.write_bytes(forge.zipped(found))
    chosen = ["--variant", variant, "--target", "ios"]
    done = run("--key", key, "--extract", "-taken é", *chosen, "--", path.name, cwd=here)
    assert holds(done) is True
    assert files(here / "-taken é") == found


def test_empty_and_large_members(here, ours, key, whole):
    blobs = {f"vectors/{n}.bin": random.Random(n).randbytes(n) for n in (0, 1, 16_384, 3_000_001)}
    found = forge.said({**forge.members(whole), **blobs}, attachments=sorted(blobs))
    found = forge.signed(found, [ours])
    (here / "b.zip").write_bytes(forge.zipped(found))
    assert holds(run(here / "b.zip", "--key", key, "--extract", here / "taken")) is True
    assert files(here / "taken") == found


def test_many_signatures_and_keys(here, pair, whole):
    ours, theirs, directory = pair
    (here / "b.zip").write_bytes(forge.zipped(forge.signed(forge.members(whole), [ours, theirs])))
    both = run(here / "b.zip", "--key", directory / "ours.pub", "--key", directory / "theirs.pub")
    shown = sorted(short(one) for one in (ours, theirs))
    assert f"signed by {', '.join(shown)}" in both.stdout
    one = run(here / "b.zip", "--key", directory / "theirs.pub")
    assert holds(one) is True
    assert (
        f"note: not checked, for their keys were not given: the signatures by {short(ours)}"
        in one.stdout
    )


def test_an_unsigned_bundle_is_taken_only_when_that_is_asked_for(here, whole):
    (here / "b.zip").write_bytes(forge.zipped(forge.unsigned(forge.members(whole))))
    done = run(here / "b.zip", "--unsigned", "--extract", here / "taken")
    assert holds(done) is True
    assert "not checked by any key" in done.stdout


def test_unknown_fields_are_ignored(here, ours, key, whole):
    later = {
        "later": {"schema_version": 9, 'a\\"b': ["failed", {"x": [[], {}]}, -1.5e-7, None, ""]}
    }
    found = forge.signed(forge.said(forge.members(whole), **later), [ours])
    (here / "b.zip").write_bytes(forge.zipped(found))
    assert holds(run(here / "b.zip", "--key", key)) is True


def test_classes_with_characters_that_json_escapes(here, ours, key, whole):
    classes = ['a "b"', "back\\slash\\n", "tab\there", "\x01\x1f\x08", "/", "é", " x "]
    found = forge.said(forge.members(whole), classes=classes)
    found["labels.txt"] = "".join(f"{name}\n" for name in classes).encode()
    (here / "b.zip").write_bytes(forge.zipped(forge.signed(found, [ours])))
    assert holds(run(here / "b.zip", "--key", key)) is True


def test_a_key_in_another_encoding_of_the_same_text(bundle, key, here):
    text = key.read_text().replace("\n", "\r\n")
    (here / "crlf.pub").write_text(f"a comment\n{text}\n\n", newline="")
    assert holds(run(bundle, "--key", here / "crlf.pub")) is True


# What is refused


def test_another_key(bundle, pair):
    done = run(bundle, "--key", pair[2] / "theirs.pub")
    assert done.returncode == 4
    assert f"not signed by the given key: its signatures are by {short(pair[0])}" in done.stdout


@pytest.mark.parametrize("kind", TAMPERED)
def test_tampered_bundles_are_refused(kind, here, ours, key, whole):
    make, message = TAMPERED[kind]
    data = make(forge.members(whole), lambda found, name="pets": forge.signed(found, [ours], name))
    (here / "b.zip").write_bytes(data)
    (here / "taken").mkdir()
    done = run(here / "b.zip", "--key", key, "--extract", here / "taken")
    assert message in done.stdout
    assert all(line.startswith(("error: ", "  ")) for line in done.stdout.splitlines())
    assert done.returncode == 4
    assert files(here) == {"b.zip": data}


@pytest.mark.parametrize("kind", tampered.CONTENTS)
def test_without_a_key_damage_is_found_all_the_same(kind, here, ours, whole):
    make, _ = tampered.CONTENTS[kind]
    data = make(forge.members(whole), lambda found, name="pets": forge.signed(found, [ours], name))
    (here / "b.zip").write_bytes(data)
    done = run(here / "b.zip", "--unsigned")
    assert done.returncode == (0 if kind == "unsigned" else 4)


def test_lines_of_sha256sums_that_are_none(here, whole):
    found = forge.unsigned(forge.members(whole))
    first, *rest = found["SHA256SUMS"].splitlines(keepends=True)
    texts = {
        first + b"".join(rest) + b"\x1b[2J\n": "SHA256SUMS: line 4 is not a digest, two spaces",
        b"".join(rest): "labels.txt: SHA256SUMS does not list it",
        b"".join([*rest, first]): "SHA256SUMS: the lines are not sorted, ended or unique",
        b"".join([first, first, *rest]): "SHA256SUMS: the lines are not sorted, ended or unique",
        b"".join([first, *rest])[:-1]: "SHA256SUMS: the lines are not sorted, ended or unique",
    }
    for text, message in texts.items():
        (here / "b.zip").write_bytes(forge.zipped({**found, "SHA256SUMS": text}))
        done = run(here / "b.zip", "--unsigned")
        assert message in done.stdout
        assert "\x1b" not in done.stdout
        assert done.returncode == 4


@pytest.mark.parametrize("name", tampered.NAMES)
def test_names_that_do_harm_are_refused(name, here, ours, key, whole):
    listed = [*forge.records(forge.members(whole)), Record(name, b"x")]
    (here / "b.zip").write_bytes(forge.forged(sorted(listed, key=lambda one: one.name)))
    done = run(here / "b.zip", "--key", key, "--extract", here / "deep" / "taken")
    assert tampered.NAMES[name] in done.stdout
    assert "\x1b" not in done.stdout
    assert done.returncode == 4
    assert {path.name for path in here.iterdir()} == {"b.zip"}


def test_a_zip_by_another_program_is_refused(here, key, whole):
    with zipfile.ZipFile(here / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in forge.members(whole).items():
            archive.writestr(name, data)
    done = run(here / "b.zip", "--key", key)
    assert done.returncode == 4
    assert f"{MODEL}: is compressed (method 8), and must be stored" in done.stdout


# Signatures


@pytest.mark.parametrize("kind", tampered.SIGNATURES)
def test_other_forms_of_a_signature_are_refused(kind, here, ours, key, whole):
    make, message = tampered.SIGNATURES[kind]
    (here / "b.zip").write_bytes(forge.zipped(make(forge.members(whole), ours)))
    done = run(here / "b.zip", "--key", key)
    assert f"the signature by {short(ours)} {message}" in done.stdout
    assert done.returncode == 4


def test_slack_in_base64_is_refused(here, ours, key, whole):
    numbered = (forge.said(forge.members(whole), sequence=number) for number in range(99))
    signed = (forge.signed(found, [ours]) for found in numbered)
    found = next(one for one in signed if len(envelope.read(one[own(ours)]).signature) % 3)
    text = tampered.slack(found[own(ours)])
    assert text != found[own(ours)]
    assert envelope.read(text) == envelope.read(found[own(ours)])
    (here / "b.zip").write_bytes(forge.zipped({**found, own(ours): text}))
    done = run(here / "b.zip", "--key", key)
    assert NOT_CANONICAL in done.stdout
    assert done.returncode == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text, ""),
        (lambda text: text + b" ", NOT_CANONICAL),
        (lambda text: text[:-1], NOT_CANONICAL),
        (lambda _: b"{}", NOT_CANONICAL),
    ],
)
def test_a_foreign_signature_must_have_the_form(change, message, here, pair, whole):
    ours, theirs, directory = pair
    both = forge.signed(forge.members(whole), [ours, theirs])
    both[own(theirs)] = change(both[own(theirs)])
    (here / "b.zip").write_bytes(forge.zipped(both))
    done = run(here / "b.zip", "--key", directory / "ours.pub")
    expected = f"the signature by {short(theirs)} {message}"
    assert (done.returncode, expected in done.stdout) == ((4, True) if message else (0, False))


def test_a_foreign_signature_for_other_contents_is_refused(here, pair, whole):
    _, theirs, directory = pair
    found = forge.members(whole)
    other = forge.signed({**found, "labels.txt": b"x\n"}, [theirs])
    (here / "b.zip").write_bytes(forge.zipped({**found, own(theirs): other[own(theirs)]}))
    done = run(here / "b.zip", "--key", directory / "ours.pub")
    assert f"the signature by {short(theirs)} {OTHER_CONTENTS}" in done.stdout
    assert done.returncode == 4


def test_a_wrong_signature_by_one_of_two_given_keys_is_refused(here, pair, whole):
    ours, theirs, directory = pair
    both = forge.signed(forge.members(whole), [ours, theirs])
    both = tampered.altered(both, theirs, tampered.last_byte)
    (here / "b.zip").write_bytes(forge.zipped(both))
    given = ["--key", directory / "ours.pub", "--key", directory / "theirs.pub"]
    done = run(here / "b.zip", *given)
    assert f"the signature by {short(theirs)} {NOT_HELD}" in done.stdout
    assert done.returncode == 4


# Flips


def structure(data):
    """Offset and length of every field of the zip's headers."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
    (start,) = struct.unpack("<I", data[-6:-2])
    spans = []
    for info in infos:
        name = len(info.filename.encode())
        extra = int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
        local = [*fields(framing.LOCAL.format), name, *([2, 2, 2, extra - 6] if extra else [])]
        spans += placed(info.header_offset, local)
        central = [*fields(framing.CENTRAL.format), name]
        spans += placed(start, central)
        start += sum(central)
    return spans + placed(start, fields(framing.END.format))


def fields(layout):
    """Sizes of the fields of a header."""
    counts = {"s": 1, "H": 2, "I": 4}
    sizes, repeat = [], ""
    for letter in layout.removeprefix("<"):
        if letter.isdigit():
            repeat += letter
            continue
        times = int(repeat or 1)
        sizes += [times] if letter == "s" else [counts[letter]] * times
        repeat = ""
    return sizes


def placed(at, sizes):
    return [(at + sum(sizes[:number]), size) for number, size in enumerate(sizes)]


def flipped(data, bit):
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def accepted(data, bits, key, directory):
    """Of these flips those that are taken with other contents, and those that are taken at all."""
    original = forge.members(data)

    def take(bit):
        path = directory / f"{bit}.zip"
        path.write_bytes(flipped(data, bit))
        done = run(path, "--key", key, "--extract", directory / f"{bit}")
        path.unlink()
        taken = files(directory / f"{bit}") if (directory / f"{bit}").exists() else None
        assert (done.returncode, taken is None) in {(0, False), (4, True)}, done.stdout
        return taken is not None and taken != original, taken is not None

    with ThreadPoolExecutor(2) as pool:
        answers = list(zip(bits, pool.map(take, bits), strict=True))
    return [bit for bit, (other, _) in answers if other], [
        bit for bit, (_, any_) in answers if any_
    ]


def test_a_flip_in_any_structural_field_is_refused(whole, key, tmp_path):
    draw = random.Random(5)
    spans = structure(whole)
    assert len(spans) == 5 * (12 + 18) + 4 + 8
    bits = [8 * at + draw.randrange(8 * size) for at, size in spans if size]
    assert accepted(whole, bits, key, tmp_path) == ([], [])


def test_random_flips_are_refused(whole, key, tmp_path):
    with_padding = random.Random(6).sample(range(8 * len(whole)), 60)
    zeros = whole.index(bytes(1000))
    end = zeros + len(whole[zeros:]) - len(whole[zeros:].lstrip(b"\0"))
    rest = [bit for bit in range(8 * len(whole)) if not zeros <= bit // 8 < end]
    bits = with_padding + random.Random(7).sample(rest, 240)
    assert accepted(whole, sorted(set(bits)), key, tmp_path) == ([], [])


# The lock file


def released(here, ours, whole, sequence, **changes):
    found = forge.signed(forge.said(forge.members(whole), sequence=sequence, **changes), [ours])
    path = here / f"release {sequence}.zip"
    path.write_bytes(forge.zipped(found))
    return path, sha256_bytes(found[parts.SUMS])


def locked(*lines):
    return "".join(f"{line}\n" for line in [lock.HEAD, *lines])


@each_shell
def test_the_lock_file_refuses_older_releases(shell, here, ours, key, whole):
    def verify(path, *more):
        return run(path, "--key", key, "--lock", here / "my edgepack.lock", *more, shell=shell)

    file = here / "my edgepack.lock"
    ninth, digest = released(here, ours, whole, 9)
    tenth, later = released(here, ours, whole, 10)
    assert verify(ninth).returncode == 2
    assert holds(verify(ninth, "--update-lock")) is True
    assert file.read_text() == locked(f"pets 9 sha256:{digest} 1.2.3")
    assert lock.read(file)["pets"].sequence == 9
    assert holds(verify(tenth)) is True
    assert holds(verify(ninth)) is True
    assert holds(verify(tenth, "--update-lock")) is True
    assert file.read_text() == locked(f"pets 10 sha256:{later} 1.2.3")
    for more in ([], ["--update-lock"]):
        done = verify(ninth, *more)
        assert "sequence 9 is lower than 10 in edgepack.lock: an older release" in done.stdout
        assert done.returncode == 4
    assert file.read_text() == locked(f"pets 10 sha256:{later} 1.2.3")


def test_two_releases_of_one_sequence_are_refused(here, ours, key, whole):
    first, digest = released(here, ours, whole, 2**53 - 1)
    (here / "l").write_text(locked(f"pets {2**53 - 1} sha256:{digest} 1.2.3"))
    assert holds(run(first, "--key", key, "--lock", here / "l")) is True
    second, _ = released(here, ours, whole, 2**53 - 1, license="MIT")
    done = run(second, "--key", key, "--lock", here / "l", "--update-lock")
    assert f"sequence {2**53 - 1} is the one in edgepack.lock, and the contents " in done.stdout
    assert "are not: two releases of one sequence" in done.stdout
    assert done.returncode == 4


def test_further_signatures_do_not_change_what_is_locked(here, pair, whole):
    ours, theirs, directory = pair
    path, digest = released(here, ours, whole, 4)
    (here / "l").write_text(locked(f"pets 4 sha256:{digest} 1.2.3"))
    path.write_bytes(forge.zipped(forge.signed(forge.members(path.read_bytes()), [ours, theirs])))
    assert holds(run(path, "--key", directory / "ours.pub", "--lock", here / "l")) is True


def test_the_lock_keeps_other_bundles_sorted(here, ours, key, whole):
    path, digest = released(here, ours, whole, 4)
    others = ["Pets 1 sha256:" + "a" * 64 + " 1.0.0", "pets-2 2 sha256:" + "b" * 64 + " 1.0.0"]
    (here / "l").write_text(locked(*others))
    done = run(path, "--key", key, "--lock", here / "l")
    assert "pets is not in edgepack.lock" in done.stdout
    assert done.returncode == 4
    assert holds(run(path, "--key", key, "--lock", here / "l", "--update-lock")) is True
    own = f"pets 4 sha256:{digest} 1.2.3"
    assert (here / "l").read_text() == locked(others[0], own, others[1])
    before = (here / "l").stat()
    assert holds(run(path, "--key", key, "--lock", here / "l", "--update-lock")) is True
    assert (here / "l").stat() == before or (here / "l").stat().st_mtime_ns == before.st_mtime_ns


def test_a_lock_needs_a_sequence(here, ours, key, whole):
    path, _ = released(here, ours, whole, None)
    done = run(path, "--key", key, "--lock", here / "l", "--update-lock")
    assert "no sequence: a lock needs one" in done.stdout
    assert done.returncode == 4
    assert not (here / "l").exists()
    assert "(no sequence)" in run(path, "--key", key).stdout


ENTRY = f"pets 4 sha256:{'a' * 64} 1.2.3"
BAD_LOCKS = {
    "": "is no edgepack.lock of version 1",
    "pets 4\n": "is no edgepack.lock of version 1",
    locked(ENTRY).replace("\n", "\r\n"): "is no edgepack.lock of version 1",
    locked(ENTRY).replace("lock 1", "lock 2"): "is no edgepack.lock of version 1",
    locked(ENTRY, ENTRY): ":3: is not NAME SEQUENCE",
    locked(ENTRY, ""): ":3: is not NAME SEQUENCE",
    locked(ENTRY.replace(" 4", "  4")): ":2: is not NAME SEQUENCE",
    locked(ENTRY.replace(" 4", " 04")): ":2: is not NAME SEQUENCE",
    locked(ENTRY.replace(" 4", " -4")): ":2: is not NAME SEQUENCE",
    locked(ENTRY.replace(" 4", f" {2**53}")): ":2: is not NAME SEQUENCE",
    locked(ENTRY.replace("aaaa", "AAAA")): ":2: is not NAME SEQUENCE",
    locked(ENTRY.replace("aaaa", "aaa")): ":2: is not NAME SEQUENCE",
    locked(ENTRY.replace("sha256", "sha512")): ":2: is not NAME SEQUENCE",
    locked(ENTRY + " x"): ":2: is not NAME SEQUENCE",
    locked(f"<<<<<<< ours\n{ENTRY}"): ":2: is not NAME SEQUENCE",
}


@pytest.mark.parametrize("text", BAD_LOCKS)
def test_a_lock_file_that_is_none_is_a_mistake(text, bundle, key, here):
    file = here / "edgepack.lock"
    file.write_text(text, newline="")
    for more in ([], ["--update-lock"]):
        done = run(bundle, "--key", key, "--lock", file, *more)
        assert BAD_LOCKS[text] in done.stdout
        assert done.returncode == 2
    assert file.read_text() == text.replace("\r", "") or "\r" in text


@pytest.fixture
def open_place(whole, key):
    """A directory that another user can enter, with a bundle, a key and a lock file of root's."""
    with tempfile.TemporaryDirectory(prefix="read only ") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "b.zip").write_bytes(whole)
        shutil.copy(key, place / "k.pub")
        digest = sha256_bytes(forge.members(whole)[parts.SUMS])
        (place / "edgepack.lock").write_text(locked(f"pets 6 sha256:{digest} 1.2.2"))
        yield place


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as a user who may not write")
def test_a_lock_in_a_read_only_directory(open_place):
    before = files(open_place)
    given = ["b.zip", "--key", "k.pub", "--lock", "edgepack.lock"]
    script = open_place / "v.sh"
    shutil.copy(SCRIPT, script)

    def verify(*more):
        return subprocess.run(
            ["sh", "v.sh", *given, *more],
            check=False,
            cwd=open_place,
            user=65534,
            env={"PATH": os.environ["PATH"], "TMPDIR": "/tmp"},
            capture_output=True,
            text=True,
        )

    assert verify().returncode == 0
    done = verify("--update-lock")
    assert (done.returncode, done.stderr) == (2, "error: edgepack.lock: cannot be written\n")
    done = verify("--extract", "taken")
    assert done.returncode == 2
    assert "error: .: cannot be written" in done.stderr
    script.unlink()
    assert files(open_place) == before


# Usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no bundle is named"),
        (["absent.zip", "--key", "k.pub"], "absent.zip: there is no such file"),
        (["b.zip"], "no key is named"),
        (["b.zip", "--key"], "--key needs a value"),
        (["b.zip", "--key="], "--key needs a value"),
        (["b.zip", "--key", "k.pub", "--unsigned"], "--key and --unsigned contradict each other"),
        (["b.zip", "--key", "absent.pub"], "absent.pub: cannot be read"),
        (["b.zip", "--key", "b.zip"], "b.zip: is no public key"),
        (["b.zip", "--key", "k.key"], "is a private key, and a public one is asked for"),
        (["b.zip", "--key", "rsa.pub"], "rsa.pub: is not on the curve P-256"),
        (["b.zip", "--key", "p384.pub"], "p384.pub: is not on the curve P-256"),
        (["b.zip", "c.zip", "--key", "k.pub"], "one bundle at a time: b.zip, and c.zip"),
        (["b.zip", "--key", "k.pub", "--update-lock"], "no lock file is named"),
        (["b.zip", "--key", "k.pub", "--lock", "absent"], "absent: there is no such lock file"),
        (["b.zip", "--key", "k.pub", "--lock", "."], ".: cannot be read"),
        (["b.zip", "--key", "k.pub", "--whatever"], "there is no option --whatever"),
        ([".", "--key", "k.pub"], ".: is not a file that can be read"),
        (["b.zip", "--key", "k.pub", "--variant", "int4"], "no variant int4 in the bundle"),
        (
            ["b.zip", "--key", "k.pub", "--target", "tv"],
            "no variant is for target tv: the bundle has android",
        ),
        (["b.zip", "--key", "k.pub", "--extract", "."], "holds b.zip, which no bundle put there"),
        (["b.zip", "--key", "k.pub", "--extract", "k.pub"], "k.pub: is not a directory"),
        (["b.zip", "--key", "k.pub", "--extract", "k.pub/x"], "k.pub: cannot be"),
        (
            ["b.zip", "--key", "k.pub", "--extract", "x/.."],
            "x/..: is not a directory that can be replaced",
        ),
    ],
)
def test_mistakes_of_usage(arguments, message, here, pair, whole):
    (here / "b.zip").write_bytes(whole)
    for name, source in {"k.pub": "ours.pub", "k.key": "ours.key"}.items():
        shutil.copy(pair[2] / source, here / name)
    for name, kind in {"rsa": "RSA", "p384": "EC -pkeyopt ec_paramgen_curve:P-384"}.items():
        if f"{name}.pub" in arguments:
            command = f"openssl genpkey -algorithm {kind} | openssl pkey -pubout -out {name}.pub"
            subprocess.run(["sh", "-c", command], check=True, cwd=here, capture_output=True)
    before = files(here)
    done = run(*arguments, cwd=here)
    assert message in done.stdout
    assert done.stdout.startswith("error: ")
    assert done.returncode == 2
    assert files(here) == before


def test_help():
    done = run("--help")
    assert done.returncode == 0
    assert "--update-lock" in done.stdout
    assert "shasum" not in done.stdout


def test_a_failed_bundle_is_taken_when_that_is_asked_for(here, ours, key, whole):
    found = forge.signed(forge.said(forge.members(whole), failed=True), [ours])
    (here / "b.zip").write_bytes(forge.zipped(found))
    done = run(here / "b.zip", "--key", key, "--allow-failed")
    assert holds(done) is True
    assert "warning: " in done.stdout


def test_a_bundle_that_expires_later_is_taken(here, ours, key, whole):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    for expires, code in ((soon, 0), ("9999-12-31T23:59:59Z", 0), ("2000-01-01T00:00:00Z", 4)):
        found = forge.signed(forge.said(forge.members(whole), expires=expires), [ours])
        (here / "b.zip").write_bytes(forge.zipped(found))
        assert run(here / "b.zip", "--key", key, TZ="Asia/Tokyo").returncode == code


# The copies


@pytest.fixture
def several(here, ours):
    """A bundle of three variants, of which a target takes two."""
    variants = {
        "float32": bundle_samples.tiny_model(),
        "int8": bundle_samples.tiny_model(),
        "f16": bundle_samples.tiny_model(),
    }
    said = bundle_samples.manifest_of(variants)
    targets = (said.targets[0].model_copy(update={"name": "ios", "variants": ("int8", "f16")}),)
    said = said.model_copy(update={"targets": (*said.targets, *targets)})
    (here / "several.zip").write_bytes(forge.written(here, said, [ours]))
    return here / "several.zip"


@pytest.mark.parametrize(
    ("chosen", "models"),
    [
        ([], {"float32", "int8", "f16"}),
        (["--target", "ios"], {"int8", "f16"}),
        (["--target=android"], {"float32", "int8", "f16"}),
        (["--variant", "int8"], {"int8"}),
        (["--variant", "int8", "--variant=float32"], {"int8", "float32"}),
        (["--variant", "f16", "--target", "ios"], {"f16"}),
    ],
)
def test_only_chosen_models_are_handed_out(chosen, models, several, key, here):
    assert holds(run(several, "--key", key, "--extract", here / "taken", *chosen)) is True
    found = files(here / "taken")
    assert {name for name in found if name.endswith(".tflite")} == {
        f"models/{m}.tflite" for m in models
    }
    assert {"SHA256SUMS", "labels.txt", "manifest.json"} < found.keys()


def test_a_variant_must_be_for_the_target(several, key):
    done = run(several, "--key", key, "--target", "ios", "--variant", "float32")
    assert "variant float32 is not for target ios" in done.stdout
    assert done.returncode == 2


def test_an_earlier_extraction_is_replaced_as_a_whole(several, bundle, key, here, whole):
    taken = here / "deep" / "er" / "taken"
    assert holds(run(several, "--key", key, "--extract", taken)) is True
    (taken / ".DS_Store").touch()
    assert holds(run(bundle, "--key", key, "--extract", f"{taken}/")) is True
    assert files(taken) == forge.members(whole)
    assert list(taken.parent.iterdir()) == [taken]


def test_files_get_the_mode_that_the_umask_says(bundle, key, here):
    command = f'umask 022; exec sh "{SCRIPT}" "$@"'
    arguments = ["sh", bundle, "--key", key, "--extract", here / "taken"]
    subprocess.run(["sh", "-c", command, *arguments], check=True, capture_output=True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (here / "taken").rglob("*.tflite")}
    assert modes == {0o644}
    assert stat.S_IMODE((here / "taken").stat().st_mode) == 0o755


def test_what_somebody_put_into_the_directory_is_kept(bundle, key, here):
    assert holds(run(bundle, "--key", key, "--extract", here / "taken")) is True
    (here / "taken" / "notes.txt").write_text("mine")
    done = run(bundle, "--key", key, "--extract", here / "taken")
    assert "holds notes.txt, which no bundle put there" in done.stdout
    assert (here / "taken" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_killed_midway_it_leaves_all_or_nothing(
    number, bundle, several, key, here, whole, tmp_path
):
    wholes = [None, forge.members(whole), forge.members(several.read_bytes())]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    taken = here / "taken"
    env = os.environ | {"TMPDIR": str(scratch)}
    draw = random.Random(number)
    for turn in range(12):
        given = [(bundle, several)[turn % 2], "--key", key, "--extract", taken]
        child = subprocess.Popen(
            ["sh", SCRIPT, *given],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(draw.uniform(0.002, 0.12))
        os.killpg(child.pid, number)
        child.wait(timeout=20)
        assert (files(taken) if taken.exists() else None) in wholes
        if number != signal.SIGKILL:
            assert list(scratch.iterdir()) == []
            assert {path.name for path in here.iterdir()} <= {
                "taken",
                *(p.name for p in (bundle, several)),
                "float32.in",
                "int8.in",
                "f16.in",
                "written.zip",
            }


def test_two_runs_at_once_both_leave_it_whole(bundle, several, key, here, whole):
    wholes = [forge.members(whole), forge.members(several.read_bytes())]
    taken = here / "taken"
    before = {path.name for path in here.iterdir()}
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(run, path, "--key", key, "--extract", taken)
            for path in (bundle, several) * 4
        ]
        assert [holds(one.result()) for one in runs] == [True] * 8
    assert files(taken) in wholes
    assert {path.name for path in here.iterdir()} == before | {"taken"}


# In Xcode


def phase(here, bundle, key, **more):
    """The variables of a run-script phase."""
    app = {
        "TARGET_BUILD_DIR": here / "Build Products",
        "UNLOCALIZED_RESOURCES_FOLDER_PATH": "Pets App.app",
        "DERIVED_FILE_DIR": here / "Derived Sources",
        "TARGET_TEMP_DIR": here / "Pets.build",
        "TMPDIR": here / "tmp",
    }
    (here / "tmp").mkdir(exist_ok=True)
    return app | {"EDGEPACK_BUNDLE": bundle, "EDGEPACK_KEY": key, **more}


def outputs(*paths):
    named = {f"SCRIPT_OUTPUT_FILE_{number}": path for number, path in enumerate((*paths, ""))}
    return {"SCRIPT_OUTPUT_FILE_COUNT": len(named), **named}


@each_shell
def test_declared_outputs_are_made_and_nothing_else(shell, several, key, here):
    app = here / "Build Products" / "Pets App.app"
    declared = outputs(app / "int8.tflite", app / "labels.txt", app / "pets" / "manifest.json")
    before = files(here)
    for _ in range(2):
        done = run(shell=shell, **phase(here, several, key, EDGEPACK_TARGET="ios", **declared))
        assert holds(done) is True
        made = {name: data for name, data in files(here).items() if name not in before}
        found = forge.members(several.read_bytes())
        assert made == {
            "Build Products/Pets App.app/int8.tflite": found["models/int8.tflite"],
            "Build Products/Pets App.app/labels.txt": found["labels.txt"],
            "Build Products/Pets App.app/pets/manifest.json": found["manifest.json"],
        }


def test_outputs_of_a_file_list(several, key, here):
    app = here / "Build Products" / "Pets App.app"
    (here / "out.xcfilelist").write_text(f"# ours\n\n{app}/int8.tflite\n{app}/f16.tflite\n")
    lists = {
        "SCRIPT_OUTPUT_FILE_LIST_COUNT": 1,
        "SCRIPT_OUTPUT_FILE_LIST_0": here / "out.xcfilelist",
    }
    assert holds(run(**phase(here, several, key, SCRIPT_OUTPUT_FILE_COUNT=0, **lists))) is True
    assert set(files(app)) == {"int8.tflite", "f16.tflite"}


def test_an_output_that_no_member_fits_is_a_mistake(several, key, here):
    app = here / "Build Products" / "Pets App.app"
    declared = outputs(app / "int8.tflite", app / "float32.tflite")
    done = run(**phase(here, several, key, EDGEPACK_TARGET="ios", **declared))
    assert "float32.tflite: is declared as an output, and no member is to go there" in done.stdout
    assert done.returncode == 2
    assert not app.exists()


def test_refused_bundles_leave_outputs_as_they_were(here, key, whole):
    (here / "b.zip").write_bytes(whole.replace(b"TFL3", b"TFL4"))
    (here / "int8.tflite").write_bytes(b"old")
    done = run(**phase(here, here / "b.zip", key, **outputs(here / "int8.tflite")))
    assert done.returncode == 4
    assert (here / "int8.tflite").read_bytes() == b"old"


def test_without_declared_outputs_a_folder_of_the_release_is_made(bundle, key, here, whole):
    for _ in range(2):
        assert holds(run(**phase(here, bundle, key))) is True
        assert files(here / "Build Products" / "Pets App.app" / "pets") == forge.members(whole)
        assert [p.name for p in (here / "Build Products" / "Pets App.app").iterdir()] == ["pets"]
    assert [*(here / "Pets.build").iterdir(), *(here / "tmp").iterdir()] == []
    assert not (here / "Derived Sources").exists()


def test_the_lock_of_the_environment_is_held(bundle, key, here):
    (here / "edgepack.lock").write_text(locked(f"pets 8 sha256:{'a' * 64} 1.3.0"))
    done = run(**phase(here, bundle, key, EDGEPACK_LOCK=here / "edgepack.lock"))
    assert "sequence 7 is lower than 8 in edgepack.lock: an older release" in done.stdout
    assert done.returncode == 4


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_in_xcode_it_touches_only_what_is_declared(several, key, here):
    app = here / "Build Products" / "Pets App.app"
    app.mkdir(parents=True)
    (here / "Pets.build").mkdir()
    log = here / "trace"
    calls = "open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat"
    declared = phase(here, several, key, **outputs(app / "int8.tflite", app / "labels.txt"))
    done = subprocess.run(
        ["strace", "-f", "-xx", "-o", log, "-e", f"trace={calls}", "sh", SCRIPT],
        check=False,
        env={name: str(value) for name, value in (os.environ | declared).items()},
        capture_output=True,
    )
    if b"strace: " in done.stderr:
        pytest.skip("strace may not trace here")
    names = re.findall(r'"((?:\\x[0-9a-f]{2})*)"', log.read_text())
    paths = {bytes.fromhex(name.replace("\\x", "")).decode() for name in names}
    ours = {Path(path) for path in paths if path.startswith(f"{here}/")}
    work = here / "Pets.build"
    outside = {path for path in ours if work not in path.parents}
    assert outside - {work} == {several, app / "int8.tflite", app / "labels.txt"}
    assert sorted(files(app)) == ["int8.tflite", "labels.txt"]


# The docs


def blocks(start, end):
    """The code of a section of docs/ios.md, a string for each block."""
    text = (SCRIPT.parents[2] / "docs" / "ios.md").read_text()
    section = text[text.index(start) : text.index(end)]
    found = re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    return [block.replace("\n    ", "\n").lstrip() for block in found]


def test_the_docs_work_from_an_empty_directory(tmp_path, whole, key):
    path = toolbox(tmp_path / "bin", {"sh": "sh", "sha256sum": "sha256sum"})
    app = tmp_path / "My App"
    (app / "Models").mkdir(parents=True)
    shutil.copy(SCRIPT, app / "Models")
    (app / "Models" / "pets-1.2.3.zip").write_bytes(whole)
    shutil.copy(key, app / "Models" / "release.pub")
    (commands,) = blocks("## Check it by hand", "| exit code |")
    assert commands.count("edgepack-verify.sh") == 2
    done = subprocess.run(
        ["sh", "-ec", commands], check=False, cwd=app, env={"PATH": str(path)}, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert files(app / "Models" / "out") == forge.members(whole)
    inputs, made, script = blocks("## In Xcode", "Each output is")
    values = {
        "$(SRCROOT)": str(app),
        "$(TARGET_BUILD_DIR)": str(tmp_path / "products"),
        "$(UNLOCALIZED_RESOURCES_FOLDER_PATH)": "My App.app",
    }
    for name, value in values.items():
        inputs, made = inputs.replace(name, value), made.replace(name, value)
    told = {f"SCRIPT_INPUT_FILE_{n}": one for n, one in enumerate(inputs.splitlines())}
    env = told | outputs(*made.splitlines()) | {"PATH": path, "TARGET_TEMP_DIR": tmp_path / "temp"}
    subprocess.run(
        ["sh", "-c", script], check=True, env={name: str(value) for name, value in env.items()}
    )
    assert set(files(tmp_path / "products" / "My App.app")) == {
        "int8.tflite",
        "labels.txt",
        "manifest.json",
    }
