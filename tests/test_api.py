"""`import edgepack`: three functions over frozen records."""

from __future__ import annotations

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
