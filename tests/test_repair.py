from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgepack import repair
from edgepack.engines import tensorflow
from edgepack.errors import ModelError, OutputError, UsageError
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.savedmodel import reader
from edgepack.tflite import reader as tflite
from edgepack.workers.pool import WorkerPool

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits/saved_model"
KWS = ROOT.parent / "shared/data/kws/saved_model"
needs_kws = pytest.mark.skipif(not KWS.exists(), reason="needs the published keyword model")


def test_a_sound_model_is_copied_unchanged(tmp_path):
    before = reader.digest(DIGITS)
    copy = tmp_path / "below" / "copy"
    assert repair.prepare(DIGITS, reader.read(DIGITS), copy) == ()
    assert (copy / "saved_model.pb").read_bytes() == (DIGITS / "saved_model.pb").read_bytes()
    assert reader.read(copy).signatures == reader.read(DIGITS).signatures
    assert reader.digest(DIGITS) == before


def test_weights_are_linked_and_the_graph_is_not(tmp_path):
    repair.prepare(DIGITS, reader.read(DIGITS), tmp_path / "copy")
    assert (tmp_path / "copy/variables").is_symlink()
    assert not (tmp_path / "copy/saved_model.pb").is_symlink()


def test_removing_the_copy_leaves_the_original_whole(tmp_path):
    before = reader.digest(DIGITS)
    repair.prepare(DIGITS, reader.read(DIGITS), tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy")
    assert reader.digest(DIGITS) == before


def test_a_relative_path_leads_to_the_weights_too(tmp_path, monkeypatch):
    monkeypatch.chdir(DIGITS.parent)
    source = Path(DIGITS.name)
    repair.prepare(source, reader.read(source), tmp_path / "copy")
    assert (tmp_path / "copy/variables/variables.index").is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match=r"copy: the working copy cannot be written.*\n.*TMPDIR"):
        repair.prepare(DIGITS, reader.read(DIGITS), tmp_path / "copy")


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "copy").touch()
    with pytest.raises(OutputError, match="copy: the working copy cannot be written: File exists"):
        repair.prepare(DIGITS, reader.read(DIGITS), tmp_path / "copy")


def test_a_source_that_is_gone_by_now_is_named(tmp_path):
    with pytest.raises(UsageError, match="gone: cannot be read: No such file"):
        repair.prepare(tmp_path / "gone", reader.read(DIGITS), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_damage_beside_what_was_read_is_told(tmp_path):
    source = Path(shutil.copytree(DIGITS, tmp_path / "source"))
    facts = reader.read(source).model_copy(update={"slot_variables": 1})
    other = b"\x3a\x02\x0a\x7f"  # a second graph, whose object graph is cut short
    with (source / "saved_model.pb").open("ab") as file:
        file.write(b"\x12" + bytes([len(other)]) + other)
    with pytest.raises(ModelError, match=r"saved_model\.pb: its object graph is damaged: field 1"):
        repair.prepare(source, facts, tmp_path / "copy")


@needs_kws
def test_slot_variables_are_dropped_from_the_copy_only(tmp_path):
    before, facts = reader.digest(KWS), reader.read(KWS)
    assert facts.slot_variables > 0
    (done,) = repair.prepare(KWS, facts, tmp_path / "copy")
    assert done.what.startswith(f"dropped {facts.slot_variables} optimizer slot variables")
    after = reader.read(tmp_path / "copy")
    assert after.slot_variables == 0
    assert after.ops == facts.ops
    assert after.signatures == facts.signatures
    assert reader.digest(KWS) == before


@needs_kws
@pytest.mark.slow
def test_a_repaired_model_loads_as_tensorflow_2_does_and_the_original_does_not(tmp_path):
    facts = reader.read(KWS)
    repair.prepare(KWS, facts, tmp_path / "copy")
    name, target = reader.select_signature(facts).name, tmp_path / "kws.tflite"
    with WorkerPool("TensorFlow", 1, Limits(), tmp_path / "log") as pool:
        original = SourceModel(path=str(KWS), tags=facts.tags, signature=name)
        (by_session,) = pool.submit(tensorflow.convert, original, target).result().repairs
        assert "add_slot" in by_session.why
        repaired = original.model_copy(update={"path": str(tmp_path / "copy")})
        assert not pool.submit(tensorflow.convert, repaired, target).result().repairs
    assert tflite.read(target).precision == "float32"
