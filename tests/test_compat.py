"""The least release of each runtime: from a file's operators, never from its own word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import evidence_samples as samples
import kernel_files
import numpy as np
import pytest
import tflite_models
from hypothesis import given
from hypothesis import strategies as st

from edgepack.compat.least import least
from edgepack.compat.numberings import numberings
from edgepack.compat.proof import boundaries, share
from edgepack.compat.registered import HAS, LACKS, Row, table
from edgepack.compat.remedies import remedies
from edgepack.gate import judge, selection
from edgepack.records.compat import ARTIFACTS, Numbering
from edgepack.records.manifest import RuntimeNeed
from edgepack.records.tensors import OpUse
from edgepack.tflite import reader
from edgepack.tflite.version_rules import rules

PACKAGES = sorted({one.package for one in numberings().values() if one.package})


DOC = Path(__file__).resolve().parents[1] / "docs/runtimes.md"
VERSION_12 = ("FULLY_CONNECTED version 12",)


def of(numbering, *operators):
    uses = [OpUse(name=name, version=version, count=1) for name, version in operators]
    (found,) = (one for one in least(uses) if one.numbering == numbering)
    return found


@pytest.mark.parametrize(
    ("numbering", "operators", "release", "decided", "without"),
    [
        # TensorFlow 1.15 says of it: Didn't find op for builtin opcode 'CONV_2D' version '5'.
        ("tensorflow", [("CONV_2D", 5), ("ADD", 1)], "2.4.0", ("CONV_2D version 5",), "1.13.1"),
        ("tensorflow-lite-maven", [("CONV_2D", 5)], "2.4.0", ("CONV_2D version 5",), "1.13.1"),
        ("tflite-runtime", [("CONV_2D", 5)], "2.7.0", (), None),
        ("tflite-runtime", [("MUL", 7), ("CAST", 3)], "2.13.0", ("MUL version 7",), "2.8.0"),
        ("ai-edge-litert", [("CONV_2D", 5)], "1.0.0", (), None),
        ("ai-edge-litert", [("ADD", 6), ("SLICE", 7)], "2.1.6", ("ADD version 6",), "2.1.0"),
        ("litert-maven", [("ADD", 6)], "2.1.6", ("ADD version 6",), "1.0.0"),
        # TensorFlow 2.4 knew it, 2.5 did not: only what stays counts.
        ("tensorflow", [("ADD", 4)], "2.6.0", ("ADD version 4",), "1.13.1"),
        ("ai-edge-litert", [("ADD", 99), ("MUL", 8)], None, ("ADD version 99",), "2.1.6"),
        ("ai-edge-litert", [("BUILTIN_250", 1)], None, ("BUILTIN_250 version 1",), "1.0.0"),
        ("ai-edge-litert", [], "1.0.0", (), None),
        # The last release with anything in it is 2.16.1: TensorFlow 2.17 knows it, Maven's never.
        ("tensorflow-lite-maven", [("FULLY_CONNECTED", 12)], None, VERSION_12, "1.13.1"),
        ("tensorflow-lite-swift", [("FULLY_CONNECTED", 12)], "2.17.0", VERSION_12, "1.13.1"),
        ("tensorflow-lite-swift", [("PAD", 5), ("ADD", 2)], None, ("PAD version 5",), "1.14.0"),
        ("litert-swift", [("ADD", 6)], "2.1.6", ("ADD version 6",), "1.0.0"),
    ],
)
def test_the_operator_that_came_last_decides(numbering, operators, release, decided, without):
    found = of(numbering, *operators)
    assert (found.release, found.operators, found.without) == (release, decided, without)
    assert found.or_earlier == (not decided and numbering != "ai-edge-litert")
    assert found.proven == ("taken" if numbering.endswith(("maven", "swift")) else "run")
    assert bool(found.remedy) == bool(decided)


def test_what_a_later_release_lost_is_named():
    found = of("tensorflow", ("ADD", 4))
    assert (found.release, found.lost) == ("2.6.0", ("2.5.0",))
    assert found.remedy == "in the model, int32 in place of int64"


def test_kernels_that_older_releases_were_not_asked_for_are_marked():
    (found,) = _of_kernels("tensorflow", "TRANSPOSE_CONV int8 per-tensor")
    assert (found.release, found.or_earlier, found.proven) == ("2.6.0", True, "read")
    (found,) = _of_kernels("tensorflow", "CONV_2D float16")
    assert (found.release, found.lost, found.proven) == ("2.20.0", ("2.19.0",), "run")
    (found,) = _of_kernels("tensorflow-lite-swift", "CONV_2D float16")
    assert (found.release, found.or_earlier, found.operators) == ("1.13.1", True, ())
    (found,) = _of_kernels("ai-edge-litert", "CONV_2D float16")
    assert (found.release, found.proven, found.without) == ("1.4.0", "run", "1.0.0")
    assert found.lost == ("1.1.0", "1.1.1", "1.1.2", "1.2.0", "1.3.0")
    (found,) = _of_kernels("ai-edge-litert", "CONV_2D of another kind")
    assert (found.release, found.operators) == ("1.0.0", ())


def test_releases_behind_an_end_do_not_count():
    kinds, numbering = ["BATCH_MATMUL int8 per-tensor"], "litert-maven"
    whole, early, none = (
        next(one for one in least([], kinds, below) if one.numbering == numbering)
        for below in ("", "2", "1.0.0")
    )
    assert (whole.release, whole.lost[0], whole.lost[-1]) == ("2.1.3", "2.0.2", "2.1.2")
    assert (early.release, early.lost) == ("1.0.0", ())
    assert none.release is None
    (found,) = (one for one in least([], ["DIV int8"], "2") if one.numbering == "tensorflow")
    assert found.operators == (), "no release below 2 was asked"


def _of_kernels(numbering, *kernels):
    return [one for one in least([], kernels) if one.numbering == numbering]


def test_numberings_are_those_that_records_name():
    assert tuple(numberings()) == get_args(Numbering)
    assert set(ARTIFACTS.values()) == set(get_args(Numbering))
    for one in numberings().values():
        assert not one.newest or one.newest in table(one.package).releases
        assert bool(one.package) == (one.proven != "unknown")


def test_of_google_play_services_nothing_is_claimed():
    assert ARTIFACTS["com.google.android.gms:play-services-tflite-java"] == "play-services-tflite"
    found = {one.numbering for one in least([OpUse(name="ADD", version=6, count=1)])}
    assert found == set(get_args(Numbering)) - {"play-services-tflite"}


@given(st.text(alphabet="yn?", max_size=12))
def test_a_row_counts_from_the_last_release_that_lacks_it(letters):
    row = Row(answers=letters)
    kept = [
        place
        for place, letter in enumerate(letters)
        if letter == HAS and LACKS not in letters[place:]
    ]
    assert row.first == min(kept, default=None)
    assert row.decides == (row.first is not None and LACKS in letters[: row.first])
    sure = row.first == 0 or (bool(row.first) and letters[row.first - 1] == LACKS)
    assert row.mark == ("run" if sure or letters[-1:] == LACKS else "read")
    had = [place for place, letter in enumerate(letters) if HAS in letters[:place]]
    assert set(row.lost) == {
        place for place in had if letters[place] == LACKS and place < (row.first or 0)
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_the_share_that_is_proven_by_running(package):
    found, rows = share(package), list(table(package).rows())
    assert found.rows == len(rows) == found.run + found.read
    assert 0 < found.deciding_run <= found.deciding < found.rows
    assert len(boundaries(package)) == found.deciding_run
    if package != "tensorflow":
        assert (found.read, found.deciding) == (0, found.deciding_run)
    assert all(row.answers.strip("?") for _, row in rows)
    (line,) = (one for one in DOC.read_text().splitlines() if one.startswith(f"| `{package}` | "))
    assert f" {found.run} of {found.rows} " in line
    assert f" {found.deciding_run} of {found.deciding} " in line


@pytest.mark.parametrize("package", PACKAGES)
def test_boundaries_are_neighbours(package):
    releases = table(package).releases
    for _, older, newer in boundaries(package):
        assert releases.index(older) + 1 == releases.index(newer)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_kind_of_layer_has_a_row(package):
    found = table(package)
    assert set(found.computes) == set(kernel_files.KINDS)
    assert {len(answers) for answers in found.computes.values()} == {len(found.releases)}


@pytest.mark.parametrize("name", kernel_files.KINDS)
def test_a_file_says_which_kind_of_layer_it_has(name):
    found = reader.parse(kernel_files.file_of(kernel_files.KINDS[name]), "a.tflite")
    assert name in found.kernels
    assert {one.version for one in found.ops} == {1}


@pytest.mark.parametrize(
    ("name", "shape", "asked"),
    [
        ("MUL float32 5-D broadcast", (1, 1), False),
        ("MUL int8 5-D broadcast", (), False),
        ("MUL int16 5-D broadcast", (), True),
        ("SUB int8 5-D broadcast", (1,), True),
        ("ADD int8 5-D broadcast", kernel_files.KINDS["ADD int8 5-D broadcast"].shape, False),
    ],
)
def test_a_single_value_goes_with_any_shape(name, shape, asked):
    """But in int16, and for SUB: run on tflite-runtime 2.7.0, 2.8.0 and 2.14.0."""
    kind = replace(kernel_files.KINDS[name], constant=np.full(shape, 33))
    found = reader.parse(kernel_files.file_of(kind), "a.tflite")
    assert (name in found.kernels) == asked


def test_what_an_app_brings_along_is_left_out():
    use = OpUse(name="TFLite_Detection_PostProcess", version=9, count=1, custom=True)
    assert all(one.release for one in least([use]))


@pytest.mark.parametrize("package", PACKAGES)
def test_tables_name_releases_that_were_asked(package):
    found = table(package)
    assert len(set(found.releases)) == len(found.releases) >= 5
    for operator, since in found.since.items():
        assert set(since) <= {*found.releases, ""}, operator
        places = [found.releases.index(release) for release in since if release]
        assert places == sorted(places), f"{operator}: a later version is there earlier"


@pytest.mark.parametrize(
    ("name", "version", "asked"),
    [
        ("FULLY_CONNECTED int8 per-channel", 4, "2.10.0"),
        ("FULLY_CONNECTED dynamic per-channel", 3, None),
    ],
)
def test_what_types_ask_for_counts_and_not_what_a_file_states(name, version, asked):
    found = reader.parse(kernel_files.file_of(kernel_files.KINDS[name]), "a.tflite")
    assert [one.version for one in found.ops] == [1]
    assert [one.version for one in found.asked] == [version]
    assert found.kernels == (name,)
    (least_of,) = (
        one for one in least(found.asked, found.kernels) if one.numbering == "tflite-runtime"
    )
    assert (least_of.release, least_of.operators) == (asked, found.kernels)


def test_inspect_says_from_which_releases_on(edgepack, tmp_path):
    model = tflite_models.unpack(tflite_models.PLAIN)
    model.operatorCodes[0].version = 24
    (tmp_path / "new.tflite").write_bytes(tflite_models.pack(model))
    shown = edgepack("inspect", tmp_path / "new.tflite").stdout
    assert "no tflite-runtime that was tried: " in shown
    assert " version 24" in shown
    assert "lowered by  none is known for " in shown
    found = json.loads(edgepack("inspect", tmp_path / "new.tflite", "--json").stdout)
    assert {one["release"] for one in found["least_releases"]} == {None}


@pytest.mark.parametrize(
    ("artifact", "oldest", "outcome", "says"),
    [
        ("com.google.ai.edge.litert:litert", "1.0.1", "fail", "ADD version 6 is new in "),
        ("com.google.ai.edge.litert:litert", "2.1.6", "pass", "int8"),
        ("com.google.ai.edge.litert:litert", "", "pass", "int8"),
        ("org.tensorflow:tensorflow-lite", "2.16.1", "fail", "that was tried has ADD version 6"),
        ("of.somebody:else", "1.0", "inconclusive", "no release of of.somebody:else was asked"),
        ("of.somebody:else", "", "pass", "int8"),
    ],
)
def test_a_target_takes_no_variant_that_its_runtime_does_not_know(artifact, oldest, outcome, says):
    found = least([OpUse(name="ADD", version=6, count=1)])
    evidence = samples.evidence(samples.variant(least_releases=found))
    target = samples.target(runtime=RuntimeNeed(artifact=artifact, least_version=oldest))
    verdict = judge(evidence, samples.settings(), (target,), samples.files(evidence))
    (entry,) = selection((target,), evidence, samples.files(evidence), verdict)
    assert entry.variants == (("int8",) if outcome != "fail" else ())
    (check,) = (one for one in verdict.checks if one.subject == "target:phone")
    assert says in check.detail
    assert check.outcome == outcome


def test_the_page_counts_rules_and_remedies_as_they_are():
    page, known = DOC.read_text(encoding="utf-8"), remedies().values()
    run = sum(one.proven == "run" for one in known)
    assert f"has {sum(map(len, rules().values()))} rules on types" in page
    assert f"has, for {len(known)} things that can decide" in page
    assert f"For {run}\nof them a test makes a model both ways" in page
