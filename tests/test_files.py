from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import OutputError, UsageError
from edgepack.files import (
    canonical_json,
    replace,
    safe_member,
    sha256_bytes,
    sha256_file,
    sweep,
    write_atomic,
)

ROOT = Path(__file__).resolve().parents[1]
TEMPORARY = ".a.zip.edgepack-0123456789ab.tmp"
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


def test_digests_are_sha256(tmp_path):
    data = b"edge" * 500_000
    (tmp_path / "a").write_bytes(data)
    expected = hashlib.sha256(data).hexdigest()
    assert sha256_file(tmp_path / "a") == sha256_file(str(tmp_path / "a")) == expected
    assert sha256_bytes(data) == expected


@given(values)
def test_canonical_json_is_json_of_the_same_value(value):
    text = canonical_json(value)
    again = json.loads(text, parse_int=float)
    assert again == value
    assert canonical_json(again) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ({"\ufb33": 1, "\U0001f600": 2, "ö": 3}, '{"ö":3,"\U0001f600":2,"\ufb33":1}'),
        ([1.0, -0.0, 1e21, 1e-7, 1e-6, 1e20], "[1,0,1e+21,1e-7,0.000001,100000000000000000000]"),
        (333333333.33333329, "333333333.3333333"),
        ('\u20ac$\u000f\nA\'B"\\\\"/', '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'),
        (2**53 - 1, "9007199254740991"),
    ],
)
def test_canonical_json_follows_the_rfc(value, text):
    assert canonical_json(value) == text.encode()


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", {1: 2}, {"\ud800": 1}, b"", {1, 2}]
)
def test_what_has_no_canonical_json_is_refused(value):
    with pytest.raises(UsageError, match="no canonical JSON"):
        canonical_json([value])


def test_endless_nesting_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(UsageError, match="no canonical JSON"):
        canonical_json(value)


def test_replace_makes_directories_and_respects_the_umask(tmp_path):
    target = tmp_path / "new" / "er" / "a.zip"
    before = os.umask(0o027)
    try:
        write_atomic(target, b"new")
    finally:
        os.umask(before)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [p.name for p in target.parent.iterdir()] == ["a.zip"]


def test_the_old_file_stays_until_the_block_ends(tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    with replace(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
        file.seek(0)
        assert file.read() == b"new"
    assert target.read_bytes() == b"new"


def half_written(target: Path, error: type[BaseException]) -> None:
    with replace(target) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_a_failing_block_leaves_the_old_file_alone(error, tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    with pytest.raises(error):
        half_written(target, error)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.zip", b"old")]


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "Free space"),
        (errno.EDQUOT, "Free space"),
        (errno.EIO, "another output directory"),
        (errno.EROFS, "read-only"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failing_disk_leaves_the_old_file_alone(call, number, hint, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OutputError) as caught:
        write_atomic(target, b"new")
    assert caught.value.where == str(target)
    assert os.strerror(number) in caught.value.message
    assert hint in caught.value.hint
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.zip", b"old")]


def test_a_full_disk_is_reported(tmp_path):
    """A tmpfs of 64 KiB in a mount namespace of its own, where the kernel lets us have one."""
    code = (
        "from edgepack.files import write_atomic; from edgepack.errors import OutputError\n"
        "import os, sys\nwrite_atomic(sys.argv[1] + '/a', b'old')\n"
        "try:\n    write_atomic(sys.argv[1] + '/a', b'x' * 1_000_000)\n"
        "except OutputError as error:\n    print(error)\n"
        "print(os.listdir(sys.argv[1]), open(sys.argv[1] + '/a').read())\n"
    )
    script = 'mount -t tmpfs -o size=64k none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", script, "sh", tmp_path, sys.executable, code]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip(f"no mount namespace here: {done.stderr}")
    assert "a: cannot be written: No space left on device\n  Free space there" in done.stdout
    assert done.stdout.endswith("['a'] old\n")


def test_a_file_in_the_path_is_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Not a directory") as caught:
        write_atomic(tmp_path / "file" / "a.zip", b"")
    assert "A part of the path is a file" in caught.value.hint


def test_a_directory_is_not_replaced(tmp_path):
    with pytest.raises(OutputError, match="Is a directory"):
        write_atomic(tmp_path, b"")


def test_a_device_is_not_replaced():
    with pytest.raises(OutputError, match="not a regular file"):
        write_atomic("/dev/null", b"")
    assert not Path("/dev/null").is_file()


def test_too_long_a_name_is_reported(tmp_path):
    with pytest.raises(OutputError, match="too long"):
        write_atomic(tmp_path / ("a" * 300), b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_reported(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_atomic(tmp_path / "a", b"")


def test_a_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomic(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_errors_of_other_files_in_the_block_are_not_the_targets(tmp_path):
    with pytest.raises(FileNotFoundError), replace(tmp_path / "a"):
        (tmp_path / "other").read_bytes()


def test_sweep_removes_what_dead_writers_left(tmp_path):
    for name in (TEMPORARY, "a.zip", ".a.zip.tmp", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert sweep(tmp_path) == (tmp_path / TEMPORARY,)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".a.zip.tmp", ".hidden", "a.zip"]


def test_sweep_leaves_a_living_writer_alone(tmp_path):
    with replace(tmp_path / "a.zip") as file:
        file.write(b"new")
        assert sweep(tmp_path) == ()
    assert (tmp_path / "a.zip").read_bytes() == b"new"


@pytest.mark.parametrize(("age", "left"), [(60, True), (4000, False)])
def test_sweep_goes_by_age_where_there_are_no_locks(age, left, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / TEMPORARY).write_bytes(b"x")
    os.utime(tmp_path / TEMPORARY, (time.time() - age,) * 2)
    sweep(tmp_path)
    assert (tmp_path / TEMPORARY).exists() == left
    write_atomic(tmp_path / "b", b"new")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_sweep_of_nothing_is_nothing(tmp_path):
    assert sweep(tmp_path / "none") == ()


def test_a_killed_writer_leaves_what_sweep_finds(tmp_path):
    code = (
        "import sys, time\nfrom edgepack.files import replace\n"
        "with replace(sys.argv[1]) as file:\n"
        "    print('open', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "a.zip"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert sweep(tmp_path) == ()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(sweep(tmp_path)) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["a", "models/int8.tflite", "ä/ö.txt", "a b", "...a", "com", "a-b"]
)
def test_safe_names_pass(name):
    assert safe_member(name) == name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "is empty"),
        ("/etc/passwd", "is absolute"),
        ("../a", "leads out"),
        ("a/../../b", "leads out"),
        ("a//b", "empty or '.' part"),
        ("./a", "empty or '.' part"),
        ("a/", "a directory's"),
        ("a\\b", "a file system forbids"),
        ("C:/a", "a file system forbids"),
        ("a\nb", "a file system forbids"),
        ("a\0", "a file system forbids"),
        ("-rf", "starts with '-'"),
        ("a./b", "ends with a dot"),
        ("a ", "ends with a dot or a space"),
        ("x/NUL.txt", "device of Windows"),
        ("com1", "device of Windows"),
        ("a\u0308", "NFC"),
        ("\ud800", "NFC"),
        ("a" * 201, "too long"),
        ("ä" * 101, "too long"),
    ],
)
def test_unsafe_names_are_refused(name, message):
    with pytest.raises(ValueError, match=message):
        safe_member(name)


@given(st.text(max_size=20))
def test_a_safe_name_stays_below_its_directory(name):
    try:
        path = Path("/base") / safe_member(name)
    except ValueError:
        return
    assert Path("/base") in Path(os.path.normpath(path)).parents
