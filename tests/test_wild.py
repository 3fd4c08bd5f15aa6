"""The comparison over a folder of models: what is fed, what is counted, and one real run."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

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
    import processes
    import samples
    import stock
    import table

    return SimpleNamespace(
        ours=ours, processes=processes, samples=samples, stock=stock, table=table
    )


def _row(parts, name, stock_kind, **fields):
    stock = parts.stock.Stock(stock_kind, "", 1.0)
    return parts.table.Row(name, stock, parts.ours.Ours(**fields))


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
    text = parts.table.render(rows)
    assert "builtins: ours 2 of 3 (67%), stock 1 of 3 (33%)" in text
    assert "(float16): 1 of 3 (33%)" in text
    assert "typed errors: cannot-load 1" in text
    assert "stock without a file: fail 1" in text
    assert "built by stock alone: b" in text
    assert "foreseen float32: 1 of 2 (50%)" in text
    assert "foreseen int8: 1 of 2 (50%)  likely: 0 made, 1 not; unlikely: 0 made, 1 not" in text
    assert "left out" in text.splitlines()[1]


GOOD = {"float32": 1e-6, "float16": 1e-3}


@pytest.mark.parametrize(
    ("errors", "agrees"),
    [
        (GOOD, True),
        ({**GOOD, "float32": 2e-4}, False),
        ({**GOOD, "float16": 2e-2}, False),
        ({**GOOD, "float32": None}, False),
        ({"float32": 1e-6}, False),
        ({}, False),
    ],
)
def test_both_float_files_must_be_compared_and_close(parts, errors, agrees):
    assert _row(parts, "a", "fail", kind="builtins", errors=errors).agrees is agrees


def test_what_flatters_the_totals_is_told(parts):
    cut = ("left the preparation of text to the app: the file takes ids",)
    rows = [
        _row(parts, "a", "fail", kind="builtins", errors=GOOD, constant=True),
        _row(parts, "b", "select", kind="builtins", errors=GOOD, repairs=cut, chosen="act"),
    ]
    text = parts.table.render(rows)
    assert "2 of 2 (100%), 1 of them on sources that answer every sample alike" in text
    assert "files that take inputs prepared by the app: 1" in text
    assert "took signature act of several; left the preparation" in text


def _agreement(error, peak, output="y"):
    return {"output": output, "max_abs_error": error, "max_abs_reference": peak}


def _health(non_finite=0, *, constant=False):
    return [{"output": "y", "non_finite": non_finite, "constant": constant}]


@pytest.mark.parametrize(
    ("agreement", "mine", "source", "worst"),
    [
        ([], 0, 0, None),
        ([_agreement(0.5, 2.0)], 0, 0, 0.25),
        ([_agreement(0.5, 2.0), _agreement(0.5, 1.0, "z")], 0, 0, 0.5),
        ([_agreement(0.0, 0.0)], 0, 0, 0.0),
        ([_agreement(0.1, 0.0)], 0, 0, None),
        ([_agreement(None, None)], 0, 0, None),
        ([_agreement(0.0, 2.0)], 3, 0, None),
        ([_agreement(0.0, 2.0)], 3, 3, 0.0),
    ],
)
def test_the_error_is_that_of_the_worst_output(parts, agreement, mine, source, worst):
    accuracy = {"agreement": agreement, "health": _health(mine)}
    assert parts.ours.worst(accuracy, _health(source)) == worst


@pytest.mark.parametrize(
    ("code", "stderr", "kind", "said"),
    [
        (5, '{"error": {"code": "cannot-load", "message": "m"}}', "typed", "cannot-load"),
        (5, "no line of JSON", "traceback", "5"),
        (1, '{"error": {"code": "bug", "message": "m"}}', "traceback", "1"),
        (0, "no report", "traceback", "0"),
        (-11, "", "crash", "-11"),
        (139, "", "crash", "139"),
        (None, "", "hang", "timeout"),
    ],
)
def test_the_end_of_a_build_has_a_class(parts, tmp_path, code, stderr, kind, said):
    ended = parts.processes.Ended(code, "", stderr, 2.0)
    found = parts.ours.outcome(ended, tmp_path / "report.json", {"chosen": "act"})
    assert (found.kind, found.code, found.chosen) == (kind, said, "act")


def test_a_refused_float32_file_is_no_success(parts, tmp_path):
    skipped = [{"variant": "float32", "reason": "why"}]
    half = {"agreement": [_agreement(0.0, 2.0)], "health": _health()}
    evidence = {
        "skipped": skipped,
        "source": {"accuracy": {"health": _health(constant=True)}},
        "variants": [{"variant": "float16", "accuracy": half}],
    }
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"evidence": evidence, "source": {"repairs": []}}))
    found = parts.ours.outcome(parts.processes.Ended(0, "", "", 1.0), report, {})
    assert (found.kind, found.code, found.message) == ("typed", "runtime-refuses", "why")
    assert found.errors == {"float16": 0.0}
    assert found.constant


def test_time_is_up_for_descendants_in_sessions_of_their_own_too(parts, tmp_path):
    child = "import time; time.sleep(60)"
    parent = f"""
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
child.wait()
"""
    started = time.monotonic()
    ended = parts.processes.run([sys.executable, "-c", parent, tmp_path / "pid"], 3)
    assert ended.code is None
    assert time.monotonic() - started < 20
    pid = (tmp_path / "pid").read_text()
    for _ in range(50):
        state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, check=False)
        if not state.stdout.strip() or state.stdout.startswith(b"Z"):
            break
        time.sleep(0.1)
    else:
        os.kill(int(pid), 9)
        pytest.fail("the grandchild lives on")


def _generated(parts, model):
    facts = edgepack.inspect(model)
    signature = foresight.subject(facts)
    return parts.samples.generate(Path(facts.path), facts, signature, 6), signature


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
    assert "tracebacks 0, crashes 0, hangs 0" in done.stdout
    broken, digits = json.loads((tmp_path / "wild.json").read_text())
    assert broken["ours"]["code"] == "damaged-model"
    assert digits["ours"]["errors"]["float32"] < 1e-4
    assert digits["agrees"]
    assert digits["ours"]["errors"].keys() == {"float32", "float16", "int8"}
