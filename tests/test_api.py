"""`import edgepack`: three functions over frozen records."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import edgepack
from edgepack import api, errors
from edgepack.config import settings
from edgepack.records.facts import SavedModelFacts
from edgepack.records.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
GOLDEN_BUNDLE = ROOT / "tests/golden/bundle-1.zip"
DIGITS = ROOT / "calibration/digits"
DOCUMENTATION = (ROOT / "docs/python.md").read_text()


def test_the_package_offers_what_it_says():
    assert edgepack.build is api.build
    assert edgepack.EdgepackError is errors.EdgepackError
    assert set(edgepack.__all__) <= set(dir(edgepack))
    with pytest.raises(AttributeError, match="has no attribute 'bulid'"):
        _ = edgepack.bulid


@pytest.mark.parametrize("kind", [str, Path])
def test_verify_and_inspect_take_any_path(kind):
    assert edgepack.verify(kind(GOLDEN_BUNDLE)).name == "pets"
    assert isinstance(edgepack.inspect(kind(GOLDEN_BUNDLE)), Manifest)
    assert isinstance(edgepack.inspect(kind(DIGITS / "saved_model")), SavedModelFacts)


def test_build_refuses_a_config_that_is_wrong(tmp_path):
    (tmp_path / "edgepack.toml").write_text("datset = 1\n")
    with pytest.raises(edgepack.EdgepackError, match='did you mean "dataset"'):
        edgepack.build(tmp_path / "edgepack.toml")


def test_build_refuses_without_its_libraries_before_it_imports_any(monkeypatch):
    monkeypatch.setitem(api.BUILD_PARTS, "no_such_library", "no-such-library")
    with pytest.raises(errors.MissingExtraError, match="no-such-library"):
        edgepack.build(settings.load(DIGITS / "edgepack.toml"))


@pytest.mark.slow
@pytest.mark.parametrize("no_cache", [True, False])
def test_build_returns_records_and_tells_its_progress(tmp_path, no_cache):
    flags = settings.Flags(variants=("float16",), output=str(tmp_path / "dist"))
    wanted = settings.load(DIGITS / "edgepack.toml", flags)
    events = []
    result = edgepack.build(
        wanted, cache=tmp_path / "cache", no_cache=no_cache, on_event=events.append
    )
    assert result.passed
    assert edgepack.verify(result.bundle).variants == ("float16",)
    assert "convert" in {event.stage for event in events}
    assert (tmp_path / "cache").exists() == (not no_cache)


@pytest.mark.slow
def test_the_documented_script_runs(tmp_path, monkeypatch, capsys):
    (script,) = re.findall(r"```python\n(.*?)```", DOCUMENTATION, re.DOTALL)
    shutil.copytree(ROOT / "calibration", tmp_path / "calibration")
    shutil.copytree(DIGITS / "saved_model", tmp_path / "my_model")
    config = (DIGITS / "edgepack.toml").read_text()
    config = config.replace('"../digits.toml"', '"calibration/digits.toml"')
    config = config.replace('"saved_model"', '"my_model"')
    (tmp_path / "edgepack.toml").write_text(config)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_CACHE", str(tmp_path / "cache"))
    first = edgepack.build("edgepack.toml")
    shutil.copytree("dist", "release")
    exec(compile(script, "docs/python.md", "exec"), {})
    said = capsys.readouterr().out
    assert first.bundle in said
    assert "baseline:int8 max_accuracy_drop 0.0 0.01" in said
