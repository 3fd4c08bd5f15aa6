"""The comparison over a folder of models: what is fed, what is counted, and one real run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgepack
from edgepack import foresight

ROOT = Path(__file__).resolve().parents[1]
WILD = ROOT / "benchmarks/wild"
DIGITS = ROOT / "calibration/digits/saved_model"
MODELS = ROOT.parent / "shared/data/wild"
needs_models = pytest.mark.skipif(not MODELS.exists(), reason="the published models are not here")


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.syspath_prepend(str(WILD))
    import ours
    import samples
    import stock
    import table

    return ours, samples, stock, table


def _row(parts, name, stock_kind, **fields):
    ours, _, stock, table = parts
    return table.Row(name, stock.Stock(stock_kind, "", 1.0), ours.Ours(**fields))


def test_totals_count_both_sides_and_what_was_foreseen(parts):
    rows = [
        _row(
            parts,
            "a",
            "fail",
            kind="builtins",
            errors={"float32": 1e-6, "float16": 1e-3},
            left_out={"int8": "why"},
            expected={"float32": "likely", "int8": "unlikely"},
        ),
        _row(
            parts,
            "b",
            "builtins",
            kind="typed",
            code="cannot-load",
            expected={"float32": "likely", "int8": "likely"},
        ),
        _row(parts, "c", "select", kind="builtins", errors={"float32": 1e-3, "float16": 1e-3}),
    ]
    text = parts[3].render(rows)
    assert "builtins: ours 2 of 3 (67%), stock 1 of 3 (33%)" in text
    assert "(float16): 1 of 3 (33%)" in text
    assert "not built: cannot-load 1" in text
    assert "built by stock alone: b" in text
    assert "foreseen float32: 1 of 2 (50%)" in text
    assert "foreseen int8: 1 of 2 (50%)" in text
    assert "left out" in text.splitlines()[1]


@pytest.mark.parametrize(
    ("agreement", "worst"),
    [
        ([], 0.0),
        ([{"max_abs_error": 0.5, "max_abs_reference": 2.0}], 0.25),
        ([{"max_abs_error": 0.0, "max_abs_reference": 0.0}], 0.0),
        ([{"max_abs_error": 0.1, "max_abs_reference": 0.0}], 1.0),
        ([{"max_abs_error": None, "max_abs_reference": None}], np.inf),
    ],
)
def test_the_error_is_that_of_the_worst_output(parts, agreement, worst):
    assert parts[0]._worst({"accuracy": {"agreement": agreement}}) == worst


def _generated(parts, model):
    facts = edgepack.inspect(model)
    signature = foresight.subject(facts)
    return parts[1].generate(Path(facts.path), facts, signature, 6), signature


def test_samples_fit_the_signature_and_are_the_same_each_time(parts):
    arrays, signature = _generated(parts, DIGITS)
    (tensor,) = signature.inputs
    assert arrays[tensor.name].shape[1:] == tensor.dims[1:]
    again, _ = _generated(parts, DIGITS)
    np.testing.assert_array_equal(arrays[tensor.name], again[tensor.name])


@needs_models
def test_looked_up_strings_are_words_that_the_model_knows(parts):
    model = next((MODELS / "Huyrose1994__Google-Two-Tower-Retrival").rglob("saved_model.pb"))
    arrays, _ = _generated(parts, model.parent)
    known = model.read_bytes()
    assert all(word in known for array in arrays.values() for word in array.tolist())


@pytest.mark.slow
def test_a_folder_is_built_on_both_sides(tmp_path):
    (tmp_path / "models").mkdir()
    shutil.copytree(DIGITS, tmp_path / "models/digits")
    (tmp_path / "models/broken").mkdir()
    (tmp_path / "models/broken/saved_model.pb").write_bytes(b"\x0a")
    command = [sys.executable, WILD, tmp_path / "models", "--out", tmp_path / "wild.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "builtins: ours 1 of 2 (50%), stock 1 of 2 (50%)" in done.stdout
    broken, digits = json.loads((tmp_path / "wild.json").read_text())
    assert broken["ours"]["code"] == "damaged-model"
    assert digits["ours"]["errors"]["float32"] < 1e-4
    assert digits["ours"]["errors"].keys() == {"float32", "float16", "int8"}
