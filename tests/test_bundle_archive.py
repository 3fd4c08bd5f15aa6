from __future__ import annotations

import io
import os
import re
import resource
import signal
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.bundle import archive, framing, reader
from edgepack.errors import OutputError, UsageError, VerificationError

ROOT = Path(__file__).resolve().parents[1]
EPOCH = 1_700_000_000
MEMBERS = {"a.txt": b"alpha", "m/one.tflite": b"TFL3" * 5, "m/two.tflite": b"", "z/ä": b"omega\n"}

part = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


def is_safe(name: str) -> bool:
    return not reader.name_faults([name])


names = st.lists(part, min_size=1, max_size=3).map("/".join).filter(is_safe)
suffixed = st.tuples(names, st.sampled_from(["", ".tflite", ".txt"])).map("".join).filter(is_safe)
members = st.dictionaries(suffixed, st.binary(max_size=64), max_size=6).filter(
    lambda found: not reader.name_faults(framing.archive_order(found))
)


def zipped(entries: dict[str, bytes], epoch: int = EPOCH) -> bytes:
    file = io.BytesIO()
    archive.write_to(file, entries, epoch=epoch)
    return file.getvalue()


WHOLE = zipped(MEMBERS)


def faults(data: bytes) -> tuple[str, ...]:
    return reader.scan(io.BytesIO(data)).faults


@given(members, st.integers(-(2**40), 2**40))
def test_what_is_written_is_read(entries, epoch):
    file = io.BytesIO(zipped(entries, epoch))
    found = reader.scan(file)
    assert not found.faults
    assert {e.name: b"".join(reader.payload(file, e)) for e in found.entries} == entries
    assert all(not e.offset % 16384 for e in found.entries if e.name.endswith(".tflite"))


@given(members)
def test_zipfile_reads_it(entries):
    with zipfile.ZipFile(io.BytesIO(zipped(entries))) as found:
        assert found.testzip() is None
        assert {i.filename: found.read(i) for i in found.infolist()} == entries


@given(st.data())
@settings(max_examples=300)
def test_a_mutated_archive_is_never_read_as_another(data):
    at = data.draw(st.integers(0, len(WHOLE)))
    cut = data.draw(st.integers(0, 40))
    changed = WHOLE[:at] + data.draw(st.binary(max_size=40)) + WHOLE[at + cut :]
    file = io.BytesIO(changed)
    found = reader.scan(file)
    read = {e.name: b"".join(reader.payload(file, e)) for e in found.entries}
    intact = all(zlib.crc32(read[e.name]) == e.crc for e in found.entries)
    assert found.faults or not intact or changed == zipped(read)


@given(st.binary(max_size=400), st.integers(0, 3), st.integers(0, 400))
def test_random_bytes_are_refused(noise, count, start):
    end = framing.END.pack(framing.END_SIGNATURE, 0, 0, count, count, len(noise), start, 0)
    assert faults(noise)
    assert faults(noise + end) or not (noise or count or start)


def test_an_archive_without_entries_has_a_directory():
    assert reader.scan(io.BytesIO(zipped({}))).entries == ()
    assert not faults(zipped({}))


@pytest.mark.parametrize("tool", [["unzip", "-t"], ["zipinfo"], ["jar", "tf"]], ids=lambda t: t[0])
def test_other_tools_read_it(tool, tmp_path):
    archive.write(MEMBERS, tmp_path / "a.zip", epoch=EPOCH)
    try:
        done = subprocess.run(
            [*tool, "a.zip"], cwd=tmp_path, capture_output=True, timeout=60, check=False
        )
    except FileNotFoundError:
        pytest.skip(f"{tool[0]} is not installed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"one.tflite" in done.stdout
    assert b"warning" not in (done.stdout + done.stderr).lower()


def test_mode_time_and_method_are_fixed():
    found = zipfile.ZipFile(io.BytesIO(zipped(MEMBERS))).infolist()
    assert {i.date_time for i in found} == {(2023, 11, 14, 22, 13, 20)}
    assert {i.external_attr >> 16 for i in found} == {stat.S_IFREG | 0o644}
    assert {i.compress_type for i in found} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (-5, (1980, 1, 1, 0, 0, 0)),
        (1_700_000_001, (2023, 11, 14, 22, 13, 20)),
        (2**50, (2107, 12, 31, 23, 59, 58)),
    ],
)
def test_epoch_is_clamped_and_even(epoch, expected):
    assert zipfile.ZipFile(io.BytesIO(zipped(MEMBERS, epoch))).infolist()[0].date_time == expected


def test_order_of_entries_changes_nothing():
    assert zipped(MEMBERS) == zipped(dict(reversed(MEMBERS.items())))


def test_files_and_bytes_give_the_same_archive(tmp_path):
    paths = {name: tmp_path / str(i) for i, name in enumerate(MEMBERS)}
    for name, path in paths.items():
        path.write_bytes(MEMBERS[name])
    archive.write(paths, tmp_path / "a.zip", epoch=EPOCH)
    assert (tmp_path / "a.zip").read_bytes() == zipped(MEMBERS)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"../up": b""}, "leads out of the archive"),
        ({"/top": b""}, "is absolute"),
        ({"dir/": b""}, "a directory's"),
        ({"a": b"", "A": b""}, "beside"),
        ({"a": b"", "a/b": b""}, "a file"),
        ({f"{i:04}": b"" for i in range(1001)}, "1001 entries"),
    ],
)
def test_names_that_cannot_be_unpacked_are_not_written(entries, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        archive.write(entries, tmp_path / "a.zip", epoch=EPOCH)
    assert not list(tmp_path.iterdir())


def patched(data: bytes, at: int, layout: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, *values)
    return bytes(changed)


def central(data: bytes, number: int = 0) -> int:
    at = -1
    for _ in range(number + 1):
        at = data.index(b"PK\x01\x02", at + 1)
    return at


FIRST = central(WHOLE)
END = len(WHOLE) - 22


def renamed(old: bytes, new: bytes) -> bytes:
    return WHOLE.replace(old, new)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes are too few"),
        (b"\x50" * 100, "not a zip"),
        (WHOLE[:-1], "cut short"),
        (WHOLE + b"\0", "appended"),
        (b"\0" + WHOLE, "added or removed"),
        (patched(WHOLE, END + 20, "<H", 1), "added or removed"),
        (patched(WHOLE, END + 4, "<H", 0xFFFF), "added or removed"),
        (patched(WHOLE, END + 8, "<2H", 2000, 2000), "2000 entries"),
        (patched(WHOLE, END + 8, "<2H", 3, 3), "more than its 3 records"),
        (patched(WHOLE, END + 8, "<2H", 5, 5), "record 5 of the directory is damaged"),
        (patched(WHOLE, FIRST + 32, "<H", 4000), "record 1 of the directory is cut short"),
        (patched(WHOLE, FIRST + 46, "<B", 0xFF), "not UTF-8"),
        (patched(WHOLE, FIRST + 10, "<H", 8), "a.txt: is compressed"),
        (patched(WHOLE, FIRST + 8, "<H", 0x801), "a.txt: is encrypted"),
        (patched(WHOLE, FIRST + 8, "<H", 0x808), "data descriptor"),
        (patched(WHOLE, FIRST + 8, "<H", 0), "flags is 0, 2048 expected"),
        (patched(WHOLE, FIRST + 12, "<H", 1), "a.txt: time is 1"),
        (patched(WHOLE, FIRST + 20, "<2I", 4, 4), "starts at byte 40, 39 expected"),
        (patched(WHOLE, FIRST + 20, "<2I", 6, 6), "overlaps"),
        (patched(WHOLE, FIRST + 20, "<I", 4), "stored size is 4, 5 expected"),
        (patched(WHOLE, FIRST + 38, "<I", 0o120777 << 16), "a symbolic link"),
        (patched(WHOLE, FIRST + 38, "<I", 0o040755 << 16), "a directory"),
        (patched(WHOLE, FIRST + 38, "<I", 0o100755 << 16), "attributes is"),
        (patched(WHOLE, FIRST + 4, "<H", 45), "version made by is 45"),
        (patched(WHOLE, 6, "<H", 0x801), r"a.txt: is encrypted \(local header\)"),
        (patched(WHOLE, 8, "<H", 8), r"a.txt: is compressed .* \(local header\)"),
        (patched(WHOLE, 14, "<I", 7), r"a.txt: CRC is 7, .* \(local header\)"),
        (patched(WHOLE, 18, "<2I", 9, 9), r"a.txt: stored size is 9, 5 expected \(local header\)"),
        (patched(WHOLE, 30, "<B", 0x62), "has another name in its local header"),
        (patched(WHOLE, 100, "<B", 1), "is not padded as its alignment asks"),
        (renamed(b"a.txt", b"/.txt"), "the name is absolute"),
        (renamed(b"m/one.tflite", b"../ne.tflite"), "leads out of the archive"),
        (renamed(b"a.txt", b"a.tx/"), "a directory's"),
        (renamed(b"m/two", b"m/one"), "'m/one.tflite': the name is there a second time"),
        (renamed(b"m/two", b"M/ONE"), "'M/ONE.tflite': the name is there beside 'm/one.tflite'"),
        (renamed(b"a.txt", b"n.txt"), "not sorted"),
        (renamed(b"a.txt", b"a\\txt"), "a character that a file system forbids"),
    ],
)
def test_each_attack_is_named(data, message):
    found = faults(data)
    assert re.search(message, "\n".join(found)), found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_by_zipfile_is_refused(method):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in MEMBERS.items():
            made.writestr(zipfile.ZipInfo(name, (2023, 11, 14, 22, 13, 20)), data)
    assert faults(file.getvalue())


def test_every_byte_of_the_framing_counts():
    payload = {at for e in reader.scan(io.BytesIO(WHOLE)).entries for at in range(e.offset, e.end)}
    framed = [at for at in range(len(WHOLE)) if at not in payload]
    assert not [at for at in framed if not faults(patched(WHOLE, at, "<B", WHOLE[at] ^ 0xFF))]
    assert not [at for at in framed if not faults(patched(WHOLE, at, "<B", WHOLE[at] ^ 0x01))]


def extract(bundle, directory):
    with bundle.open("rb") as file:
        archive.extract(file, bundle, directory)


def test_extract_writes_the_members(tmp_path):
    archive.write(MEMBERS, tmp_path / "a.zip", epoch=EPOCH)
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert {n: (tmp_path / "out" / n).read_bytes() for n in MEMBERS} == MEMBERS


def test_extract_refuses_what_leads_out(tmp_path):
    (tmp_path / "a.zip").write_bytes(renamed(b"m/one.tflite", b"../ne.tflite"))
    with pytest.raises(VerificationError, match="leads out"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_payload_that_cannot_be_read_is_named(tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    with pytest.raises(UsageError, match=r"gone\.tflite: cannot be read: No such file"):
        archive.write({"a": tmp_path / "gone.tflite"}, target, epoch=EPOCH)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.zip", b"old")]


@pytest.mark.parametrize("limit", [20, 50, 150])
def test_an_archive_beyond_the_limit_is_refused(limit, tmp_path, monkeypatch):
    monkeypatch.setattr(framing, "MAX_SIZE", limit)
    with pytest.raises(OutputError, match="cannot exceed 4 GiB"):
        archive.write({"a": b"x" * 10, "b": b"x" * 30}, tmp_path / "a.zip", epoch=EPOCH)
    assert not list(tmp_path.iterdir())


WRITE = """
import sys
from pathlib import Path
from edgepack.bundle import archive
from edgepack.errors import EdgepackError
try:
    archive.write({"a": b"x" * 3_000_000, "b": Path(sys.argv[2])}, Path(sys.argv[1]), epoch=0)
except EdgepackError as error:
    print(error)
    sys.exit(error.exit_code)
"""


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))


def test_a_limit_in_mid_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.zip"
    target.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", WRITE, target, os.devnull],
        cwd=ROOT,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert f"{target}: cannot be written: File too large" in done.stdout
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.zip", b"old")]


def test_a_kill_in_mid_write_leaves_the_old_file(tmp_path):
    target, fifo = tmp_path / "a.zip", tmp_path / "fifo"
    target.write_bytes(b"old")
    os.mkfifo(fifo)
    command = [sys.executable, "-c", WRITE, target, fifo]
    with subprocess.Popen(command, cwd=ROOT) as writer, fifo.open("wb"):
        writer.send_signal(signal.SIGKILL)  # the first member is written, the second awaited
        writer.wait()
    left = list(tmp_path.glob(".a.zip.*.tmp"))
    assert len(left) == 1
    assert left[0].stat().st_size > 1_000_000
    assert target.read_bytes() == b"old"
    archive.write({"a": b"new"}, target, epoch=0)
    assert zipfile.ZipFile(target).read("a") == b"new"
