import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import worker_tasks

from edgepack.cache import Cache
from edgepack.errors import ConfigError, ModelError, OutputError, WorkerError
from edgepack.pipeline.session import Session
from edgepack.records.settings import Limits
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def tasks_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)


@pytest.fixture
def pool(tmp_path):
    with WorkerPool("test", 1, Limits(), tmp_path / "log") as pool:
        yield pool


def test_calls_run_in_one_lasting_other_process(pool):
    pids = {pool.submit(worker_tasks.own_pid).result() for _ in range(3)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    assert pool.submit(worker_tasks.double, 21).result() == 42


def test_map_spreads_over_processes_in_order(tmp_path):
    with WorkerPool("test", 2, Limits(), tmp_path / "log") as pool:
        assert list(pool.map(worker_tasks.double, range(10))) == [2 * n for n in range(10)]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_death_by_signal_names_signal_and_phase_and_the_next_call_works(pool, number):
    before = pool.submit(worker_tasks.own_pid).result()
    with pytest.raises(WorkerError, match=f"test worker was killed by {number.name} .* to die"):
        pool.submit(worker_tasks.die, number).result()
    assert pool.submit(worker_tasks.own_pid).result() != before


def test_an_exit_names_its_status(pool):
    with pytest.raises(WorkerError, match="exited with 3 while it was to leave"):
        pool.submit(worker_tasks.leave, 3).result()


def test_last_words_reach_the_error(pool):
    with pytest.raises(WorkerError, match="tensor 7 is bad"):
        pool.submit(worker_tasks.speak, "tensor 7 is bad").result()


def test_a_typed_error_crosses_whole(pool):
    with pytest.raises(ConfigError) as caught:
        pool.submit(worker_tasks.refuse).result()
    assert (caught.value.message, caught.value.where) == ("no such key", "a.toml:3")
    assert caught.value.hint == "Did you mean name?"
    assert caught.value.exit_code == 2


def test_any_other_exception_becomes_a_model_error_that_names_the_phase(pool):
    with pytest.raises(ModelError, match="could not divide: ZeroDivisionError: division by zero"):
        pool.submit(worker_tasks.divide, 0).result()


def test_a_call_over_the_time_limit_is_ended(tmp_path):
    with WorkerPool("test", 1, Limits(timeout_seconds=0.5), tmp_path / "log") as pool:
        start = time.monotonic()
        with pytest.raises(WorkerError, match=r"took over 0\.5 s to sleep for"):
            pool.submit(worker_tasks.sleep_for, 60).result()
        assert time.monotonic() - start < 10


def test_the_memory_limit_holds_in_the_worker(tmp_path):
    with WorkerPool("test", 1, Limits(memory_bytes=1 << 30), tmp_path / "log") as pool:
        assert pool.submit(worker_tasks.data_limit).result() == 1 << 30


def test_a_worker_killed_between_calls_is_replaced(pool):
    pid = pool.submit(worker_tasks.own_pid).result()
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert pool.submit(worker_tasks.own_pid).result() != pid


def test_leaving_the_pool_ends_a_call_under_way(tmp_path):
    with WorkerPool("test", 1, Limits(), tmp_path / "log") as pool:
        pid = pool.submit(worker_tasks.own_pid).result()
        future = pool.submit(worker_tasks.sleep_for, 600)
        time.sleep(0.2)
    assert isinstance(future.exception(timeout=5), WorkerError)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_pool_may_be_ended_twice_and_starts_nothing_after(tmp_path):
    with WorkerPool("test", 2, Limits(), tmp_path / "log") as pool:
        pids = [pool.submit(worker_tasks.own_pid).result()]
        with ThreadPoolExecutor(2) as threads:
            for done in [threads.submit(pool.kill) for _ in range(2)]:
                done.result(timeout=5)
        with pytest.raises(RuntimeError):
            pool.submit(worker_tasks.own_pid)
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_ending_a_pool_ends_a_call_whose_process_is_just_starting(tmp_path):
    pool = WorkerPool("test", 1, Limits(), tmp_path / "log")
    future = pool.submit(worker_tasks.sleep_for, 600)
    begun = time.monotonic()
    pool.kill()
    assert time.monotonic() - begun < 5
    assert future.cancelled() or isinstance(future.exception(), WorkerError)


def test_a_session_ends_every_pool_made_in_it(tmp_path):
    with Session(Cache(tmp_path / "cache"), Limits(), lambda _: None) as session:
        future = session.pool("apart", 1).submit(worker_tasks.sleep_for, 600)
    assert future.cancelled() or isinstance(future.exception(timeout=5), WorkerError)
    with pytest.raises(RuntimeError):
        session.pool("late", 1).submit(worker_tasks.own_pid)


def test_workers_die_with_a_killed_parent(tmp_path):
    marker = tmp_path / "pid"
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import worker_tasks\n"
        "from edgepack.records.settings import Limits\n"
        "from edgepack.workers.pool import WorkerPool\n"
        "pool = WorkerPool('test', 1, Limits(), None)\n"
        "pool.submit(worker_tasks.leave_pid_and_sleep, sys.argv[2]).result()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(HERE), str(marker)])
    _wait(lambda: marker.exists() and marker.read_text())
    pid = int(marker.read_text())
    parent.kill()
    parent.wait()
    _wait(lambda: not Path(f"/proc/{pid}/cmdline").exists() or _is_zombie(pid))


def _is_zombie(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def _wait(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_full_disk_says_what_it_stopped_and_where_to_make_room(pool):
    with pytest.raises(OutputError, match=r"could not fill the disk: No space left") as caught:
        pool.submit(worker_tasks.fill_the_disk).result()
    assert "TMPDIR" in caught.value.hint
