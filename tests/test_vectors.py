"""Golden vectors: what is recorded, how far answers may be off, that another model is noticed."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import tflite_models
from bundle_samples import EPOCH, manifest_of, sample_bundle
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import edgepack
from edgepack import schemas
from edgepack.bundle.contents import write_bundle
from edgepack.cache import Cache
from edgepack.config import settings
from edgepack.errors import MissingExtraError, UsageError, VerificationError
from edgepack.files import canonical_json
from edgepack.pipeline import measuring, recording, selftest, vectors
from edgepack.pipeline import plan as plans
from edgepack.pipeline.session import Session
from edgepack.pipeline.variants import Built
from edgepack.records.dataset import ArrayRef, Outputs, SplitData
from edgepack.records.evidence import Accuracy, VariantEvidence
from edgepack.records.settings import Limits
from edgepack.records.stages import ModelFile, TFLiteModel
from edgepack.records.vectors import Configuration, VectorTensor
from edgepack.tflite import reader
from edgepack.tflite.steps import float_steps
from edgepack.vectors import codec, comparison, index, selection, sharing, size
from edgepack.vectors.tolerance import FACTOR, rounded_up, tolerance

ROOT = Path(__file__).resolve().parents[1]
COUNT, SAMPLES, CLASSES = 4, 60, 4
RNG = np.random.default_rng(7)
WEIGHTS = RNG.normal(size=(CLASSES, 4)).astype(np.float32)
INPUTS = RNG.normal(size=(SAMPLES, 4)).astype(np.float32)
DTYPES = ("bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32")
HERE = Configuration(runtime="ai-edge-litert", version="")
WAYS = (
    HERE,
    Configuration(runtime="ai-edge-litert", version="", kernels="builtin"),
    Configuration(runtime="ai-edge-litert", version="", kernels="reference"),
)


def _model(weights, *, quantized=False, dequantized=False, last="LOGISTIC"):
    """x to logistic(weights @ x), or the like, given as float32, as int8, or as float of int8."""
    steps = tflite_models.scaled([1 / 256], [-128])
    made = [
        tflite_models.tensor("x"),
        tflite_models.tensor("w", shape=(4, 4), data=True),
        tflite_models.tensor("product"),
        tflite_models.tensor("p"),
        tflite_models.tensor("q", "int8", quantization=steps),
        tflite_models.tensor("y"),
    ]
    operators = [("FULLY_CONNECTED", [0, 1, -1], [2]), (last, [2], [3])]
    output = 3
    if quantized or dequantized:
        operators.append(("QUANTIZE", [3], [4]))
        output = 4
    if dequantized:
        operators.append(("DEQUANTIZE", [4], [5]))
        output = 5
    io = ("serving_default", [("features", 0)], [("scores", output)])
    model = tflite_models.unpack(tflite_models.build(made, operators, [0], [output], [io]))
    model.operatorCodes[1].version = 1
    model.buffers[1].data = np.frombuffer(weights.astype("<f4").tobytes(), np.uint8)
    return tflite_models.pack(model)


def _scores(weights):
    return (1 / (1 + np.exp(-INPUTS @ weights.T))).astype(np.float32)


FLOAT = _model(WEIGHTS)
NEAR = _model(WEIGHTS * np.float32(1.001))
INT8 = _model(WEIGHTS, quantized=True)
GRADED = _model(WEIGHTS, dequantized=True)
MODELS = {"float32": FLOAT, "float16": NEAR, "int8": INT8, "int8-float-io": GRADED}


def _ref(directory, name, array):
    directory.mkdir(parents=True, exist_ok=True)
    np.save(directory / f"{name}.npy", array)
    path = str(directory / f"{name}.npy")
    return ArrayRef(path=path, dtype=array.dtype.name, shape=array.shape)


def _outputs(directory, **named):
    refs = {name: _ref(directory, name, array) for name, array in named.items()}
    return Outputs(arrays=refs, samples=len(next(iter(named.values()))))


def _built(variant, data, directory):
    path = directory / f"{variant}.tflite"
    path.write_bytes(data)
    facts = reader.read(path)
    evidence = VariantEvidence(
        variant=variant,
        precision=facts.precision,
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        accuracy=Accuracy(samples=0),
    )
    file = ModelFile(variant=variant, path=str(path), sha256=facts.sha256)
    model = TFLiteModel(path=str(path), sha256=facts.sha256, signature="serving_default")
    return Built(file=file, facts=facts, model=model, evidence=evidence)


def _ground(directory, models=None, ways=WAYS):
    directory.mkdir(parents=True, exist_ok=True)
    features = _ref(directory / "samples", "features", INPUTS)
    split = SplitData(inputs={"features": features}, labels=None, samples=SAMPLES, digest="d")
    models = models or MODELS
    return recording.Ground(
        built=[_built(variant, data, directory) for variant, data in models.items()],
        split=split,
        source=_outputs(directory / "source", scores=_scores(WEIGHTS)),
        answers=[
            _outputs(directory / variant, scores=_scores(WEIGHTS * np.float32(1.001)))
            for variant in models
        ],
        configurations=ways,
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    events = []
    cache = Cache(tmp_path_factory.mktemp("cache"))
    with Session(cache, Limits(), events.append, cores=1) as opened:
        opened.events = events
        yield opened


@pytest.fixture(scope="module")
def recorded(session, tmp_path_factory):
    """An index and the directory of its files."""
    root = tmp_path_factory.mktemp("recorded")
    ground = _ground(tmp_path_factory.mktemp("ground"))
    return recording.record(session, ground, COUNT, root), root


def _bundle(directory, recorded, models=None, change=lambda files: None):
    """A bundle of vectors and of models that may be others."""
    found, root = recorded
    files = {sharing.INDEX: index.text(found)}
    files |= {path: (root / path).read_bytes() for path in index.paths(found)}
    change(files)
    models = models or MODELS
    directory.mkdir(exist_ok=True)
    paths = {variant: directory / f"{variant}.in" for variant in models}
    for variant, data in models.items():
        paths[variant].write_bytes(data)
    target = directory / "pets-1.2.3.zip"
    write_bundle(manifest_of(models), paths, target, epoch=EPOCH, attachments=files)
    return target


# Raw files


@given(st.data(), st.sampled_from(DTYPES), st.integers(1, 4))
def test_what_is_encoded_is_decoded(data, dtype, count):
    shape = data.draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
    stacked = data.draw(arrays.arrays(dtype, (count, *shape)))
    found = codec.decode(codec.encode(list(stacked)), dtype, shape, count)
    assert found.dtype == stacked.dtype
    np.testing.assert_array_equal(found, stacked)


@given(st.lists(st.binary(max_size=9).filter(lambda text: not text.endswith(b"\0")), min_size=1))
def test_strings_are_length_and_bytes(texts):
    stacked = np.array(texts, np.bytes_).reshape(-1, 1)
    data = codec.encode(list(stacked))
    assert len(data) == sum(4 + len(text) for text in texts)
    found = codec.decode(data, "string", (1,), len(texts))
    assert found.reshape(-1).tolist() == texts
    with pytest.raises(ValueError, match="strings"):
        codec.decode(data[:-1] if texts[-1] else data + b"\0", "string", (1,), len(texts))


def test_bytes_are_little_endian_and_in_c_order():
    big = np.array([[1, 2], [3, 4]], ">i2").T
    assert codec.encode([big]) == bytes([1, 0, 3, 0, 2, 0, 4, 0])


@given(st.sampled_from(DTYPES), st.integers(-3, 3).filter(bool))
def test_files_of_another_length_are_refused(dtype, more):
    data = codec.encode([np.zeros((2, 2), dtype)])
    with pytest.raises(ValueError, match="bytes"):
        codec.decode((data + b"123")[: len(data) + more], dtype, (2, 2), 1)


def test_a_damaged_vector_names_its_file(tmp_path):
    (tmp_path / "0.bin").write_bytes(b"123")
    tensor = VectorTensor(name="x", dtype="float32", shape=(1,), path="0.bin")
    with pytest.raises(VerificationError, match=r"0\.bin: not what the index says: 3 bytes"):
        codec.read(tmp_path, tensor, 1)


def test_identical_bytes_are_stored_once(tmp_path):
    paths = ("vectors/inputs-a/0.bin", "vectors/inputs-b/0.bin", "vectors/inputs-b/1.bin")
    for path, data in zip((*paths, "vectors/a/0.bin"), (b"1", b"1", b"2", b"2"), strict=True):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    every = [
        VectorTensor(name="x", dtype="uint8", shape=(1,), path=path)
        for path in (*paths, "vectors/a/0.bin")
    ]
    moved = sharing.share(tmp_path, every)
    first, second = "vectors/inputs/0.bin", "vectors/inputs/1.bin"
    assert [moved[one.path] for one in every] == [first, first, second, second]
    left = sorted(path for path in (tmp_path / "vectors").rglob("*.bin"))
    assert left == [tmp_path / first, tmp_path / second]


# Differences and tolerances


@pytest.mark.parametrize(
    ("mine", "theirs", "apart"),
    [
        (np.float32([1, 2]), np.float32([1, 2.5]), 0.5),
        (np.float32([np.nan, np.inf]), np.float32([np.nan, np.inf]), 0),
        (np.float32([np.nan]), np.float32([1]), math.inf),
        (np.float32([np.inf]), np.float32([-np.inf]), math.inf),
        (np.float16([60000]), np.float16([-60000]), 120_000),
        (np.int8([-128]), np.int8([127]), 255),
        (np.int64([-(2**63)]), np.int64([2**63 - 1]), 2.0**64),
        (np.uint64([2**64 - 1]), np.uint64([2**64 - 2]), 1),
        (np.array([True]), np.array([False]), 1),
        (np.int8(3), np.int8(5), 2),
        (np.complex64([1j]), np.complex64([-1]), math.sqrt(2)),
        (np.float32([1]), np.float32([1, 1]), math.inf),
        (np.int8([1]), np.uint8([1]), math.inf),
        (np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32), 0),
    ],
)
def test_difference(mine, theirs, apart):
    assert comparison.difference(mine, theirs) == pytest.approx(apart)
    assert comparison.difference(theirs, mine) == pytest.approx(apart)


@pytest.mark.parametrize(
    ("mine", "recognised"),
    [
        ([[0.0, 1.0], [1.0, 0.0]], True),
        ([[0.2, 0.9], [0.8, 0.1]], True),
        ([[1.0, 0.0], [0.0, 1.0]], False),
        ([[0.0, 1.0], [0.1, 0.9]], False),
        ([[0.0, np.nan], [1.0, 0.0]], False),
        ([[0.0, 1.0]], True),  # the first of them only
    ],
)
def test_answers_are_recognised_where_each_is_nearest_to_its_own(mine, recognised):
    recorded = np.float32([[0, 1], [1, 0]])
    assert comparison.differences([np.float32(mine)], [recorded]).recognised == recognised


@given(st.floats(min_value=1e-30, max_value=1e30))
def test_rounding_up_leaves_one_digit_and_never_less(value):
    found = rounded_up(value)
    assert value <= found <= 2 * value * (1 + 1e-12)
    assert float(f"{found:.0e}") == found


@pytest.mark.parametrize(
    ("spread", "dtype", "peak", "step", "most"),
    [
        (0.0, "float32", 1.0, 0.0, 4e-6),  # 32 machine epsilons
        (0.0, "float32", 100.0, 0.0, 4e-4),
        (0.0, "float16", 1.0, 0.0, 4e-2),
        (1.1e-5, "float32", 1.0, 0.0, 4e-5),
        (0.0, "float32", 1.0, 1 / 256, 4e-3),  # of a dequantized output one step
        (0.0, "int8", 127.0, 1.0, 1.0),
        (2.0, "int8", 127.0, 1.0, FACTOR * 2),
        (0.0, "int64", 9.0, 0.0, 0.0),  # a class index must be equal
        (0.0, "float32", 0.0, 0.0, 0.0),
    ],
)
def test_tolerance(spread, dtype, peak, step, most):
    assert tolerance(spread, dtype, peak, step) == most


def test_steps_are_found_behind_operators_that_pass_them_on(tmp_path):
    (tmp_path / "graded").write_bytes(GRADED)
    (tmp_path / "float").write_bytes(FLOAT)
    assert float_steps(tmp_path / "graded") == {"y": 1 / 256}
    assert float_steps(tmp_path / "float") == {}


# Selection


def test_selection_takes_one_of_each_class_first(tmp_path):
    classes = np.repeat(np.arange(5), 20)
    scores = np.eye(5, dtype=np.float32)[classes] + RNG.normal(0, 0.01, (100, 5))
    source = _outputs(tmp_path / "source", scores=scores.astype(np.float32))
    taken = selection.choose(source, [source], 5)
    assert sorted(classes[list(taken)]) == [0, 1, 2, 3, 4]


def test_selection_prefers_what_the_files_answer_differently(tmp_path):
    scores = np.zeros((50, 2), np.float32)
    scores[25:, 0] = 1
    other = scores.copy()
    other[13, 1] = 0.4
    other[40, 1] = 0.3
    source = _outputs(tmp_path / "source", scores=scores)
    answers = _outputs(tmp_path / "other", scores=other)
    assert selection.choose(source, [source, answers], 2) == (13, 40)


@given(st.integers(1, 20))
def test_fewer_samples_are_the_first_of_more_and_none_is_twice(tmp_path_factory, count):
    directory = tmp_path_factory.mktemp("selection")
    source = _outputs(directory / "source", scores=_scores(WEIGHTS))
    taken = selection.choose(source, [source], 20)
    assert len(set(taken)) == 20
    assert selection.choose(source, [source], count) == taken[:count]


def test_selection_bears_constant_and_infinite_answers(tmp_path):
    scores = np.full((10, 3), np.nan, np.float32)
    scores[:, 1] = np.inf
    source = _outputs(tmp_path / "source", scores=scores)
    assert selection.choose(source, [source], 10) == tuple(range(10))


# What a build records


def test_the_index_is_canonical_and_names_every_file(recorded):
    found, root = recorded
    data = index.text(found)
    assert canonical_json(json.loads(data)) == data
    left = {path.relative_to(root).as_posix() for path in (root / "vectors").rglob("*.bin")}
    assert left == set(index.paths(found))
    assert index.read(data, left, MODELS.keys()) == found


def test_the_index_fits_its_published_schema(recorded):
    schema = jsonschema.Draft202012Validator(schemas.schema("vectors"))
    value = json.loads(index.text(recorded[0]))
    schema.validate(value)
    schema.validate(value | {"later": 1})
    assert not schema.is_valid(value | {"schema_version": 2})


def test_files_are_numbered_and_float_inputs_shared(recorded):
    found, _ = recorded
    inputs = {one.variant: one.inputs[0].path for one in found.variants}
    assert set(inputs.values()) == {"vectors/inputs/0.bin"}
    assert found.source[0].path == "vectors/source/0.bin"
    assert {one.variant: one.outputs[0].path for one in found.variants} == {
        variant: f"vectors/{variant}/0.bin" for variant in MODELS
    }


def test_what_is_recorded_is_what_the_samples_give(recorded):
    found, root = recorded
    by_name = {one.variant: one for one in found.variants}
    rows = list(found.rows)
    fed = codec.read(root, by_name["float32"].inputs[0], COUNT)
    np.testing.assert_array_equal(fed, INPUTS[rows][:, None])
    answers = codec.read(root, by_name["float32"].outputs[0], COUNT)
    np.testing.assert_allclose(answers[:, 0], _scores(WEIGHTS)[rows], atol=1e-6)
    stored = codec.read(root, by_name["int8"].outputs[0], COUNT)
    assert stored.dtype == np.int8
    np.testing.assert_allclose((stored[:, 0] + 128.0) / 256, _scores(WEIGHTS)[rows], atol=1 / 256)
    np.testing.assert_array_equal(
        codec.read(root, found.source[0], COUNT)[:, 0], _scores(WEIGHTS)[rows]
    )


def test_tolerances_follow_the_grades(recorded):
    found, _ = recorded
    most = {one.variant: one.outputs[0].tolerance for one in found.variants}
    assert most["int8"] == 1
    assert most["int8-float-io"] == 4e-3
    assert 0 < most["float32"] < 1e-5
    assert all(len(one.configurations) == len(WAYS) for one in found.variants)
    assert all(one.outputs[0].between_samples > 1e-2 for one in found.variants)


def test_other_variants_in_its_place_are_told(recorded):
    found, _ = recorded
    by_name = {one.variant: one for one in found.variants}
    assert by_name["float32"].alike_variants == ()
    assert set(by_name["int8-float-io"].alike_variants) == {"float32", "float16"}
    assert by_name["int8"].alike_variants == ()  # only it gives integers
    assert by_name["float32"].outputs[0].between_variants > by_name["float32"].outputs[0].tolerance
    told = "the vectors of int8-float-io would not notice float32, float16 in its place"
    assert told in index.doubts(found)


def test_constant_answers_tell_nothing_and_that_is_said(session, tmp_path):
    still = {"float32": _model(np.zeros((4, 4)))}
    found = recording.record(session, _ground(tmp_path / "ground", still), COUNT, tmp_path / "made")
    assert len(found.variants[0].alike_samples) == COUNT * (COUNT - 1) // 2
    (doubt,) = index.doubts(found)
    assert doubt == "float32 answers every input alike: its vectors tell nothing"


def test_kernels_that_cannot_run_a_file_are_left_out(session, tmp_path):
    models = {"float32": _model(WEIGHTS, last="ELU")}  # which the plain kernels have not
    found = recording.record(session, _ground(tmp_path / "ground", models), COUNT, tmp_path / "out")
    assert found.variants[0].configurations == WAYS[:2]


def test_a_runtime_that_answers_otherwise_is_left_out_and_named(session, tmp_path, monkeypatch):
    exchanged = tmp_path / "exchanged.tflite"
    exchanged.write_bytes(_model(-WEIGHTS))
    really = recording._by

    def by(run, one):
        found = really(run, one)
        broken = one.kernels == "builtin"
        path = str(exchanged) if broken else found.model.path
        return found.model_copy(update={"model": found.model.model_copy(update={"path": path})})

    monkeypatch.setattr(recording, "_by", by)
    ground = _ground(tmp_path / "ground", {"float32": FLOAT})
    session.events.clear()
    found = recording.record(session, ground, COUNT, tmp_path / "out")
    assert [one.kernels for one in found.variants[0].configurations] == ["default", "reference"]
    assert found.variants[0].outputs[0].tolerance < 1e-5
    (warning,) = [one.message for one in session.events if one.level == "warning"]
    assert "takes one sample for another" in warning


def test_the_same_samples_give_the_same_bytes(session, recorded, tmp_path):
    found, root = recorded
    again = recording.record(session, _ground(tmp_path / "ground"), COUNT, tmp_path / "made")
    assert index.text(again) == index.text(found)
    for path in index.paths(found):
        assert (tmp_path / "made" / path).read_bytes() == (root / path).read_bytes()


def test_a_fixed_batch_is_filled(session, tmp_path):
    pair = tflite_models.unpack(FLOAT)
    for tensor in pair.subgraphs[0].tensors:
        if tensor.name != b"w":
            tensor.shape = [2, 4]
    ground = _ground(tmp_path / "ground", {"float32": tflite_models.pack(pair)})
    found = recording.record(session, ground, 3, tmp_path / "made")
    assert (found.count, found.batch, len(found.rows)) == (2, 2, 4)
    assert found.variants[0].inputs[0].shape == (2, 4)
    answers = codec.read(tmp_path / "made", found.variants[0].outputs[0], 2)
    np.testing.assert_allclose(answers.reshape(4, 4), _scores(WEIGHTS)[list(found.rows)], atol=1e-6)


def test_size_counts_shared_inputs_once(tmp_path):
    ground = _ground(tmp_path)
    files = [
        (one.facts.signatures[0], answers)
        for one, answers in zip(ground.built, ground.answers, strict=True)
    ]
    real, floats, whole = 4 * 8, 3 * 4 * 4, 4
    assert size.per_sample(ground.split, ground.source, files) == real + 16 + floats + whole
    assert size.affordable(8, size.MOST_BYTES // 3) == 3
    assert size.affordable(8, size.MOST_BYTES + 1) == 0


# Replaying


def test_a_bundle_that_was_not_touched_passes(recorded, tmp_path):
    found = edgepack.selftest(_bundle(tmp_path, recorded))
    assert found.passed
    assert {one.variant for one in found.outputs} == MODELS.keys()
    assert all(one.difference <= one.tolerance for one in found.outputs)
    assert (found.name, found.version, found.count) == ("pets", "1.2.3", COUNT)
    assert found.cannot_tell


def _swapped(files, path):
    data = files[path]
    half = len(data) // 2
    files[path] = data[half:] + data[:half]


def _nudged(files, path):
    changed = np.frombuffer(files[path], np.int8).astype(int)
    files[path] = (changed + np.where(changed > 0, -1, 1)).astype(np.int8).tobytes()


def _jolted(files, path):
    files[path] = (np.frombuffer(files[path], np.int8) ^ 16).tobytes()


WRONG_MODELS = {
    "another release": ("float32", NEAR),
    "weights exchanged": ("float32", _model(WEIGHTS[::-1])),
    "a fourth digit changed": ("float32", _model(WEIGHTS + np.eye(4) * 1e-4)),
    "int8 of other weights": ("int8", _model(WEIGHTS * 1.1, quantized=True)),
    "other type": ("float32", INT8),
}


@pytest.mark.parametrize("what", WRONG_MODELS)
def test_a_wrong_model_is_noticed(recorded, tmp_path, what):
    variant, data = WRONG_MODELS[what]
    found = edgepack.selftest(_bundle(tmp_path, recorded, MODELS | {variant: data}))
    assert not found.passed
    assert {one.variant for one in found.outputs if not one.holds} == {variant}


@pytest.mark.parametrize(
    ("variant", "change", "passed"),
    [
        ("float32", _swapped, False),
        ("int8", _swapped, False),
        ("int8", _jolted, False),
        ("int8", _nudged, True),  # by one step, as another runtime's rounding may
    ],
)
def test_answers_in_another_order_or_beyond_rounding_are_noticed(
    recorded, tmp_path, variant, change, passed
):
    path = f"vectors/{variant}/0.bin"
    found = edgepack.selftest(_bundle(tmp_path, recorded, change=lambda files: change(files, path)))
    failed = {one.variant for one in found.outputs if not one.holds}
    assert failed == (set() if passed else {variant})


def test_one_variant_may_be_replayed(recorded, tmp_path):
    bundle = _bundle(tmp_path, recorded)
    found = edgepack.selftest(bundle, variants=["int8"], threads=2)
    assert [one.variant for one in found.outputs] == ["int8"]
    assert found.configuration.threads == 2
    with pytest.raises(UsageError, match="no vectors of int4"):
        edgepack.selftest(bundle, variants=["int4"])


def test_a_file_that_the_runtime_cannot_run_did_not_pass(recorded, tmp_path):
    other = tflite_models.unpack(FLOAT)
    other.operatorCodes[0].version = 99
    found = edgepack.selftest(
        _bundle(tmp_path, recorded, MODELS | {"float32": tflite_models.pack(other)})
    )
    (failed,) = [one for one in found.outputs if not one.holds]
    assert failed.difference is None
    assert "ai-edge-litert cannot load it" in failed.reason


def test_a_file_of_other_tensors_is_told_by_them(recorded, tmp_path):
    found = edgepack.selftest(_bundle(tmp_path, recorded, MODELS | {"float32": INT8}))
    (failed,) = [one for one in found.outputs if not one.holds]
    told = "the file's outputs are scores (int8), those recorded scores (float32)"
    assert failed.reason == told


def test_a_bundle_without_vectors_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no golden vectors") as refused:
        edgepack.selftest(sample_bundle(tmp_path))
    assert "[release]" in refused.value.hint


def test_a_changed_bundle_is_not_replayed(recorded, tmp_path):
    bundle = _bundle(tmp_path, recorded)
    data = bytearray(bundle.read_bytes())
    data[data.index(b"little")] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(VerificationError, match=r"vectors/index.json: bytes changed"):
        edgepack.selftest(bundle)


def _said(**changes):
    def change(files):
        raw = json.loads(files[sharing.INDEX])
        for path, value in changes.items():
            *way, last = path.split("__")
            inner = raw
            for key in way:
                inner = inner[int(key) if key.isdigit() else key]
            inner[last] = value
        files[sharing.INDEX] = canonical_json(raw)

    return change


def _not_json(files):
    files[sharing.INDEX] = b"{"


LIES = {
    "not JSON": (_not_json, "not JSON"),
    "a later version": (_said(schema_version=2), "a newer edgepack reads it"),
    "no count": (_said(count=0), "count"),
    "a count that takes for ever": (_said(count=2**50), "count"),
    "too many": (_said(count=COUNT + 1), "not what the index says"),
    "a path that leads out": (_said(variants__0__inputs__0__path="../x"), "no vector of this"),
    "no member": (_said(variants__0__inputs__0__path="vectors/9.bin"), "no vector of this"),
    "another member": (_said(variants__0__inputs__0__path="manifest.json"), "no vector of this"),
    "an unknown variant": (_said(variants__0__variant="int4"), "no variant of this bundle"),
    "a negative size": (_said(variants__0__inputs__0__shape=[-1, 4]), "has the shape"),
    "a type of objects": (_said(variants__0__inputs__0__dtype="object"), "not what the index says"),
    "a type of pickles": (_said(variants__0__inputs__0__dtype="O,O"), "not what the index says"),
    "no tolerance": (_said(variants__0__outputs__0__tolerance="x"), "tolerance"),
    "a huge shape": (_said(variants__0__inputs__0__shape=[2**40, 2**40]), "not what the index"),
}


@pytest.mark.parametrize("what", LIES)
def test_an_index_that_lies_is_refused(recorded, tmp_path, what):
    change, words = LIES[what]
    with pytest.raises(VerificationError, match=words):
        edgepack.selftest(_bundle(tmp_path, recorded, change=change))


@given(st.data())
def test_whatever_an_index_says_it_is_read_or_refused(recorded, data):
    found, _ = recorded
    text, members = index.text(found), set(index.paths(found))
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.binary(max_size=3))
    changed = text[:at] + put + text[at + data.draw(st.integers(0, 3)) :]
    with contextlib.suppress(VerificationError):
        read = index.read(changed, members, MODELS.keys())
        assert set(index.paths(read)) <= members


def test_what_a_later_edgepack_adds_is_no_fault(recorded, tmp_path):
    assert edgepack.selftest(_bundle(tmp_path, recorded, change=_said(later={"a": 1}))).passed


def test_without_a_runtime_the_extra_is_named(recorded, tmp_path, monkeypatch):
    bundle = _bundle(tmp_path, recorded)
    monkeypatch.setattr(selftest, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="not installed here"):
        edgepack.selftest(bundle)
    with pytest.raises(UsageError, match="no runtime 'onnx'"):
        edgepack.selftest(bundle, runtime="onnx")


def test_the_command_says_what_holds(edgepack, recorded, tmp_path):
    done = edgepack("selftest", _bundle(tmp_path, recorded))
    assert done.returncode == 0, done.stderr
    assert "holds" in done.stdout
    assert "4 invocations of each file by ai-edge-litert" in done.stdout
    assert "would not notice" in done.stderr


def test_the_command_ends_with_4_and_its_table_where_one_differs(edgepack, recorded, tmp_path):
    bundle = _bundle(tmp_path, recorded, MODELS | {"float32": NEAR})
    done = edgepack("selftest", bundle)
    assert done.returncode == 4
    assert "differs" in done.stdout
    assert "error[selftest]" in done.stderr
    assert "float32: 'scores' is off by" in done.stderr
    told = edgepack("selftest", bundle, "--json", "--variant", "float32")
    assert told.returncode == 4
    (output,) = json.loads(told.stdout)["outputs"]
    assert output["holds"] is False
    assert json.loads(told.stderr)["error"]["code"] == "selftest"


# Without Python


JAVA = """
import java.nio.file.*;
public class Main {
    static java.nio.ByteBuffer read(String path) throws Exception {
        return java.nio.ByteBuffer.wrap(Files.readAllBytes(Paths.get(path)));
    }
    public static void main(String[] a) throws Exception {
        System.out.println(Vectors.largest(a[0], read(a[1]), read(a[2])));
    }
}
"""


@pytest.fixture(scope="module")
def java(tmp_path_factory):
    """The comparison that docs/vectors.md gives to apps, compiled."""
    if not shutil.which("javac"):
        pytest.skip("no JDK here")
    directory = tmp_path_factory.mktemp("java")
    page = (ROOT / "docs/vectors.md").read_text()
    (directory / "Vectors.java").write_text(re.search(r"```java\n(.*?)```", page, re.DOTALL)[1])
    (directory / "Main.java").write_text(JAVA)
    sources = [str(directory / name) for name in ("Vectors.java", "Main.java")]
    subprocess.run(["javac", "-d", str(directory), *sources], check=True)

    def largest(dtype, mine, theirs):
        command = ["java", "-cp", str(directory), "Main", dtype, str(mine), str(theirs)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    return largest


@pytest.mark.parametrize(("variant", "dtype"), [("float16", "float32"), ("int8", "int8")])
def test_java_reads_the_files_and_finds_the_same_difference(
    java, recorded, tmp_path, variant, dtype
):
    found, root = recorded
    entry = next(one for one in found.variants if one.variant == variant)
    mine = codec.read(root, entry.outputs[0], COUNT)
    other = np.roll(mine, 1, axis=0)
    (tmp_path / "other.bin").write_bytes(codec.encode(list(other)))
    path = root / entry.outputs[0].path
    assert java(dtype, path, path) == 0
    assert java(dtype, path, tmp_path / "other.bin") == comparison.difference(mine, other)


def test_java_takes_nan_for_nan_only(java, tmp_path):
    for name, value in {"nan": np.nan, "one": 1, "infinite": np.inf}.items():
        (tmp_path / name).write_bytes(np.float32([value]).tobytes())
    assert java("float32", tmp_path / "nan", tmp_path / "nan") == 0
    assert java("float32", tmp_path / "infinite", tmp_path / "infinite") == 0
    assert java("float32", tmp_path / "nan", tmp_path / "one") == math.inf
    assert java("float32", tmp_path / "one", tmp_path / "infinite") == math.inf


# A whole build


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """The embedded model, built and measured, with what `make` gives for a number of samples."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    wanted = settings.load(ROOT / "calibration/digits/edgepack.toml")
    told = []
    with Session(cache, Limits(), told.append) as opened:
        plan = plans.make(opened, wanted)
        measured = measuring.measure(opened, plan, None)

        def members(count):
            told.clear()
            made = vectors.make(opened, plan, measured, count)
            members = made.members if made else {}
            return members, [event.message for event in told if event.level == "warning"]

        yield members


@pytest.mark.slow
def test_a_build_records_what_replays(build):
    members, warnings = build(8)
    found = index.read(
        members[sharing.INDEX], members.keys(), {"float32", "float16", "dynamic", "int8"}
    )
    assert found.count == 8
    assert len(set(found.rows)) == 8
    by_name = {one.variant: one for one in found.variants}
    assert by_name["float32"].alike_variants == ()
    assert all(one.alike_samples == () for one in found.variants)
    assert by_name["int8"].outputs[0].dtype == "int8"
    assert by_name["int8"].outputs[0].tolerance < by_name["int8"].outputs[0].between_samples / 10
    scores = np.frombuffer(members["vectors/source/0.bin"].read_bytes(), "<f4").reshape(8, 10)
    assert len(set(scores.argmax(1))) >= 6
    assert all(name in members for name in index.paths(found))
    assert (
        sum(path.stat().st_size for name, path in members.items() if name != sharing.INDEX) < 10_000
    )
    assert all("dynamic" in warning for warning in warnings)


@pytest.mark.slow
def test_a_build_without_vectors_has_no_members(build):
    assert build(0) == ({}, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("most", "left", "words"),
    [(1200, 2, "2 of 8 samples are recorded"), (10, 0, "no vectors: one sample is more than")],
)
def test_vectors_that_would_be_too_large_are_fewer(build, monkeypatch, most, left, words):
    monkeypatch.setattr(size, "MOST_BYTES", most)
    members, warnings = build(8)
    assert any(words in warning for warning in warnings)
    assert json.loads(members[sharing.INDEX])["count"] == left if left else members == {}
