"""The variant auto through the installed command: searched, interrupted, resumed, replayed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from edgepack.records.report import Report
from edgepack.records.search import SearchResult

pytestmark = pytest.mark.slow

MAKE = Path(__file__).with_name("collapsing_model.py")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collapsing")
    subprocess.run([sys.executable, MAKE, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def searched(edgepack, model):
    """The first build, which searches."""
    done = edgepack("build", model, "--output", model / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture
def project(model, searched, tmp_path):
    """A copy of model and data, whose measurements are in the cache."""
    shutil.copytree(model, tmp_path / "project", ignore=shutil.ignore_patterns("out"))
    return tmp_path / "project"


def _search(folder):
    return SearchResult.model_validate_json((folder / "out/search.json").read_bytes())


def _report(folder):
    return Report.model_validate_json((folder / "out/report.json").read_bytes())


def _chosen(result):
    return next(trial for trial in result.trials if trial.number == result.chosen)


def _change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_full_int8_of_either_engine_ruins_the_model_and_the_choice_does_not(model, searched):
    result = _search(model)
    full = [t for t in result.trials if t.candidate.mode == "int8" and not t.candidate.kept]
    assert {trial.candidate.engine for trial in full} == {"converter", "quantizer"}
    assert all(trial.failure or trial.harm > 0.1 for trial in full)
    chosen = _chosen(result)
    assert result.met
    assert chosen.harm <= result.goal.max_harm == 0.025
    mixed = [t for t in result.trials if t.candidate.kept and t.harm is not None]
    assert any(t.harm <= 0.025 and t.samples == result.samples for t in mixed)


def test_the_choice_is_confirmed_on_samples_that_the_search_never_saw(model, searched):
    report = _report(model)
    auto = next(one for one in report.evidence.variants if one.variant == "auto")
    assert auto.sha256 == _chosen(_search(model)).sha256
    assert auto.accuracy.samples == 300
    checks = {c.name: c.outcome for c in report.verdict.checks if c.subject == "auto"}
    assert checks["max_accuracy_drop"] in {"pass", "inconclusive"}


def test_the_search_does_not_read_the_evaluate_split(edgepack, model, project):
    shutil.copy(project / "other.npz", project / "evaluate.npz")
    done = edgepack("build", project, "--json")
    assert "search" in json.loads(done.stdout)["cached"]  # nothing that decides it has changed
    assert _search(project) == _search(model)
    assert "evaluate" not in json.loads(done.stdout)["cached"]


def test_a_choice_that_the_evaluate_split_refutes_fails_without_a_second_look(
    edgepack, model, project
):
    result = _search(model)
    within = [t for t in result.trials if t.samples == 200 and not t.failure and t.harm <= 0.025]
    static = next(t.number for t in within if t.candidate.mode == "int8")
    shutil.copy(project / "harder.npz", project / "evaluate.npz")
    done = edgepack("build", project, "--pick", str(static), "--json")
    assert done.returncode == 3, done.stderr
    assert "search" in json.loads(done.stdout)["cached"]
    assert _search(project).met  # on the tune split
    checks = {c.name: c.outcome for c in _report(project).verdict.checks if c.subject == "auto"}
    assert checks["max_accuracy_drop"] == "fail"
    assert not list((project / "out").glob("*.zip"))


def test_without_labels_agreement_is_what_is_searched_for(edgepack, project):
    _change(project / "dataset.toml", 'labels = "y"', 'task = "none"')
    done = edgepack("build", project, "--budget", "auto.min_agreement=0.9")
    assert done.returncode in {0, 3}, done.stderr
    result = _search(project)
    assert result.goal.max_harm == pytest.approx(0.05)
    assert result.met
    assert "unlike the source" in result.goal.measure


def test_the_smallest_file_is_found_as_well(edgepack, project):
    done = edgepack("build", project, "--objective", "size", "--clipping", "auto")
    assert done.returncode in {0, 3}, done.stderr
    result = _search(project)
    within = [t for t in result.trials if t.samples == 200 and not t.failure and t.harm <= 0.025]
    assert _chosen(result).size_bytes <= 1.02 * min(t.size_bytes for t in within)
    assert {t.candidate.clipping for t in result.trials} == {"min-max", "percentile", "mse"}


def test_frontier_and_sensitivity_are_reported(model, searched):
    result, report = _search(model), _report(model)
    assert result.chosen in {trial.number for trial in result.trials}
    assert set(result.front) <= {trial.number for trial in result.trials}
    ET.fromstring((model / "out/frontier.svg").read_text())
    assert [one.group for one in report.findings.sensitivity] == [g.name for g in result.groups]
    worst = max(report.findings.sensitivity, key=lambda one: one.error or 0)
    assert "EXP" in worst.ops or "LOG" in worst.ops or worst.share > 0.2
    assert "frontier.svg" in (model / "out/report.md").read_text()


def test_an_unchanged_build_searches_nothing_and_gives_the_same_bytes(edgepack, model, project):
    done = edgepack("build", project, "--json")
    assert done.returncode == 0
    assert "search" in json.loads(done.stdout)["cached"]
    name = "collapsing-1.0.0.zip"
    assert (project / "out" / name).read_bytes() == (model / "out" / name).read_bytes()


def test_replaying_the_log_gives_the_identical_choice(edgepack, model, project):
    log = model / "out/search.json"
    done = edgepack("build", project, "--no-cache", "--replay", log)
    assert done.returncode == 0, done.stdout + done.stderr
    again, first = _search(project), _search(model)
    assert _chosen(again) == _chosen(first)
    assert again.trials == first.trials
    name = "collapsing-1.0.0.zip"
    assert (project / "out" / name).read_bytes() == (model / "out" / name).read_bytes()


def test_a_log_of_another_model_is_refused(edgepack, model, project):
    log = json.loads((model / "out/search.json").read_text())
    log["groups"] = log["groups"][:-1]
    (project / "search.json").write_text(json.dumps(log))
    done = edgepack("build", project, "--replay", project / "search.json")
    assert done.returncode == 2
    assert "of another model" in done.stderr


@pytest.mark.parametrize("content", ["", "{}", "\x00"])
def test_a_damaged_log_is_refused(edgepack, project, content):
    (project / "search.json").write_text(content)
    done = edgepack("build", project, "--replay", project / "search.json")
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_trial_is_built_without_searching(edgepack, model, project):
    result = _search(model)
    whole = [t for t in result.trials if t.samples == result.samples and not t.failure]
    other = next(t.number for t in whole if t.candidate.kept and t.number != result.chosen)
    done = edgepack("build", project, "--pick", str(other), "--json")
    assert "search" in json.loads(done.stdout)["cached"]
    picked = _search(project)
    assert picked.chosen == other
    assert picked.picked
    auto = next(v for v in _report(project).evidence.variants if v.variant == "auto")
    assert auto.sha256 == _chosen(picked).sha256


def test_a_trial_that_never_was_cannot_be_picked(edgepack, project):
    done = edgepack("build", project, "--pick", "9999")
    assert done.returncode == 2
    assert "no trial 9999" in done.stderr


def test_ctrl_c_keeps_the_best_so_far_and_the_next_build_goes_on(plain_env, edgepack, project):
    cache = project / "cache"
    command = [sys.executable, "-m", "edgepack", "build", str(project), "--cache-dir", str(cache)]
    with subprocess.Popen(command, env=plain_env, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if line.startswith("trials: reference; best so far"):
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode in {0, 3}, rest
    first = _search(project)
    assert first.stopped == "interrupted"
    done = edgepack("build", project, "--cache-dir", cache)
    assert done.returncode == 0, done.stderr
    second = _search(project)
    assert second.stopped == "done"
    assert len(second.trials) > len(first.trials)
    assert second.trials[: len(first.trials)] == first.trials  # measured once, used again


def test_the_search_keeps_to_its_limit(edgepack, project):
    done = edgepack("build", project, "--search-trials", "7")
    assert done.returncode in {0, 3}, done.stderr
    result = _search(project)
    assert result.stopped == "trials"
    assert len(result.trials) == 7


def test_without_a_tune_split_there_is_nothing_to_choose_by(edgepack, project):
    _change(project / "dataset.toml", "samples = 200", "samples = 0")
    done = edgepack("build", project)
    assert done.returncode == 2
    assert "splits.tune.samples" in done.stderr


def test_sensitivity_names_the_layer_that_int8_ruins(edgepack, project):
    done = edgepack("sensitivity", project, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["harm"] > 0.1
    shares = {layer["group"]: layer["share"] or 0 for layer in found["layers"]}
    assert sum(shares.values()) == pytest.approx(1)
    table = edgepack("sensitivity", project)
    assert table.returncode == 0
    assert all(name in table.stdout for name in shares)


def test_the_curve_says_what_more_calibration_samples_give(edgepack, project):
    done = edgepack("sensitivity", project, "--curve", "--json")
    assert [point["samples"] for point in json.loads(done.stdout)["curve"]] == [5, 10, 20, 50, 60]
