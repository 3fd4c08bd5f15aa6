import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgepack.measure import diagnosis
from edgepack.measure.diagnosis import Alternative, alternatives, explain, transform
from edgepack.records.dataset import ArrayRef, DatasetSpec, Outputs, Preprocess, SplitData
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.workers.pool import WorkerPool

DIGITS = Path(__file__).parents[1] / "calibration" / "digits"
ANIMALS = ("ant", "bee", "cat", "dog")
SPEC = DatasetSpec(name="d", kind="image-folder", inputs={"x": Preprocess()})
RNG = np.random.default_rng(3)


@pytest.fixture
def store(tmp_path):
    numbers = itertools.count()

    def save(array):
        path = tmp_path / f"{next(numbers)}.npy"
        np.save(path, array)
        return ArrayRef(path=str(path), dtype=array.dtype.name, shape=array.shape)

    return save


@pytest.fixture
def permuted(store):
    def run(labels, answers, classes):
        columns = max(len(classes), int(answers.max()) + 1)
        scores = np.eye(columns, dtype=np.float32)[answers]
        outputs = Outputs(arrays={"y": store(scores)}, samples=len(labels))
        return diagnosis.permuted_classes(outputs, store(labels), SPEC, classes)

    return run


def test_the_likely_class_order_is_given(permuted):
    labels = RNG.integers(4, size=200)
    answers = np.array([2, 0, 3, 1])[labels]  # the model says ant third, bee first, ...
    answers[:10] = 0
    sentence = permuted(labels, answers, ANIMALS)
    order = json.loads(sentence.partition("classes = ")[2])
    assert order == ["bee", "dog", "ant", "cat"]
    assert "instead of" in sentence


def test_labels_without_names_are_told_by_number(permuted):
    labels = RNG.integers(3, size=100)
    sentence = permuted(labels, labels + 1, ())
    assert "label 0 is output 1, 1 is output 2, 2 is output 3" in sentence


@pytest.mark.parametrize("samples", [1, 4, 19, 20, 50, 400])
@pytest.mark.parametrize("seed", range(8))
def test_a_model_that_guesses_has_no_order(permuted, samples, seed):
    labels, answers = np.random.default_rng(seed).integers(4, size=(2, samples))
    assert permuted(labels, answers, ANIMALS) == ""


@pytest.mark.parametrize("seed", range(5))
def test_many_classes_of_one_sample_each_prove_nothing(permuted, seed):
    labels = np.arange(50)
    answers = np.random.default_rng(seed).permutation(50)
    assert permuted(labels, answers, tuple(map(str, range(50)))) == ""


def test_a_right_order_is_left_alone(permuted):
    labels = RNG.integers(4, size=200)
    answers = np.where(RNG.random(200) < 0.7, labels, 0)
    assert permuted(labels, answers, ANIMALS) == ""


def test_answers_that_are_not_finite_leave_nothing_to_say(store):
    outputs = Outputs(arrays={"y": store(np.full((5, 3), np.nan))}, samples=5)
    assert diagnosis.permuted_classes(outputs, store(np.arange(5) % 3), SPEC, ANIMALS) == ""


@pytest.mark.parametrize(
    ("kind", "color", "found", "scales"),
    [
        ("image-folder", "gray", (0, 255), [(1 / 255, 0), (2 / 255, -1)]),
        ("image-folder", "gray", (0, 1), [(255, 0), (2, -1)]),
        ("arrays", "rgb", (-1, 1), [(127.5, 127.5), (0.5, 0.5)]),
        ("audio", "rgb", (-0.3, 0.4), [(32768, 0)]),
        ("table", "rgb", (0, 1), []),
    ],
)
def test_other_ranges_are_tried(kind, color, found, scales):
    spec = DatasetSpec(name="d", kind=kind, inputs={"x": Preprocess(color=color)})
    tried = alternatives(spec, {"x": found})
    assert [(a.scale, a.offset) for a in tried] == [pytest.approx(pair) for pair in scales]
    assert not any(a.reverse_channels for a in tried)


@pytest.mark.parametrize(("color", "other"), [("rgb", "bgr"), ("bgr", "rgb")])
def test_colour_images_are_tried_the_other_way_round(color, other):
    spec = SPEC.model_copy(update={"inputs": {"x": Preprocess(color=color)}})
    swapped = [a for a in alternatives(spec, {"x": (0, 255)}) if a.reverse_channels]
    assert len(swapped) == 3
    assert all(f'inputs.x.color = "{other}"' in a.hint for a in swapped)


@given(st.sampled_from([(0.0, 255.0), (0.0, 1.0), (-1.0, 1.0)]), st.floats(0.1, 10))
def test_a_hint_names_the_spec_that_would_give_the_same_values(found, scale):
    step = Preprocess(color="gray", scale=scale, offset=0.5)
    spec = SPEC.model_copy(update={"inputs": {"x": step}})
    pixel = np.array([7.0])
    for tried in alternatives(spec, {"x": found}):
        words = tried.hint.replace(",", " ").replace(")", " ").split()
        new_scale, new_offset = (float(words[i + 1]) for i, w in enumerate(words) if w == "=")
        now = transform(pixel * step.scale + step.offset, tried)
        assert pixel * new_scale + new_offset == pytest.approx(now, rel=1e-3, abs=1e-3)


def test_a_mean_is_replaced_not_added_to():
    spec = SPEC.model_copy(update={"inputs": {"x": Preprocess(mean=(0.5,), color="gray")}})
    hints = [a.hint for a in alternatives(spec, {"x": (0, 1)})]
    assert all("in place of mean and std" in hint for hint in hints)


def test_transform_keeps_type_and_turns_the_channel_axis():
    tried = Alternative(name="x", scale=300, reverse_channels=True, axis=-3, hint="")
    images = np.array([0, 1, 2], np.uint8).reshape(1, 3, 1, 1)
    out = transform(images, tried)
    assert out.dtype == np.uint8
    assert out.ravel().tolist() == [255, 255, 0]


def test_only_a_clear_gain_is_explained():
    tried = Alternative(name="x", scale=255, hint="values of 0 to 255 (inputs.x.scale = 1)")
    assert explain(((tried, 0.95),), 0.9) == ""
    assert explain((), 0.1) == ""
    sentence = explain(((tried, 0.91), (tried.model_copy(update={"hint": "no"}), 0.5)), 0.1)
    assert "inputs.x.scale = 1" in sentence
    assert "0.910 instead of 0.100" in sentence


@pytest.fixture(scope="module")
def tf_pool(tmp_path_factory):
    with WorkerPool("TensorFlow", 1, Limits(), tmp_path_factory.mktemp("tf") / "log") as pool:
        yield pool


@pytest.fixture(scope="module")
def digits():
    files = sorted((DIGITS / "test").glob("*/*.png"))[::2]
    images = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    order = np.random.default_rng(0).permutation(len(files))
    labels = np.array([int(file.parent.name) for file in files])
    return images[order, :, :, None].astype(np.float32), labels[order]


@pytest.fixture
def ask_source(tf_pool, digits, store, tmp_path):
    def ask(scale, offset):
        images, labels = digits
        values = (images * scale + offset).astype(np.float32)
        step = Preprocess(color="gray", scale=scale, offset=offset)
        spec = DatasetSpec(name="digits", kind="image-folder", inputs={"image": step})
        split = SplitData(
            inputs={"image": store(values)}, labels=store(labels), samples=len(labels), digest=""
        )
        path = str(DIGITS / "saved_model")
        source = SourceModel(path=path, tags=("serve",), signature="serving_default")
        return tf_pool.submit(diagnosis.try_alternatives, source, split, spec, tmp_path).result()

    return ask


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scale", "offset"),
    [(1, 0), (1 / 127.5, -1), (1 / 255 / 255, 0)],
    ids=["0 to 255", "-1 to 1", "scaled twice"],
)
def test_a_wrong_range_is_found_by_asking_the_source(ask_source, scale, offset):
    said = ask_source(scale, offset)
    assert "'image' likely expects values of 0 to 1 " in said
    assert "inputs.image.scale = 0.00392157, inputs.image.offset = 0" in said


@pytest.mark.slow
def test_the_right_range_is_left_alone(ask_source):
    assert ask_source(1 / 255, 0) == ""
