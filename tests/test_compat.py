"""The least release of each runtime: from a file's operators, never from its own word."""

from __future__ import annotations

import json

import evidence_samples as samples
import kernel_files
import pytest
import tflite_models

from edgepack.compat.least import least
from edgepack.compat.registered import ASKED, table
from edgepack.gate import judge, selection
from edgepack.records.manifest import RuntimeNeed
from edgepack.records.tensors import OpUse
from edgepack.tflite import reader

PACKAGES = sorted({package for package, _ in ASKED.values()})


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
    ],
)
def test_the_operator_that_came_last_decides(numbering, operators, release, decided, without):
    found = of(numbering, *operators)
    assert (found.release, found.operators, found.without) == (release, decided, without)
    assert found.or_earlier == (not decided and numbering != "ai-edge-litert")
    assert found.proven == ("taken" if numbering.endswith("maven") else "run")


def test_what_an_app_brings_along_is_left_out():
    use = OpUse(name="TFLite_Detection_PostProcess", version=9, count=1, custom=True)
    assert all(one.release for one in least([use]))


@pytest.mark.parametrize("package", PACKAGES)
def test_tables_name_releases_that_were_asked(package):
    found = table(package)
    assert len(set(found.releases)) == len(found.releases) >= 8
    for operator, since in found.since.items():
        assert set(since) <= {*found.releases, ""}, operator
        places = [found.releases.index(release) for release in since if release]
        assert places == sorted(places), f"{operator}: a later version is there earlier"


@pytest.mark.parametrize(
    ("kind", "version", "asked"),
    [("int8", 4, "2.10.0"), ("dynamic", 3, None)],
)
def test_what_types_ask_for_counts_and_not_what_a_file_states(kind, version, asked):
    found = reader.parse(kernel_files.fully_connected(kind), "a.tflite")
    assert [one.version for one in found.ops] == [1]
    assert [one.version for one in found.asked] == [version]
    assert found.kernels == (f"FULLY_CONNECTED {kind} per-channel",)
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
