from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.foresight import foresee, subject
from edgepack.inspection import inspect
from edgepack.records.facts import Computation, SavedModelFacts, UnsafeUse
from edgepack.records.tensors import OpUse, Signature, Tensor
from edgepack.savedmodel import ops

WILD = Path(__file__).resolve().parents[2] / "shared/data/wild"
# What TensorFlow 2.21 and litert-quantizer 0.11 then made of each model, by way of edgepack's
# repairs and with inputs drawn at random: float32, float16 and int8 files that run.
MEASURED = {
    "ArtemLunevLabs__EEG-training/0": (True, True, True),
    "Beagle-Boys__Music-Genre-Classification/0": (True, True, False),
    "C242-PS045-Career-Match__Cloud-Computing/0": (True, True, True),
    "Chernobyl81__humanseg_tflite/0": (True, True, True),
    "Huyrose1994__Google-Two-Tower-Retrival/0": (True, True, True),
    "Jerryzcheneo__traffic_sign_detection/0": (True, True, False),
    "MurphyAdam__flask-ai/0": (True, True, False),
    "aaryankumar1435-maker__ANN-Classification-Churn/0": (True, True, True),
    "breizhn__DTLN/0": (False, False, False),
    "carlosgabriel311__Processamento-de-imagem/0": (True, True, True),
    "dotnet__machinelearning-testdata/0": (True, True, True),
    "eriklandmark__gesture-recognition/0": (True, True, False),
    "hrsuda__Shogi/0": (True, True, True),
    "k1n5-bt__tajik-farsi_translitilation/0": (True, True, False),
    "marvinschmitt__DeepLearning-Bomberman/0": (True, True, True),
    "narada98__context-aware-recsys-rnd/0": (False, False, False),
    "tensorflow__serving/1": (True, True, True),
    "wookey9__gNB_Simulator_MC/0": (True, True, False),
    "xizhonghua__fsr/0": (True, True, True),
    "yjlee0607__MAI-2021-Workshop/0": (True, True, True),
    "zainakh__bci-representation-learning/0": (True, True, True),
}


@pytest.mark.skipif(not WILD.exists(), reason="needs SavedModels from the wild")
def test_predictions_of_models_in_the_wild_come_true():
    foreseen = {
        name: tuple(one.expected == "likely" for one in inspect(WILD / name).outlook)
        for name in MEASURED
    }
    assert foreseen == MEASURED


def _signature(name="serving_default", dtype="float32", dims=(-1, 3)):
    x = Tensor(name="x", dtype=dtype, shape=dims)
    return Signature(name=name, inputs=(x,), outputs=(Tensor(name="y", dtype="int32", shape=(1,)),))


ONE = (_signature(),)


def _facts(computed=None, signatures=ONE, **more):
    held = {"path": "m", "digest": "0", "size_bytes": 1, "tags": ("serve",), **more}
    found = () if computed is None else (Computation(name=signatures[0].name, **computed),)
    return SavedModelFacts(signatures=signatures, computations=found, **held)


def _outlook(facts):
    return {one.precision: (one.expected, one.reason) for one in foresee(facts).outlook}


@pytest.mark.parametrize(
    ("facts", "expected", "reason"),
    [
        (_facts({}), ("likely", "likely"), ""),
        (_facts(signatures=()), ("no", "no"), "no function stands in"),
        (_facts({"custom_ops": ("TRTEngineOp",)}), ("no", "no"), "TRTEngineOp: not TensorFlow's"),
        (_facts({"unconvertible_ops": ("Acosh",)}), ("no", "no"), "neither .* kernel for Acosh"),
        (_facts({"select_ops": ("Angle",)}), ("unlikely", "unlikely"), "off by default: Angle"),
        (
            _facts({"select_ops": ("TensorArrayReadV3", "TensorArrayWriteV3", "MaxPool3D")}),
            ("likely", "likely"),
            "",
        ),
        (
            _facts({"select_ops": ("StringLower", "RaggedTensorToTensor"), "strings": ("x",)}),
            ("likely", "likely"),
            r"strings \(StringLower, RaggedTensorToTensor\), left to the app",
        ),
        (_facts({"select_ops": ("StringLower",)}), ("unlikely", "unlikely"), "StringLower"),
        (_facts({"strings": ("x",), "tables": 1}), ("likely", "likely"), ""),
        (
            _facts({"strings": ("x",), "unknown_lengths": True}),
            ("unlikely", "unlikely"),
            "padded to no fixed length",
        ),
        (
            _facts({"control_flow": ("While",), "recurrent": ("GRU",)}),
            ("likely", "unlikely"),
            "GRU: a loop stays float, so the file is mixed",
        ),
        (_facts({"control_flow": ("If",)}), ("likely", "likely"), ""),
        (_facts({"stateful": True}), ("likely", "unlikely"), "assigns to variables"),
        (
            _facts({}, signatures=(_signature(dtype="float64"),)),
            ("unlikely", "unlikely"),
            "x is float64",
        ),
        (
            _facts({}, signatures=(_signature(dtype="resource"),)),
            ("no", "no"),
            "x takes a handle of TensorFlow's",
        ),
    ],
)
def test_an_outlook_has_its_reason(facts, expected, reason):
    found = _outlook(facts)
    assert (found["float32"][0], found["int8"][0]) == expected
    assert found["float16"] == found["float32"]
    told = found["int8"][1] or found["float32"][1]
    assert re.search(reason, told) if reason else not told


@pytest.mark.parametrize(
    ("reached_by", "expected"),
    [
        (("signature serving_default",), "no"),
        (("loading",), "no"),
        (("signature other",), "likely"),
        (("saving",), "likely"),
        ((), "likely"),
    ],
)
def test_what_more_than_computes_is_refused_where_it_runs(reached_by, expected):
    use = UnsafeUse(op="ReadFile", count=1, does="reads files", reached_by=reached_by)
    found, reason = _outlook(_facts({}, unsafe=(use,)))["float32"]
    assert found == expected
    assert ("ReadFile reads files" in reason) == (expected == "no")


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        (_facts({}), []),
        (_facts({}, slot_variables=4), ["drop 4 optimizer slot variables"]),
        (_facts({}, tags=("gpu", "train")), ["load the meta graph tagged gpu, train"]),
        (_facts({}, tags=()), ["load the meta graph tagged nothing"]),
        (_facts({}, has_object_graph=False), ["load it through a TensorFlow 1 session"]),
        (_facts({}, unknown_types=("_TFPTypeSpec",)), ["load it through a TensorFlow 1 session"]),
        (
            _facts({"reference_variables": 2, "devices": ("/device:GPU:0",)}),
            ["freeze 2 reference variables", "unpin ops from /device:GPU:0"],
        ),
        (_facts({"recurrent": ("GRU",)}), ["fix the batch to 1"]),
        (_facts({"recurrent": ("GRU",), "fixed_batch": 4}), []),
        (_facts({}, signatures=(_signature("only"),)), ["build the signature only"]),
        (_facts({}, signatures=(_signature("a"), _signature("b"))), []),
        (
            _facts(signatures=(), functions=(_signature("call"), _signature("call#1"))),
            ["build one of its functions, call, call#1"],
        ),
    ],
)
def test_repairs_are_foreseen(facts, what):
    found = [one.what for one in foresee(facts).foreseen]
    assert len(found) == len(what)
    assert all(one.startswith(start) for one, start in zip(found, what, strict=True))


def test_the_subject_is_what_computes_most_where_nothing_is_called_the_default():
    signatures = (_signature("a"), _signature("b"))
    work = [
        Computation(name=n, ops=(OpUse(name="Relu", count=c),)) for n, c in (("a", 1), ("b", 2))
    ]
    facts = _facts(signatures=signatures).model_copy(update={"computations": tuple(work)})
    assert subject(facts).name == "b"


names = st.lists(st.sampled_from(sorted(ops.SELECT | ops.NEITHER)), max_size=3).map(tuple)
computations = st.builds(
    dict,
    stateful=st.booleans(),
    custom_ops=names,
    select_ops=names,
    unconvertible_ops=names,
    control_flow=st.lists(st.sampled_from(sorted(ops.CONTROL_FLOW)), max_size=3).map(tuple),
    strings=st.sampled_from([(), ("x",)]),
    devices=st.sampled_from([(), ("/device:GPU:0",)]),
)


@given(computations)
def test_int8_never_looks_better_than_float32_and_every_doubt_has_a_reason(computed):
    facts = _facts(computed)
    seen = foresee(facts)
    order = ("no", "unlikely", "likely")
    first, half, last = seen.outlook
    assert order.index(last.expected) <= order.index(half.expected) == order.index(first.expected)
    assert all(one.reason for one in seen.outlook if one.expected != "likely")
    assert foresee(seen) == seen
    assert seen.model_dump(exclude={"foreseen", "outlook"}) == facts.model_dump(
        exclude={"foreseen", "outlook"}
    )
