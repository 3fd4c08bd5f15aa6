import os
import threading

import pytest

from edgepack.cache import Cache, default_root
from edgepack.errors import OutputError
from edgepack.records.evidence import Memory
from edgepack.records.stages import Statistics


def _make(samples, calls):
    def make(directory):
        calls.append(directory)
        (directory / "data").write_text("payload")
        return Statistics(samples=samples)

    return make


def test_a_stage_runs_once_for_a_key(tmp_path):
    cache, calls = Cache(tmp_path), []
    first = cache.stage("s", {"a": "1"}, Statistics, _make(3, calls))
    again = cache.stage("s", {"a": "1"}, Statistics, _make(4, calls))
    assert first == again
    assert first[0] == Statistics(samples=3)
    assert (first[1] / "data").read_text() == "payload"
    assert len(calls) == 1
    assert cache.hits == []  # it was not there before


def test_what_an_earlier_build_made_is_a_hit(tmp_path):
    Cache(tmp_path).stage("s", {}, Statistics, _make(3, []))
    later = Cache(tmp_path)
    later.stage("s", {}, Statistics, _make(4, []))
    assert later.hits == ["s"]


@pytest.mark.parametrize("other", [("s", {"a": "2"}), ("t", {"a": "1"}), ("s", {"b": "1"})])
def test_another_key_or_stage_is_another_entry(tmp_path, other):
    cache, calls = Cache(tmp_path), []
    cache.stage("s", {"a": "1"}, Statistics, _make(3, calls))
    cache.stage(*other, Statistics, _make(4, calls))
    assert len(calls) == 2


def test_a_failed_stage_leaves_nothing(tmp_path):
    cache = Cache(tmp_path)

    def fail(directory):
        (directory / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        cache.stage("s", {}, Statistics, fail)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert cache.lookup("s", {}, Statistics) is None


def test_what_is_not_to_be_kept_is_made_again(tmp_path):
    cache, calls = Cache(tmp_path), []

    def ask(samples):
        make = _make(samples, calls)
        return cache.stage("s", {}, Statistics, make, lambda found: found.samples > 3)[0].samples

    assert [ask(3), ask(4), ask(5)] == [3, 4, 4]
    assert len(calls) == 2
    assert Cache(tmp_path).lookup("s", {}, Statistics)[0].samples == 4


@pytest.mark.parametrize("damage", ["", "{", '{"samples": "x"}', '{"sample": 1}'])
def test_a_damaged_entry_is_made_again(tmp_path, damage):
    cache, calls = Cache(tmp_path), []
    _, directory = cache.stage("s", {}, Statistics, _make(3, calls))
    (directory / "result.json").write_text(damage)
    assert cache.stage("s", {}, Statistics, _make(5, calls))[0].samples == 5
    assert cache.lookup("s", {}, Statistics) == (Statistics(samples=5), directory)


def test_an_entry_of_another_kind_does_not_count(tmp_path):
    cache = Cache(tmp_path)
    cache.stage("s", {}, Statistics, _make(3, []))
    assert cache.lookup("s", {}, Memory) is None


def test_two_builds_at_once_agree(tmp_path):
    barrier, results = threading.Barrier(2), []

    def make(directory):
        barrier.wait(timeout=10)
        (directory / "data").write_text("payload")
        return Statistics(samples=1)

    def build():
        results.append(Cache(tmp_path).stage("s", {}, Statistics, make))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    assert (results[0][1] / "data").read_text() == "payload"
    assert not list((tmp_path / "s").glob(".*"))


def test_an_unwritable_cache_says_what_to_do(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match="--cache-dir"):
        Cache(file / "below").stage("s", {}, Statistics, _make(1, []))


def test_the_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EDGEPACK_CACHE", raising=False)
    assert default_root() == tmp_path / "edgepack"
    monkeypatch.setenv("EDGEPACK_CACHE", str(tmp_path / "own"))
    assert default_root() == tmp_path / "own"


def test_threads_that_ask_for_one_entry_wait_for_one_to_make_it(tmp_path):
    cache, calls = Cache(tmp_path), []
    slow = _make(3, calls)

    def make(directory):
        threading.Event().wait(0.2)
        return slow(directory)

    asking = [
        threading.Thread(target=cache.stage, args=("s", {}, Statistics, make)) for _ in range(4)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(calls) == 1


def test_another_builds_entry_stays_where_it_was_first(tmp_path):
    def make(directory):
        other = Cache(tmp_path).stage("s", {}, Statistics, _make(7, []))
        (other[1] / "data").write_text("being read")
        return _make(3, [])(directory)

    found, directory = Cache(tmp_path).stage("s", {}, Statistics, make)
    assert found.samples == 7
    assert (directory / "data").read_text() == "being read"


def test_pruning_removes_what_no_build_used_for_long(tmp_path):
    cache = Cache(tmp_path)
    _, old = cache.stage("s", {"a": "1"}, Statistics, _make(1, []))
    _, new = cache.stage("s", {"a": "2"}, Statistics, _make(2, []))
    os.utime(old, (0, 0))
    cache.prune()
    assert not old.exists()
    assert new.exists()


def test_using_an_entry_keeps_it(tmp_path):
    cache = Cache(tmp_path)
    _, entry = cache.stage("s", {}, Statistics, _make(1, []))
    os.utime(entry, (0, 0))
    assert cache.lookup("s", {}, Statistics)
    cache.prune()
    assert entry.exists()


def test_pruning_ended_half_way_leaves_no_entry_without_its_files(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    _, entry = cache.stage("s", {}, Statistics, _make(1, []))
    os.utime(entry, (0, 0))

    def end(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgepack.cache.shutil.rmtree", end)
    with pytest.raises(KeyboardInterrupt):
        cache.prune()
    assert (entry / "data").exists()
    assert cache.lookup("s", {}, Statistics) is None
