from __future__ import annotations

import hashlib
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import DamagedModelError
from edgepack.savedmodel import checkpoint, sstable

SHARED = Path(__file__).parents[1].parent / "shared"
KEYWORDS = SHARED / "data" / "kws" / "saved_model" / "variables"


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def text(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(items, every=3):
    body, restarts, last = b"", [], b""
    for place, (key, value) in enumerate(items):
        shared = 0
        if place % every:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        else:
            restarts.append(len(body))
        rest = key[shared:]
        body += varint(shared) + varint(len(rest)) + varint(len(value)) + rest + value
        last = key
    return body + b"".join(at.to_bytes(4, "little") for at in [*restarts, len(restarts)])


def stored(body, kind=0):
    whole = body + bytes((kind,))
    return whole + sstable.masked_crc(whole).to_bytes(4, "little")


def table(items, per_block=4, kind=0):
    items, data, handles = sorted(items), b"", []
    for at in range(0, len(items), per_block):
        some = items[at : at + per_block]
        body = block(some)
        handles.append((some[-1][0] + b"~", varint(len(data)) + varint(len(body))))
        data += stored(body, kind)
    index = block(handles)
    footer = varint(0) + varint(0) + varint(len(data)) + varint(len(index))
    return data + stored(index) + footer.ljust(40, b"\0") + sstable.MAGIC


def entry(dtype=1, shape=(2,), offset=0, size=8):
    dims = b"".join(text(2, varint(8) + varint(dim)) for dim in shape)
    parts = (varint(8) + varint(dtype), text(2, dims), varint(32) + varint(offset))
    return b"".join(parts) + varint(40) + varint(size)


def directory(tmp_path, tensors, values=b"", **how):
    header = (b"", varint(8) + varint(1))
    (tmp_path / "variables.index").write_bytes(table([header, *tensors], **how))
    (tmp_path / "variables.data-00000-of-00001").write_bytes(values)
    return tmp_path


@given(st.dictionaries(st.binary(max_size=9), st.binary(max_size=40)), st.integers(1, 9))
def test_a_table_gives_back_what_was_written(items, per_block):
    assert dict(sstable.items(table(items.items(), per_block))) == items


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(0, 255))
def test_damaged_tables_are_refused_or_read(tail, at, byte):
    data = bytearray(table([(b"k%03d" % n, b"v" * n) for n in range(9)]))
    data[at % len(data)] = byte
    for damaged in (bytes(data), tail + sstable.MAGIC, tail):
        with suppress(sstable.TableError):
            assert len(dict(sstable.items(damaged))) <= 9


def test_entries_name_and_digest_values(tmp_path):
    tensors = [(b"b", entry(3, (1, 2), 8)), (b"a", entry())]
    found = checkpoint.load(directory(tmp_path, tensors, bytes(range(16))))
    assert [(t.name, t.dtype, t.shape) for t in found.tensors] == [
        ("a", "float32", (2,)),
        ("b", "int32", (1, 2)),
    ]
    second = checkpoint.digest(found, found.tensors[1])
    assert second == hashlib.sha256(bytes(range(8, 16))).hexdigest()


def test_parts_of_a_partitioned_tensor_have_its_name(tmp_path):
    key = b"\0" + b"w\0\xff" + b"\0\1" + b"\1\2\x80\x81"
    (part,) = checkpoint.entries(directory(tmp_path, [(key, entry())]))
    assert (part.name, part.part) == ("w\0", b"\1\2\x80\x81")


def test_digesting_takes_little_memory(tmp_path):
    size = 24 << 20
    found = checkpoint.load(directory(tmp_path, [(b"a", entry(size=size))]))
    with found.shard(0).open("r+b") as file:
        file.truncate(size)
    tracemalloc.start()
    checkpoint.digest(found, found.tensors[0])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "does not end as a table"),
        (lambda data: data[:-1], "does not end as a table"),
        (lambda data: data[:3] + b"?" + data[4:], "checksum of the block at byte 0"),
        (lambda data: table([(b"a", entry())], kind=1), "compressed with snappy"),
        (lambda data: data[9:], "leads out of the file"),
        (lambda data: table([(b"", b""), (b"a", b"\xff")]), "does not end"),
        (lambda data: table([(b"", b"\x10\1"), (b"a", entry())]), "big-endian"),
    ],
)
def test_what_is_wrong_with_an_index_is_said(tmp_path, damage, message):
    path = directory(tmp_path, [(b"a", entry())]) / "variables.index"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedModelError, match=message) as caught:
        checkpoint.entries(tmp_path)
    assert caught.value.where == str(path)


def test_keys_that_repeat_without_end_are_refused():
    big = varint(0) + varint(1 << 20) + varint(0) + bytes(1 << 20)
    repeated = (varint(1 << 20) + varint(0) + varint(0)) * 100 + bytes(4)
    body = stored(big + repeated)
    index = block([(b"~", varint(0) + varint(len(body) - 5))])
    footer = varint(0) + varint(0) + varint(len(body)) + varint(len(index))
    with pytest.raises(sstable.TableError, match="keys are longer"):
        list(sstable.items(body + stored(index) + footer.ljust(40, b"\0") + sstable.MAGIC))


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DamagedModelError, match=r"variables\.index: it is missing"):
        checkpoint.entries(tmp_path)
    found = checkpoint.load(directory(tmp_path, [(b"a", entry(size=9))], b"12345678"))
    with pytest.raises(DamagedModelError, match="ends before a"):
        checkpoint.digest(found, found.tensors[0])
    found.shard(0).unlink()
    with pytest.raises(DamagedModelError, match="00000-of-00001: it is missing"):
        checkpoint.digest(found, found.tensors[0])


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared data")
def test_stored_checksums_are_those_of_the_values():
    found = checkpoint.load(KEYWORDS)
    data = found.shard(0).read_bytes()
    small = [tensor for tensor in found.tensors if tensor.size < 1000 and tensor.dtype != "string"]
    assert len(small) > 20
    for tensor in small:
        values = data[tensor.offset : tensor.offset + tensor.size]
        assert sstable.masked_crc(values) == tensor.crc
