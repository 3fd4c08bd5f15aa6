"""What changed between two bundles: each kind of change, whether it breaks an app, the words."""

from __future__ import annotations

import contextlib
import json

import pytest
from bundle_samples import (
    EPOCH,
    accuracy,
    manifest_of,
    sample_bundle,
    tiny_model,
    write_models,
)
from hypothesis import given
from hypothesis import strategies as st
from tflite_models import PLAIN, pack, unpack

from edgepack import api
from edgepack.bundle.contents import write_bundle
from edgepack.difference.manifests import between
from edgepack.errors import UsageError, VerificationError
from edgepack.records.dataset import Preprocess
from edgepack.records.difference import Difference, Side
from edgepack.records.evidence import Skipped
from edgepack.records.facts import SemanticIdentity
from edgepack.records.manifest import DigestSet, Manifest, RuntimeNeed, TargetEntry
from edgepack.records.stages import DeviceInput
from edgepack.records.tensors import OpUse, Quantization, Signature, Tensor
from edgepack.records.verdict import Check, Verdict
from edgepack.report import difference

SCALE = Quantization(scales=(0.5,), zero_points=(3,))
NEED = RuntimeNeed(artifact="com.google.ai.edge.litert:litert", least_version="1.4.0")
OTHER_DIGEST = DigestSet(sha256="ef" * 32)


def tensor(name, place=0, **fields):
    told = {"dtype": "int8", "shape": (1, 8), "shape_signature": (-1, 8), "quantization": SCALE}
    return Tensor(name=name, subgraph_index=place, **{"tensor": f"{name}:0", **told, **fields})


def signature(inputs=None, outputs=None, name="serving_default"):
    inputs = inputs or (tensor("image"), tensor("mask", 1))
    return Signature(name=name, inputs=inputs, outputs=outputs or (tensor("scores"),))


BASE = manifest_of({"float32": tiny_model()})
MODEL = BASE.models[0].model_copy(
    update={
        "variant": "int8",
        "path": "models/int8.tflite",
        "signatures": (signature(),),
        "ops": (OpUse(name="CONV_2D", version=2, count=3), OpUse(name="ADD", count=1)),
        "float_ops": (),
        "min_runtime_version": "2.3.0",
    }
)
TARGET = TargetEntry(name="phone", variants=("int8", "float32"), platform="android", runtime=NEED)
BASE = BASE.model_copy(
    update={
        "models": (*BASE.models, MODEL),
        "targets": (TARGET,),
        "license": "Apache-2.0",
        "sequence": 41,
    }
)


def top(**fields):
    """The base manifest with other fields, and a sequence that fits a later release."""
    return BASE.model_copy(update={"sequence": 42, **fields})


def model(**fields):
    return top(models=(BASE.models[0], MODEL.model_copy(update=fields)))


def inputs(*found):
    return model(signatures=(signature(inputs=found),))


def image(**fields):
    return inputs(tensor("image", **fields), tensor("mask", 1))


def scores(**fields):
    return model(signatures=(signature(outputs=(tensor("scores", **fields),)),))


def target(**fields):
    return top(targets=(TARGET.model_copy(update=fields),))


def runtime(**fields):
    return target(runtime=NEED.model_copy(update=fields))


def image_from(**fields):
    return top(preprocessing={"image": BASE.preprocessing["image"].model_copy(update=fields)})


def ops(*found):
    return model(ops=found)


CONV, ADD = MODEL.ops
PREPARED = DeviceInput(name="ids", tensor="t", dtype="int32", shape=(4,), sources=("text",))

# After what change; of what; in which words; what breaks, or nothing.
CHANGES = {
    "input dtype": (image(dtype="uint8"), "int8", "dtype int8 became uint8", "feed int8"),
    "output dtype": (scores(dtype="uint8"), "int8", "dtype int8 became uint8", "read int8"),
    "input renamed": (
        inputs(tensor("picture"), tensor("mask", 1)),
        "int8",
        "input image: name image became picture",
        "by its name",
    ),
    "output renamed": (
        model(signatures=(signature(outputs=(tensor("logits"),)),)),
        "int8",
        "output scores: name scores became logits",
        "by its name",
    ),
    "input gone": (inputs(tensor("image")), "int8", "input mask is gone", "refused"),
    "output gone": (
        model(signatures=(signature(outputs=(tensor("other", dtype="bool"),)),)),
        "int8",
        "output scores is gone",
        "nothing of that name",
    ),
    "input new": (
        inputs(tensor("image"), tensor("mask", 1), tensor("mode", 2)),
        "int8",
        "input mode is new",
        "do not feed",
    ),
    "output new": (
        model(signatures=(signature(outputs=(tensor("scores"), tensor("boxes", 1))),)),
        "int8",
        "output boxes is new",
        "",
    ),
    "input rank": (
        image(shape=(1, 8, 1), shape_signature=None),
        "int8",
        "shape [-1, 8] became [1, 8, 1]",
        "old shape",
    ),
    "input size": (
        image(shape=(1, 9), shape_signature=(-1, 9)),
        "int8",
        "shape [-1, 8] became [-1, 9]",
        "old shape",
    ),
    "input takes less": (
        image(shape_signature=None),
        "int8",
        "shape [-1, 8] became [1, 8]",
        "old shape",
    ),
    "input takes more": (
        image(shape_signature=(-1, -1)),
        "int8",
        "shape [-1, 8] became [-1, -1]",
        "",
    ),
    "output gives less": (
        scores(shape_signature=None),
        "int8",
        "shape [-1, 8] became [1, 8]",
        "",
    ),
    "output gives more": (
        scores(shape_signature=(-1, -1)),
        "int8",
        "shape [-1, 8] became [-1, -1]",
        "old shape",
    ),
    "default shape": (image(shape=(4, 8)), "int8", "default shape [1, 8] became [4, 8]", "old"),
    "rank unknown": (
        scores(shape=None, shape_signature=None),
        "int8",
        "shape [-1, 8] became unknown",
        "old shape",
    ),
    "input scale": (
        image(quantization=Quantization(scales=(0.25,), zero_points=(3,))),
        "int8",
        "quantization scale 0.5, zero point 3 became scale 0.25, zero point 3",
        "quantize or dequantize themselves",
    ),
    "output zero point": (
        scores(quantization=Quantization(scales=(0.5,), zero_points=(4,))),
        "int8",
        "quantization scale 0.5, zero point 3 became scale 0.5, zero point 4",
        "quantize or dequantize themselves",
    ),
    "no more quantized": (
        image(quantization=None),
        "int8",
        "quantization scale 0.5, zero point 3 became none",
        "quantize or dequantize themselves",
    ),
    "rounding of a scale": (
        image(quantization=Quantization(scales=(0.5 + 1e-8,), zero_points=(3,))),
        "int8",
        "became scale 0.50000001, zero point 3",
        "",
    ),
    "per channel": (
        scores(quantization=Quantization(scales=(0.5, 1.0), zero_points=(0, 0), axis=1)),
        "int8",
        "became 2 scales along axis 1: 0.5, 1",
        "quantize or dequantize themselves",
    ),
    "input position": (
        inputs(tensor("image", 1), tensor("mask", 1)),
        "int8",
        "input image: position 0 became 1",
        "by position",
    ),
    "graph name": (
        image(tensor="x:0"),
        "int8",
        "input image: tensor name image:0 became x:0",
        "",
    ),
    "signature gone": (
        model(signatures=(signature(name="main"),)),
        "int8",
        "signature serving_default is gone",
        "call",
    ),
    "signature new": (
        model(signatures=(signature(), signature(name="train"))),
        "int8",
        "signature train is new",
        "",
    ),
    "prepared input": (
        model(prepared_inputs=(PREPARED,)),
        "int8",
        "input ids: preparation from text as t, int32 [4] is new",
        "prepare it in another way",
    ),
    "scale of pixels": (
        image_from(scale=2.0),
        "bundle",
        "input image: preprocessing scale 0.00392156862745098 became 2.0",
        "other values",
    ),
    "size of images": (
        image_from(resize=None),
        "bundle",
        "fit stretch became none",
        "other values",
    ),
    "mean": (image_from(mean=(0.5,)), "bundle", "mean none became 0.5", "other values"),
    "array of the dataset": (
        image_from(array="x"),
        "bundle",
        "preprocessing array none became x",
        "",
    ),
    "preprocessing gone": (top(preprocessing={}), "bundle", "is gone", "another way"),
    "preprocessing new": (
        top(preprocessing={**BASE.preprocessing, "mask": Preprocess()}),
        "bundle",
        "input mask: preprocessing color rgb",
        "",
    ),
    "classes reordered": (
        top(classes=("dog", "cat", "Äffchen")),
        "bundle",
        "the same names in another order; number 0 was cat and is dog",
        "another class",
    ),
    "class new": (
        top(classes=(*BASE.classes, "bird")),
        "bundle",
        "classes cat, dog, Äffchen became cat, dog, Äffchen, bird (new: bird)",
        "another class",
    ),
    "class gone": (top(classes=("cat", "dog")), "bundle", "gone: Äffchen", "another class"),
    "classes gone": (top(classes=()), "bundle", "Äffchen is gone", "labels.txt"),
    "variant gone": (
        top(
            models=BASE.models[:1],
            skipped=(Skipped(variant="int8", stage="collapse", reason="it collapsed"),),
        ),
        "bundle",
        "variant int8 is gone (it collapsed)",
        "no file",
    ),
    "variant new": (
        top(models=(*BASE.models, MODEL.model_copy(update={"variant": "dynamic"}))),
        "bundle",
        "variant dynamic is new",
        "",
    ),
    "target gone": (top(targets=()), "bundle", "target phone is gone", "promised"),
    "target new": (
        top(targets=(TARGET, TARGET.model_copy(update={"name": "board"}))),
        "bundle",
        "target board is new",
        "",
    ),
    "target takes less": (
        target(variants=("int8",)),
        "target:phone",
        "variant float32 is gone",
        "ship it there",
    ),
    "best of a target": (
        target(variants=("float32", "int8")),
        "target:phone",
        "best variant int8 became float32",
        "another signature",
    ),
    "platform": (
        target(platform="ios"),
        "target:phone",
        "platform android became ios",
        "another kind",
    ),
    "library": (
        runtime(artifact="org.tensorflow:tensorflow-lite"),
        "target:phone",
        "runtime com.google.ai.edge.litert:litert 1.4.0 became org.tensorflow:tensorflow-lite",
        "another library",
    ),
    "newer library": (
        runtime(least_version="1.10.0"),
        "target:phone",
        "least runtime 1.4.0 became 1.10.0",
        "newer version",
    ),
    "older library": (
        runtime(least_version="1.3.0"),
        "target:phone",
        "least runtime 1.4.0 became 1.3.0",
        "",
    ),
    "library unsaid": (target(runtime=None), "target:phone", "1.4.0 is gone", ""),
    "newer op": (
        ops(CONV.model_copy(update={"version": 3}), ADD),
        "int8",
        "op CONV_2D: version 2 became 3",
        "may not know it",
    ),
    "older op": (
        ops(CONV.model_copy(update={"version": 1}), ADD),
        "int8",
        "op CONV_2D: version 2 became 1",
        "",
    ),
    "op new": (ops(CONV, ADD, OpUse(name="GELU", count=1)), "int8", "ops GELU is new", ""),
    "op gone": (ops(CONV), "int8", "ops ADD is gone", ""),
    "op used more": (
        ops(CONV, ADD.model_copy(update={"count": 4})),
        "int8",
        "uses of ops ADD 1 became ADD 4",
        "",
    ),
    "custom op": (
        ops(CONV, ADD, OpUse(name="Mine", count=1, custom=True)),
        "int8",
        "custom ops Mine is new",
        "register",
    ),
    "Select-TF op": (
        model(select_ops=("FlexErf",)),
        "int8",
        "Select-TF ops FlexErf is new",
        "Select-TF",
    ),
    "newer runtime": (
        model(min_runtime_version="2.10.0"),
        "int8",
        "least runtime 2.3.0 became 2.10.0",
        "may not know it",
    ),
    "older runtime": (
        model(min_runtime_version="1.5.0"),
        "int8",
        "least runtime 2.3.0 became 1.5.0",
        "",
    ),
    "runtime of no version": (
        model(min_runtime_version="nightly"),
        "int8",
        "least runtime 2.3.0 became nightly",
        "may not know it",
    ),
    "in float": (model(float_ops=("SOFTMAX",)), "int8", "float ops SOFTMAX is new", ""),
    "stateful": (model(stateful=True), "int8", "stateful no became yes", "earlier calls"),
    "path": (
        model(path="models/q.tflite"),
        "int8",
        "path models/int8.tflite became models/q.tflite",
        "by its path",
    ),
    "precision": (model(precision="int8"), "int8", "precision float32 became int8", ""),
    "conversion": (
        model(conversion={"engine": "other"}),
        "int8",
        "conversion: engine by hand became other",
        "",
    ),
    "size": (
        model(size_bytes=2 * MODEL.size_bytes),
        "int8",
        f"(+{MODEL.size_bytes} bytes, +100 %)",
        "",
    ),
    "file": (model(digest=OTHER_DIGEST), "int8", "became efefefefefefefef", ""),
    "name": (top(name="beasts"), "bundle", "name pets became beasts", "by its name"),
    "version": (top(version="1.2.4"), "bundle", "version 1.2.3 became 1.2.4", ""),
    "sequence lower": (top(sequence=7), "bundle", "sequence 41 became 7", "older release"),
    "sequence kept": (
        top(sequence=41, version="1.2.4"),
        "bundle",
        "sequence is 41, as before",
        "two releases",
    ),
    "sequence gone": (top(sequence=None), "bundle", "sequence 41 is gone", "without a sequence"),
    "sequence higher": (top(), "bundle", "sequence 41 became 42", ""),
    "failed": (top(failed=True), "bundle", "gate passed became refused", "verifiers refuse"),
    "expiry": (
        top(expires="2031-01-01T00:00:00Z"),
        "bundle",
        "expires 2031-01-01T00:00:00Z is new",
        "",
    ),
    "licence": (top(license="MIT"), "bundle", "licence Apache-2.0 became MIT", "agree"),
    "accuracy": (
        model(
            accuracy=accuracy().model_copy(
                update={
                    "metrics": (accuracy().metrics[0].model_copy(update={"value": 0.5}),),
                }
            )
        ),
        "int8",
        "top1 0.9133 became 0.5000",
        "",
    ),
    "agreement": (
        model(
            accuracy=accuracy().model_copy(
                update={
                    "agreement": (accuracy().agreement[0].model_copy(update={"top1": 0.9}),),
                }
            )
        ),
        "int8",
        "output scores: agreement top-1 100.0 %, cosine 0.999990, SNR 41.5 dB became top-1 90.0 %",
        "",
    ),
    "check": (
        top(
            verdict=Verdict(
                passed=True,
                checks=(
                    BASE.verdict.checks[0].model_copy(
                        update={"outcome": "inconclusive", "budget": 0.1}
                    ),
                ),
            )
        ),
        "float32",
        "check min_accuracy pass became inconclusive",
        "",
    ),
    "budget": (
        top(
            verdict=Verdict(
                passed=True,
                checks=(
                    Check(
                        subject="float32",
                        name="min_accuracy",
                        value=0.9,
                        budget=0.1,
                        outcome="pass",
                    ),
                ),
            )
        ),
        "float32",
        "budget min_accuracy 0.8 became 0.1",
        "",
    ),
    "source": (
        top(source=BASE.source.model_copy(update={"digest": OTHER_DIGEST})),
        "source",
        "model abababababababab became efefefefefefefef",
        "",
    ),
    "samples": (
        top(dataset=BASE.dataset.model_copy(update={"digest": OTHER_DIGEST})),
        "dataset",
        "samples cdcdcdcdcdcdcdcd became efefefefefefefef",
        "",
    ),
    "tool": (
        top(tools=BASE.tools.model_copy(update={"tensorflow": "2.22.0"})),
        "bundle",
        "tensorflow 2.21.0 became 2.22.0",
        "",
    ),
    "attachment": (
        top(attachments=("sbom.cdx.json",)),
        "bundle",
        "attachment sbom.cdx.json is new",
        "",
    ),
}


@pytest.mark.parametrize(("after", "subject", "words", "why"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_told_and_flagged_if_it_breaks_an_app(after, subject, words, why):
    found = between(BASE, after)
    change = next(one for one in found if words in difference.sentence(one))
    assert change.subject == subject
    assert change.breaking == bool(why)
    assert why in change.why
    others = {one for one in found if one.breaking} - {change}
    assert change.breaking or not others


@pytest.mark.parametrize("after", [after for after, *_ in CHANGES.values()], ids=CHANGES)
def test_nothing_changed_between_a_manifest_and_itself(after):
    assert between(after, after) == ()


def test_an_op_breaks_nothing_where_no_target_declares_a_least_runtime():
    before, after = (
        one.model_copy(update={"targets": (TARGET.model_copy(update={"runtime": None}),)})
        for one in (BASE, model(min_runtime_version="2.10.0"))
    )
    assert not any(change.breaking for change in between(before, after))


def test_one_model_saved_again_is_told_from_another_one():
    def source(digest, identity, left_out=()):
        known = SemanticIdentity(digest=identity, signatures={}, left_out=left_out)
        told = {"digest": DigestSet(sha256=digest * 32), "identity": known}
        return top(source=BASE.source.model_copy(update=told))

    def said(before, after):
        return next(one.detail for one in between(before, after) if one.what == "model")

    assert said(source("aa", "x"), source("bb", "x")) == "it computes the same: saved again"
    assert said(source("aa", "x"), source("bb", "y")) == "it computes something else"
    assert "not all" in said(source("aa", "x", ("op",)), source("bb", "x"))


def test_figures_of_other_samples_are_not_compared_in_silence():
    worse = CHANGES["accuracy"][0]
    data = BASE.dataset.model_copy(update={"digest": OTHER_DIGEST})
    (found,) = (
        c for c in between(BASE, worse.model_copy(update={"dataset": data})) if c.what == "top1"
    )
    assert "cannot be compared" in found.detail


UNTOLD = (  # figures behind those that are told, and what apps do not see
    "accuracy.samples",
    "drops.",
    "agreement.0.max",
    "agreement.0.mean",
    "agreement.0.rel",
    "agreement.0.samples",
    "metrics.0.samples",
    "metrics.0.higher",
    "verdict.passed",
    "verdict.checks.0.value",
    "verdict.checks.0.interval",
    "verdict.checks.0.samples",
    "verdict.checks.0.measured",
    "verdict.checks.0.detail",
    "signature_index",
    "signatures.0.method",
)
OTHERS = (  # one of them is allowed in any field
    *(True, False, 977, 0.25, 400_000_000),
    *("other", "bgr", "nchw", "nearest", "crop", "fail", "commits", "0" * 64, "9.9.9"),
    "2031-01-01T00:00:00Z",
    *(["x"], [0.125], [7]),
    {"low": 0.1, "high": 0.2, "method": "m"},
    {"sample_rate": 8, "duration_ms": 9},
    {"scales": [0.5], "zero_points": [1]},
    {"digest": "x", "signatures": {}},
    [{"what": "x", "why": "y"}],
    [{"op": "x", "count": 1, "does": "y", "reached_by": []}],
    [{"variant": "x", "stage": "invoke", "reason": "y"}],
    [{"variant": "x", "reason": "y"}],
    [PREPARED.model_dump(mode="json")],
)


def leaves(value, path=()):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in pairs:
        if isinstance(inner, dict | list) and inner:
            yield from leaves(inner, (*path, key))
        else:
            yield (*path, key)


def changed(path):
    """The base manifest with another value of one leaf."""
    document = json.loads(BASE.model_dump_json())
    *above, last = path
    place = document
    for key in above:
        place = place[key]
    value = place[last]
    for other in OTHERS:
        if value is None or type(value) is type(other):
            place[last] = other
            with contextlib.suppress(ValueError):
                after = Manifest.model_validate_json(json.dumps(document), strict=True)
                if after != BASE:
                    return after
    pytest.fail(f"no other value is known for {path}")


LEAVES = [
    path for path in leaves(json.loads(BASE.model_dump_json())) if path != ("schema_version",)
]


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: ".".join(map(str, path)))
def test_no_leaf_of_a_manifest_changes_unseen(path):
    found = {change.what for change in between(BASE, changed(path))} - {"sequence"}
    named = ".".join(map(str, path))
    assert found or path == ("sequence",)
    assert ("details" in found) == any(part in named for part in UNTOLD)


@given(st.sets(st.sampled_from(sorted(CHANGES))), st.sets(st.sampled_from(sorted(CHANGES))))
def test_any_two_manifests_differ_in_what_is_told_and_in_nothing_else(some, others):
    before, after = (merged(names) for names in (some, others))
    found = between(before, after)
    assert bool(found) == (before != after)
    assert all(bool(change.why) == change.breaking for change in found)
    order = [change.breaking for change in found]
    assert order == sorted(order, reverse=True)
    assert all(difference.sentence(change).strip() for change in found)


def merged(names):
    """The base with the changed fields of several rows."""
    fields = {}
    for name in sorted(names):
        after = CHANGES[name][0]
        fields |= {
            f: getattr(after, f)
            for f in type(after).model_fields
            if getattr(after, f) != getattr(BASE, f)
        }
    return BASE.model_copy(update=fields)


def bundle(directory, models, name, **fields):
    manifest = manifest_of(models).model_copy(update=fields)
    directory.mkdir(exist_ok=True)
    write_bundle(manifest, write_models(models, directory), directory / name, epoch=EPOCH)
    return directory / name


def retrained(data=PLAIN, **fields):
    made = unpack(data)
    made.buffers[1].data = [*range(1, 65)]
    for key, value in fields.items():
        setattr(made.subgraphs[0].operators[0], key, value)
    return pack(made)


@pytest.mark.parametrize(
    ("after", "what", "detail"),
    [
        (retrained(), "weights", "the same graph, 1 of its 1 tensors of numbers differ"),
        (retrained(inputs=[0]), "graph", ""),
        (pack(unpack(PLAIN)) + bytes(4), "file", "the same graph and weights"),
    ],
    ids=["weights", "graph", "file"],
)
def test_weights_are_told_from_another_graph(tmp_path, after, what, detail):
    before = bundle(tmp_path, {"float32": PLAIN}, "before.zip")
    found = api.diff(before, bundle(tmp_path, {"float32": after}, "after.zip"))
    (change,) = (c for c in found.changes if c.what in {"weights", "graph", "file"})
    assert change.what == what
    assert change.detail.startswith(detail)
    assert not found.same_contents
    assert not found.breaking


def test_a_bundle_does_not_differ_from_its_copy(tmp_path):
    one = sample_bundle(tmp_path)
    copy = tmp_path / "copy.zip"
    copy.write_bytes(one.read_bytes())
    found = api.diff(one, copy)
    assert found.same_contents
    assert not found.changes
    assert "no differences" in difference.text(found)
    assert "byte for byte" in difference.text(found)


@pytest.fixture
def signed(tmp_path):
    """Signs a bundle in place, by keys of these names."""

    def sign(path, *names):
        keys = [tmp_path / f"{name}.key" for name in names]
        for key in keys:
            if not key.exists():
                api.keygen(key)
        if keys:
            api.sign(path, map(str, keys))
        return path

    return sign


@pytest.mark.parametrize(
    ("before", "after", "words", "breaking"),
    [
        ((), ("a",), "is new", False),
        (("a",), (), "is not signed yet", False),
        (("a",), ("b",), "is gone", True),
        (("a",), ("a", "b"), "is new", False),
        (("a", "b"), ("b",), "is gone", True),
    ],
)
def test_signatures_alone_are_said_to_differ(tmp_path, signed, before, after, words, breaking):
    one, other = (sample_bundle(tmp_path, name=f"{side}.zip") for side in ("one", "other"))
    found = api.diff(signed(one, *before), signed(other, *after))
    assert found.same_contents
    assert {change.what for change in found.changes} == {"signature by"}
    assert words in difference.sentence(found.changes[0])
    assert found.breaking == breaking
    assert "only signatures differ" in difference.text(found)


def test_attachments_of_other_contents_are_told(tmp_path):
    models = {"float32": tiny_model()}
    paths = write_models(models, tmp_path)
    bundles = [tmp_path / f"{name}.zip" for name in ("one", "other")]
    for path in bundles:
        data = json.dumps({"made": path.name}).encode()
        write_bundle(
            manifest_of(models), paths, path, epoch=EPOCH, attachments={"sbom.cdx.json": data}
        )
    found = api.diff(*bundles)
    assert [(c.part, c.what, c.breaking) for c in found.changes] == [
        ("sbom.cdx.json", "contents", False)
    ]


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_bundle_that_does_not_hold_is_refused(tmp_path, damaged):
    pair = [sample_bundle(tmp_path, name=f"{number}.zip") for number in range(2)]
    data = bytearray(pair[damaged].read_bytes())
    data[len(data) // 2] ^= 1
    pair[damaged].write_bytes(data)
    with pytest.raises(VerificationError, match=f"{damaged}.zip"):
        api.diff(*pair)


def test_a_bundle_that_is_not_there_is_a_mistake_of_usage(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        api.diff(sample_bundle(tmp_path), tmp_path / "none.zip")


def side(name, version, **fields):
    told = {"sequence": 41, "sha256": "ab" * 32, "contents_sha256": "cd" * 32, "signed_by": ()}
    path = f"{name}-{version}.zip"
    return Side(path=path, name=name, version=version, size_bytes=98_100, **{**told, **fields})


def found(*names, **fields):
    """A difference of several changes."""
    changes = between(BASE, merged(names))
    told = {"before": side("pets", "1.2.3"), "after": side("pets", "1.3.0"), "same_contents": False}
    breaking = any(change.breaking for change in changes)
    return Difference(**{**told, **fields}, breaking=breaking, changes=changes)


SHOWN = ("input scale", "classes reordered", "target takes less", "version", "tool", "samples")


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_what_is_printed(golden, form):
    said = getattr(difference, form)(found(*SHOWN))
    golden(f"diff/{form}.{'md' if form == 'markdown' else 'txt'}", said)


def test_the_same_change_of_several_variants_is_told_once():
    one = between(BASE, CHANGES["input dtype"][0])
    changes = tuple(c.model_copy(update={"subject": v}) for v in ("int8", "mixed") for c in one)
    said = difference.text(found().model_copy(update={"changes": changes}))
    assert said.count("dtype int8 became uint8") == 1
    assert "int8, mixed: input image: dtype" in said
    assert "1 breaking change" in said.splitlines()[0]


def test_text_of_bundles_drives_neither_terminal_nor_pull_request():
    name = "\x1b[2J<b>@everyone</b>\n# big"
    changes = between(BASE, top(name=name))
    hostile = found(after=side(name, "1.3.0")).model_copy(update={"changes": changes})
    assert "\x1b" not in difference.text(hostile)
    assert "\n# big" not in difference.text(hostile)
    said = difference.markdown(hostile)
    assert "<b>" not in said
    assert "@everyone" not in said


@given(st.sets(st.sampled_from(sorted(CHANGES))))
def test_lines_fit_80_columns(names):
    for line in difference.text(found(*names)).splitlines():
        assert len(line) <= 80 or " " not in line.strip()


@pytest.fixture
def pair(tmp_path):
    models = {"float32": tiny_model()}
    fields = {"version": "1.3.0", "classes": ("dog", "cat", "Äffchen")}
    return str(sample_bundle(tmp_path)), str(bundle(tmp_path, models, "breaking.zip", **fields))


@pytest.mark.parametrize(
    ("fail_on", "same", "code"),
    [
        ((), False, 0),
        (("--fail-on", "breaking"), False, 3),
        (("--fail-on", "any"), False, 3),
        (("--fail-on", "breaking"), True, 0),
        (("--fail-on", "any"), True, 0),
    ],
)
def test_exit_codes_say_whether_it_breaks(edgepack, pair, fail_on, same, code):
    done = edgepack("diff", pair[0], pair[not same], *fail_on)
    assert done.returncode == code, done.stderr
    assert "pets 1.2.3 to" in done.stdout


def test_any_is_more_than_breaking(edgepack, tmp_path):
    models = {"float32": tiny_model()}
    pair = sample_bundle(tmp_path), bundle(tmp_path, models, "later.zip", version="1.3.0")
    assert edgepack("diff", *pair, "--fail-on", "breaking").returncode == 0
    assert edgepack("diff", *pair, "--fail-on", "any").returncode == 3


def test_json_is_the_record(edgepack, pair):
    done = edgepack("diff", *pair, "--json")
    assert Difference.model_validate_json(done.stdout) == api.diff(*pair)


def test_markdown_is_one_comment(edgepack, pair):
    done = edgepack("diff", *pair, "--markdown")
    assert done.stdout == difference.markdown(api.diff(*pair))


def test_markdown_and_json_exclude_each_other(edgepack, pair):
    done = edgepack("diff", *pair, "--markdown", "--json")
    assert done.returncode == 2
    assert "exclude" in done.stderr


def test_a_bundle_that_does_not_hold_ends_with_4(edgepack, tmp_path, pair):
    (tmp_path / "cut.zip").write_bytes((tmp_path / "breaking.zip").read_bytes()[:-1])
    done = edgepack("diff", pair[0], tmp_path / "cut.zip")
    assert done.returncode == 4
    assert "cut.zip" in done.stderr
