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
from edgepack.engines import tensorflow
from edgepack.errors import (
    ConfigError,
    ModelError,
    OutputError,
    WorkerDiedError,
    WorkerError,
    WorkerMemoryError,
    WorkerTimeoutError,
)
from edgepack.pipeline.session import Session
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.workers import memory
from edgepack.workers.environment import inherited
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
    match = f"test worker was killed by {number.name} while it was to die"
    with pytest.raises(WorkerDiedError, match=match):
        pool.submit(worker_tasks.die, number).result()
    assert pool.submit(worker_tasks.own_pid).result() != before


def test_an_exit_names_its_status(pool):
    with pytest.raises(WorkerDiedError, match="exited with 3 while it was to leave"):
        pool.submit(worker_tasks.leave, 3).result()


def test_last_words_reach_the_error(pool):
    with pytest.raises(WorkerError, match="tensor 7 is bad"):
        pool.submit(worker_tasks.speak, "tensor 7 is bad").result()


def test_a_crash_says_where_in_python_it_was(pool):
    with pytest.raises(WorkerDiedError, match=r'File ".*worker_tasks\.py", line \d+ in die'):
        pool.submit(worker_tasks.die, signal.SIGSEGV).result()


@pytest.mark.parametrize(
    ("words", "op"),
    [
        ("[[{{node model/lstm/while}}]]", "model/lstm/while"),
        ("{{node a}} and then Node number 12 (CONV_2D) failed to invoke.", "CONV_2D"),
    ],
)
def test_a_death_names_the_op_that_was_last_spoken_of(pool, words, op):
    with pytest.raises(WorkerDiedError, match=f"while it was to speak, at op {op}\n") as caught:
        pool.submit(worker_tasks.speak, words).result()
    assert words in caught.value.hint


def test_what_tensorflow_says_at_every_start_is_not_among_the_last_words(pool):
    words = (
        "I0000 00:00:1 port.cc:153] oneDNN\nE0000 1 cuda.cc:5] failed call to cuInit: x\ntelling"
    )
    with pytest.raises(WorkerDiedError, match="telling") as caught:
        pool.submit(worker_tasks.speak, words).result()
    assert "oneDNN" not in caught.value.hint
    assert "cuInit" not in caught.value.hint


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
        with pytest.raises(WorkerTimeoutError, match=r"took over 0\.5 s to sleep for") as caught:
            pool.submit(worker_tasks.sleep_for, 60).result()
        assert time.monotonic() - start < 10
    assert "in sleep_for" in caught.value.hint
    assert "limits.timeout_seconds" in caught.value.hint


def test_a_call_that_hangs_after_memory_ran_out_is_told_as_that(tmp_path):
    with (
        WorkerPool("test", 1, Limits(timeout_seconds=1.5), tmp_path / "log") as pool,
        pytest.raises(WorkerMemoryError, match=r"took over 1\.5 s .*: out of memory"),
    ):
        pool.submit(worker_tasks.say_and_sleep, "object type name: MemoryError").result()


def test_what_a_worker_started_ends_with_it(tmp_path):
    limits = Limits(timeout_seconds=2)
    with WorkerPool("test", 1, limits, tmp_path / "log") as pool:
        with pytest.raises(WorkerTimeoutError):
            pool.submit(worker_tasks.start_another_and_sleep, tmp_path / "pid").result()
        _wait(lambda: not _runs(int((tmp_path / "pid").read_text())))


def test_a_worker_that_only_closes_its_pipe_is_ended(pool):
    with pytest.raises(WorkerDiedError, match="was killed by SIGKILL"):
        pool.submit(worker_tasks.close_everything_and_sleep).result(timeout=20)


@pytest.mark.slow
def test_a_model_that_hangs_while_it_is_loaded_is_ended_and_leaves_nothing(tmp_path):
    subprocess.run(
        [sys.executable, HERE / "unsafe_models.py", tmp_path, "hangs"],
        check=True,
        capture_output=True,
    )
    source = SourceModel(path=str(tmp_path / "hangs"), tags=("serve",), signature="serving_default")
    with WorkerPool("TensorFlow", 1, Limits(timeout_seconds=20), tmp_path / "log") as pool:
        pid = pool.submit(worker_tasks.own_pid).result()
        with pytest.raises(WorkerTimeoutError, match="took over 20 s to convert") as caught:
            pool.submit(tensorflow.convert, source, tmp_path / "x.tflite").result()
        assert "saved_model/load.py" in caught.value.hint
        assert not _runs(pid)


def test_the_memory_limit_holds_in_the_worker(tmp_path):
    with WorkerPool("test", 1, Limits(memory_bytes=1 << 30), tmp_path / "log") as pool:
        assert pool.submit(worker_tasks.limits).result() == (1 << 30, 0)


def test_a_worker_may_use_most_of_the_machine_by_default(pool):
    data, core = pool.submit(worker_tasks.limits).result()
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < data <= 0.8 * physical
    assert core == 0


@pytest.mark.parametrize(
    ("text", "share"), [("1000", 800), ("max\n", None), ("9223372036854771712", None)]
)
def test_the_default_is_a_share_of_what_a_container_may_use(tmp_path, monkeypatch, text, share):
    (tmp_path / "limit").write_text(text)
    alone = memory.default_limit()
    monkeypatch.setattr(memory, "CONTAINER_LIMITS", (tmp_path / "limit", tmp_path / "absent"))
    assert memory.default_limit() == share or (share is None and memory.default_limit() >= alone)


def test_memory_that_runs_out_is_told_as_such_and_the_next_call_works(tmp_path):
    with WorkerPool("test", 1, Limits(memory_bytes=1 << 28), tmp_path / "log") as pool:
        with pytest.raises(WorkerMemoryError, match="out of memory while it was to fill memory"):
            pool.submit(worker_tasks.fill_memory, 1 << 30).result()
        assert pool.submit(worker_tasks.double, 2).result() == 4


@pytest.mark.parametrize("kind", ["Python", "TensorFlow", "system"])
def test_memory_that_runs_out_is_told_as_such_whatever_it_was_taken_for(pool, kind):
    with pytest.raises(WorkerMemoryError, match=r"wrap out of memory: .*no room"):
        pool.submit(worker_tasks.wrap_out_of_memory, kind).result()


@pytest.mark.parametrize(
    "words",
    [
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "RESOURCE_EXHAUSTED: OOM when allocating tensor with shape[1024]",
        "mmap: Cannot allocate memory",
        "ImportError: libx.so: failed to map segment from shared object",
    ],
)
def test_a_death_for_memory_is_known_by_its_words(pool, words):
    with pytest.raises(WorkerMemoryError, match=r"killed by SIGSEGV .* to speak: out of memory"):
        pool.submit(worker_tasks.speak, words).result()


def test_words_of_an_earlier_process_are_not_taken_for_this_ones(pool):
    with pytest.raises(WorkerMemoryError):
        pool.submit(worker_tasks.speak, "std::bad_alloc").result()
    with pytest.raises(WorkerDiedError):
        pool.submit(worker_tasks.speak, "x").result()


def test_a_kill_by_the_kernel_for_memory_is_known_by_its_count(tmp_path, monkeypatch):
    counter = tmp_path / "vmstat"
    counter.write_text("pgfault 7\noom_kill 3\n")
    monkeypatch.setattr(memory, "VMSTAT", counter)
    with WorkerPool("test", 1, Limits(), tmp_path / "log") as pool:
        with pytest.raises(WorkerMemoryError, match=r"SIGKILL .* out of memory"):
            pool.submit(worker_tasks.count_and_die, counter, "oom_kill 4\n").result()
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            pool.submit(worker_tasks.die, signal.SIGKILL).result()


SECRETS = [
    "AWS_SECRET_ACCESS_KEY",
    "GITHUB_TOKEN",
    "CI_JOB_TOKEN",
    "CI",
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "DATABASE_URL",
    "LD_PRELOAD",
    "HF_TOKEN",
    "KERAS_TOKEN",
    "EDGEPACK_SIGNING_KEY",
    "EDGEPACK_PASSPHRASE",
    "TF_VAR_db",
    "TF_TOKEN_a",
]
NEEDED = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "TZ",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "TF_NUM_INTEROP_THREADS",
    "XLA_FLAGS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "KERAS_HOME",
    "EDGEPACK_CACHE",
    "XDG_CACHE_HOME",
    "SOURCE_DATE_EPOCH",
    "COVERAGE_PROCESS_START",
]


def test_workers_inherit_what_libraries_need_and_no_secrets():
    everything = dict.fromkeys([*SECRETS, *NEEDED], "x")
    assert sorted(inherited(everything, ())) == sorted(NEEDED)


def test_a_secret_reaches_a_worker_only_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "a")
    monkeypatch.setenv("GITHUB_TOKEN", "b")
    limits = Limits(pass_environment=("HF_TOKEN", "NOT_SET"))
    with WorkerPool("test", 1, limits, tmp_path / "log") as pool:
        seen = pool.submit(worker_tasks.environment).result()
    assert seen["HF_TOKEN"] == "a"
    assert not {"GITHUB_TOKEN", "NOT_SET"} & set(seen)


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


def _runs(pid):
    return Path(f"/proc/{pid}/cmdline").exists() and not _is_zombie(pid)


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
