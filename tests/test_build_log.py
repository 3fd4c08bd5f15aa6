from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import worker_tasks

from edgepack.cache import Cache
from edgepack.errors import ConfigError, ModelError, WorkerDiedError
from edgepack.pipeline import logbook
from edgepack.pipeline.session import Session
from edgepack.records.settings import Limits

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def tasks_importable(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "dist"


def fail(output, words="the converter said no", **options):
    with Session(Cache(output.parent / "c"), Limits(), print, output=output, **options) as session:
        session.tensorflow.submit(worker_tasks.say, words).result()
        session.general.submit(worker_tasks.divide, 0).result()


def test_a_failed_build_leaves_what_was_printed_and_says_where(output):
    with pytest.raises(ModelError) as caught:
        fail(output)
    assert caught.value.hint.endswith("TensorFlow's own words: dist/build.log")
    text = (output / "build.log").read_text()
    assert text.startswith("# What the workers of the last failed edgepack build printed.\n")
    assert "== TensorFlow ==\nthe converter said no" in text
    assert "== edgepack ==\nTraceback" in text
    assert list(output.iterdir()) == [output / "build.log"]


def test_a_worker_that_dies_leaves_its_words(output):
    with (
        pytest.raises(WorkerDiedError, match=r"TensorFlow's own words: dist/build\.log"),
        Session(Cache(output.parent / "c"), Limits(), print, output=output) as session,
    ):
        session.tensorflow.submit(worker_tasks.die, signal.SIGSEGV).result()
    assert "Segmentation fault" in (output / "build.log").read_text()


def test_an_earlier_log_is_replaced(output):
    for words in ("first", "second"):
        with pytest.raises(ModelError):
            fail(output, words)
    text = (output / "build.log").read_text()
    assert "second" in text
    assert "first" not in text


def test_a_log_of_somebody_else_is_kept(output):
    output.mkdir()
    (output / "build.log").write_text("mine\n")
    with pytest.raises(ModelError, match=r"dist/edgepack-build\.log"):
        fail(output)
    assert (output / "build.log").read_text() == "mine\n"


def test_a_build_that_succeeds_or_prints_nothing_leaves_no_log(output):
    with Session(Cache(output.parent / "c"), Limits(), print, output=output) as session:
        session.tensorflow.submit(worker_tasks.say, "a warning").result()
    with (
        pytest.raises(ModelError, match=r"^no words$"),
        Session(Cache(output.parent / "c"), Limits(), print, output=output),
    ):
        raise ModelError("no words")
    assert not output.exists()


def test_an_error_of_the_config_speaks_of_no_log(output):
    with (
        pytest.raises(ConfigError, match=r"no such key\n  Did you mean name\?$"),
        Session(Cache(output.parent / "c"), Limits(), print, output=output) as session,
    ):
        session.tensorflow.submit(worker_tasks.say_and_refuse, "a warning").result()
    assert (output / "build.log").exists()


def test_a_log_that_cannot_be_written_hides_no_error(output):
    output.write_text("a file where the directory would be")
    with pytest.raises(ModelError) as caught:
        fail(output)
    assert "could not divide" in caught.value.message
    assert "TensorFlow's own words" not in caught.value.hint


def test_verbose_lets_it_through_and_keeps_none(output, capfd):
    with pytest.raises(ModelError):
        fail(output, verbose=True)
    assert "the converter said no" in "".join(capfd.readouterr())
    assert not output.exists()


def test_of_a_long_log_the_end_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(logbook, "MOST_BYTES", 10)
    (tmp_path / "a.log").write_text("x" * 100 + "the end")
    assert logbook.keep([tmp_path / "a.log"], tmp_path) == tmp_path / "build.log"
    assert (tmp_path / "build.log").read_text().endswith("== a ==\nxxxthe end")
