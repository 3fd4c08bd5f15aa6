from __future__ import annotations

import math

import numpy as np
import pytest
import tflite_models as made
from tflite_models import build, scaled, tensor

from edgepack.errors import RuntimeRefusalError, SignatureError
from edgepack.measure import layers as measured
from edgepack.measure.odd_samples import duplicates_and_noise
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.recipe import Group
from edgepack.records.stages import TFLiteModel

RNG = np.random.default_rng(0)
SAMPLES = RNG.uniform(0, 20, (50, 4)).astype(np.float32)
WHOLE = Group(name="dense", tensors=("y", "z"), ops=("FULLY_CONNECTED", "RELU"))
IO = ([("main", [("x", 0)], [("z", 2)])],)


def float_file():
    """y = x by a unit matrix, z = relu(y)."""
    tensors = [tensor("x"), tensor("y"), tensor("z"), tensor("w", shape=(4, 4), data=True)]
    operators = [("FULLY_CONNECTED", [0, 3, -1], [1]), ("RELU", [1], [2])]
    model = made.unpack(build(tensors, operators, [0], [2], *IO))
    model.buffers[1].data = list(np.eye(4, dtype=np.float32).tobytes())
    for code in model.operatorCodes:
        code.version = 1
    return made.pack(model)


def int8(name, scale):
    return tensor(name, "int8", quantization=scaled([scale], [-128]))


def quantized_file(y, z, *, restored=False):
    """x as int8 in two steps; where restored, z is the float32 that was made of the second."""
    inner = "z_int8" if restored else "z"
    tensors = [tensor("x"), int8("y", y), tensor("z" if restored else "out"), int8(inner, z)]
    operators = [("QUANTIZE", [0], [1]), ("QUANTIZE", [0], [3]), ("DEQUANTIZE", [3], [2])]
    model = made.unpack(build(tensors, operators, [0], [2, 1], *IO))
    for code in model.operatorCodes:
        code.version = 1
    return made.pack(model)


def split_of(samples, path, name="x"):
    np.save(path, samples)
    ref = ArrayRef(path=str(path), dtype=samples.dtype.name, shape=samples.shape)
    return SplitData(inputs={name: ref}, labels=None, samples=len(samples), digest="")


@pytest.fixture
def look(tmp_path, monkeypatch):
    """Layers of the float file above against other content."""

    def call(content, samples=SAMPLES, groups=(WHOLE,), known=None, rows=1000, name="x"):
        models = []
        for stem, file in (("float", float_file()), ("quantized", content)):
            path = tmp_path / f"{stem}.tflite"
            path.write_bytes(file)
            models.append(TFLiteModel(path=str(path), sha256="", signature="main"))
        monkeypatch.setattr(measured, "ranges", lambda path, clipping: known)
        split = split_of(samples, tmp_path / "x.npy", name)
        statistics = "statistics.npz" if known else ""
        return measured.layers(tuple(models), groups, statistics, split, rows)

    return call


def errors(scale):
    return np.clip(np.rint(SAMPLES / scale), 0, 255) * scale - SAMPLES


@pytest.mark.parametrize("restored", [False, True], ids=["integer", "float-io"])
def test_the_tensor_with_the_least_snr_stands_for_its_group(look, restored):
    (found,) = look(quantized_file(0.1, 4.0, restored=restored))
    noise = np.square(errors(4.0), dtype=np.float64).sum()
    expected = 10 * math.log10(np.square(SAMPLES, dtype=np.float64).sum() / noise)
    assert (found.group, found.tensor, found.ops) == ("dense", "z", WHOLE.ops)
    assert found.snr_db == pytest.approx(expected, abs=0.05)
    assert found.error_over_scale == pytest.approx(math.sqrt(1 / 12), abs=0.02)  # rounding alone


def test_clipping_is_an_error_of_many_steps(look):
    (found,) = look(quantized_file(0.01, 4.0))
    assert found.tensor == "y"
    assert found.error_over_scale == pytest.approx(np.sqrt(np.mean(errors(0.01) ** 2)) / 0.01, 1e-3)


def test_groups_are_reported_in_order(look):
    alone = [Group(name=name, tensors=(name,), ops=()) for name in ("z", "y")]
    found = look(quantized_file(0.1, 4.0), groups=tuple(alone))
    assert [layer.group for layer in found] == ["z", "y"]
    assert found[0].snr_db < found[1].snr_db


def test_equal_tensors_have_no_error_and_no_step(look):
    (found,) = look(float_file())
    assert found.snr_db == measured.MOST_DB
    assert found.error_over_scale is None


def test_saturation_is_what_lies_outside_the_calibrated_range(look):
    (found,) = look(quantized_file(0.1, 4.0), known={"z": (5.0, 15.0)})
    assert (found.low, found.high) == (5.0, 15.0)
    assert found.saturation == pytest.approx(np.mean((SAMPLES < 5) | (SAMPLES > 15)))


def test_tensors_are_seen_as_they_are_between_operators_that_a_delegate_fuses(look):
    samples, before = SAMPLES - 10, Group(name="before", tensors=("y",), ops=("FULLY_CONNECTED",))
    (found,) = look(float_file(), samples, (before,), known={"y": (0.0, 99.0)})
    assert found.saturation == pytest.approx(np.mean(samples < 0))


def test_what_was_not_calibrated_has_no_range(look):
    (found,) = look(quantized_file(0.1, 4.0), known={"other": (5.0, 15.0)})
    assert (found.low, found.high, found.saturation) == (None, None, None)


def test_dead_channels_and_headroom_are_of_the_float_file(look):
    samples = SAMPLES.copy()
    samples[:, 1], samples[7, 2] = 3.0, 65000.0
    renamed = quantized_file(0.1, 4.0).replace(b"\x01\0\0\0y", b"\x01\0\0\0q")
    group = Group(name="first", tensors=("y",), ops=("FULLY_CONNECTED",))
    (found,) = look(renamed, samples, (group,))
    assert (found.snr_db, found.error_over_scale) == (None, None)
    assert (found.channels, found.dead_channels) == (4, 1)
    assert found.float16_headroom == pytest.approx(65504 / 65000)


def test_one_sample_cannot_tell_that_a_channel_is_dead(look):
    (found,) = look(quantized_file(0.1, 4.0), rows=1)
    assert (found.channels, found.dead_channels) == (4, 0)


def test_overflow_leaves_no_headroom_and_no_ratio(look):
    samples = SAMPLES.copy()
    samples[0, 0] = np.inf
    (found,) = look(quantized_file(0.1, 4.0), samples, rows=1)
    assert found.snr_db is None
    assert found.float16_headroom < 1e-30


def test_a_group_without_numbers_says_nothing(look):
    (found,) = look(float_file(), groups=(Group(name="shapes", tensors=("n",), ops=("SHAPE",)),))
    assert (found.tensor, found.snr_db, found.float16_headroom, found.channels) == (
        "n",
        None,
        None,
        0,
    )


def test_a_file_that_does_not_run_is_refused_by_name(look):
    with pytest.raises(RuntimeRefusalError, match=r"quantized.tflite: ai-edge-litert cannot load"):
        look(quantized_file(0.1, 4.0)[:100])


def test_samples_of_another_model_are_refused(look):
    with pytest.raises(SignatureError, match="the samples' \\['other'\\]"):
        look(float_file(), name="other")


@pytest.fixture
def advice(tmp_path):
    def call(samples, rows=1000):
        return duplicates_and_noise(split_of(samples, tmp_path / "x.npy"), rows)

    return call


def waves(count=40):
    """Smooth signals [count, 100], each of its own frequency."""
    steps = np.arange(100) / 100
    return np.sin(np.outer(np.linspace(5, 20, count), steps)).astype(np.float32)


def test_good_samples_are_not_talked_about(advice):
    assert advice(waves()) == ()
    assert advice(np.uint8(waves() * 127 + 128)) == ()
    assert advice(RNG.normal(size=(40, 100))) == ()
    assert advice(RNG.integers(0, 9999, (40, 100))) == ()
    assert advice(np.array([b"text"] * 1 + [b"%d" % n for n in range(39)])) == ()


def spoiled(rows, values):
    samples = waves()
    samples[rows] = values
    return samples


@pytest.mark.parametrize(
    ("samples", "code", "words"),
    [
        (spoiled([3, 4, 9], waves()[2]), "duplicates", "3 of 40 calibration samples (from 0: 3, 4"),
        (
            spoiled([3], RNG.normal(size=100)),
            "noise",
            "1 of 40 calibration samples (from 0: 3) loo",
        ),
        (
            spoiled([3], 9 * waves()[3]),
            "outliers",
            "(from 0: 3) reach 9 where the median sample re",
        ),
        (spoiled([3, 4, 5], [[0], [0.5], [1]]), "noise", "3 of 40 calibration samples (from 0: 3,"),
    ],
)
def test_odd_samples_are_counted_and_named(advice, samples, code, words):
    (found,) = advice(samples)
    assert found.code == code
    assert words in found.message


def test_a_few_twins_or_silences_are_nothing_to_talk_about(advice):
    assert advice(spoiled([3, 4], waves()[2])) == ()
    assert advice(spoiled([3], 0.5)) == ()


def test_only_the_first_rows_are_looked_at(advice):
    assert advice(spoiled([30], RNG.normal(size=100)), rows=20) == ()
    assert advice(spoiled([1], RNG.normal(size=100)), rows=3) == ()
