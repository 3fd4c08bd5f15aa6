"""Models as people have them: which is built, and that the file answers like its source."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
import source_models
from PIL import Image

from edgepack.engines import interpreter, tensorflow
from edgepack.errors import ShapeError, SignatureError
from edgepack.pipeline import sources
from edgepack.pipeline.exporting import Found
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.settings import Limits, ModelSettings
from edgepack.records.stages import TFLiteModel
from edgepack.savedmodel import reader
from edgepack.tflite import reader as tflite
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tf_pool(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        with WorkerPool("TensorFlow", 1, Limits(), tmp_path_factory.mktemp("tf") / "log") as pool:
            yield pool


@pytest.fixture(scope="module")
def models(tf_pool, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    tf_pool.submit(source_models.save_all, directory).result()
    return directory


def _settings(path, **fields):
    return ModelSettings(path=str(path), name="m", version="1.0.0", **fields)


def _split(directory, arrays):
    directory.mkdir()
    refs = {}
    for name, array in arrays.items():
        path = directory / f"{len(refs)}.npy"
        np.save(path, array)
        dtype = "string" if array.dtype.kind == "S" else array.dtype.name
        refs[name] = ArrayRef(path=str(path), dtype=dtype, shape=array.shape)
    return SplitData(inputs=refs, labels=None, samples=len(array), digest="d")


def _read(outputs):
    return {name: np.load(ref.path) for name, ref in outputs.arrays.items()}


def _compare(tf_pool, path, tmp_path, arrays, **fields):
    """Convert; hold the file's answers against the source's. Returns the conversion."""
    settings = _settings(path, **fields)
    facts = reader.read(path, settings.tags)
    main = sources.signature(facts, settings)
    source = sources.source(Found(facts, path), main, settings, tmp_path / "copy")
    split = _split(tmp_path / "samples", arrays)
    shapes = sources.known_shapes(main, settings) or sources.shapes_of(main, settings, split)
    target = tmp_path / "float32.tflite"
    made = tf_pool.submit(tensorflow.convert, source, target, shapes).result()
    for name in ("source", "file", "fed"):
        (tmp_path / name).mkdir()
    expected = tf_pool.submit(tensorflow.predict, source, split, tmp_path / "source").result()
    fed = split
    if made.prepared:
        arrays = tf_pool.submit(
            tensorflow.prepare_inputs, source, made, split, tmp_path / "fed"
        ).result()
        fed = split.model_copy(update={"inputs": arrays.arrays})
    model = TFLiteModel(path=str(target), sha256="", signature=main.name)
    outputs = interpreter.smoke(model, fed, tmp_path / "file")
    interpreter.predict(model, fed, outputs, 0, fed.samples)
    answers, wanted = _read(outputs), _read(expected)
    assert answers.keys() == wanted.keys()
    for name in answers:
        np.testing.assert_allclose(answers[name], wanted[name], rtol=1e-5, atol=1e-5)
    return made


def _whats(made):
    return " / ".join(repair.what for repair in made.repairs)


def test_text_is_left_to_the_app_and_the_rest_answers_alike(tf_pool, models, tmp_path):
    texts = np.array([b"a GOOD film", b"boring", b"bad bad film it is", b""])
    made = _compare(tf_pool, models / "text", tmp_path, {"sentence": texts})
    (one,) = made.prepared
    assert one.name == "sentence_features"
    assert (one.dtype, one.shape, one.sources) == ("int64", (1, 8), ("sentence",))
    assert "left the preparation of sentence to the app" in _whats(made)


def test_pictures_are_left_to_the_app(tf_pool, models, tmp_path):
    pictures = [_png(RNG.integers(0, 256, (6, 5, 3), np.uint8)) for _ in range(3)]
    made = _compare(tf_pool, models / "picture", tmp_path, {"data": np.array(pictures)})
    (one,) = made.prepared
    assert (one.dtype, one.shape) == ("float32", (1, 8, 8, 3))


def _png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_parsed_examples_become_features_and_text_outputs_stay_out(tf_pool, models, tmp_path):
    given = [([1.0, 2.0, 3.0], 4), ([0.5, -1.0, 2.0], 1)]
    rows = [tf_pool.submit(source_models.example, *one).result() for one in given]
    made = _compare(tf_pool, models / "examples", tmp_path, {"examples": np.array(rows)})
    shapes = {one.name: (one.dtype, one.shape) for one in made.prepared}
    assert set(shapes.values()) == {("float32", (1, 3)), ("int64", (1,))}


@pytest.mark.parametrize("shapes", [{}, {"waveform": (40,)}])
def test_a_sound_of_any_length_needs_no_batch(tf_pool, models, tmp_path, shapes):
    sounds = RNG.normal(size=(3, 40)).astype(np.float32)
    fields = {"batched": False, "shapes": shapes}
    made = _compare(tf_pool, models / "sound", tmp_path, {"waveform": sounds}, **fields)
    assert made.shapes == {"waveform": (40,)}


def test_of_two_names_of_one_tensor_the_first_counts(tf_pool, models, tmp_path):
    a, b = RNG.normal(size=(2, 3, 2)).astype(np.float32)
    _compare(tf_pool, models / "twins", tmp_path, {"a": a, "b": b})


def test_a_function_stands_in_for_a_missing_signature(tf_pool, models, tmp_path):
    x = RNG.normal(size=(3, 3)).astype(np.float32)
    _compare(tf_pool, models / "function", tmp_path, {"x": x})


def test_one_of_several_functions_must_be_named(tf_pool, models, tmp_path):
    facts = reader.read(models / "two_functions")
    with pytest.raises(SignatureError, match=r"(?s)double.*triple"):
        sources.signature(facts, _settings(models / "two_functions"))
    x = RNG.normal(size=(3, 3)).astype(np.float32)
    _compare(tf_pool, models / "two_functions", tmp_path, {"x": x}, signature="triple")


def test_what_tensorflow_1_pinned_and_tagged_is_read_through_a_session(tf_pool, models, tmp_path):
    x = RNG.normal(size=(3, 2)).astype(np.float32)
    made = _compare(tf_pool, models / "old", tmp_path, {"in:0": x})
    assert "TensorFlow 1 session" in _whats(made)


def test_tensor_arrays_become_lists(tf_pool, models, tmp_path):
    x = RNG.normal(size=(3, 5, 3)).astype(np.float32)
    made = _compare(tf_pool, models / "old_loop", tmp_path, {"x": x})
    assert "tensor arrays" in _whats(made)


def test_pooling_over_three_dimensions_is_pooling_twice(tf_pool, models, tmp_path):
    x = RNG.normal(size=(3, 5, 7, 6, 2)).astype(np.float32)
    made = _compare(tf_pool, models / "volume", tmp_path, {"x": x})
    assert "3-D max pooling" in _whats(made)


def test_open_dimensions_are_those_of_the_samples(tf_pool, models, tmp_path):
    image = RNG.normal(size=(2, 6, 5, 1)).astype(np.float32)
    made = _compare(tf_pool, models / "open_sides", tmp_path, {"image": image})
    assert made.shapes == {"image": (1, 6, 5, 1)}
    (signature,) = tflite.read(tmp_path / "float32.tflite").signatures
    assert signature.inputs[0].dims == (1, 6, 5, 1)


def test_the_config_may_leave_the_batch_open(tf_pool, models, tmp_path):
    image = RNG.normal(size=(2, 6, 5, 1)).astype(np.float32)
    shapes = {"image": (-1, 6, 5, 1)}
    _compare(tf_pool, models / "open_sides", tmp_path, {"image": image}, shapes=shapes)
    (signature,) = tflite.read(tmp_path / "float32.tflite").signatures
    assert signature.inputs[0].dims == (-1, 6, 5, 1)


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({"picture": (1, 6, 5, 1)}, "model.shapes names .*picture"),
        ({"image": (1, 6, 5, 3)}, "does not allow"),
        ({"image": (6, 5, 1)}, "does not allow"),
        ({"image": (1, 0, 5, 1)}, "does not allow"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(models, shapes, says):
    facts = reader.read(models / "open_sides")
    with pytest.raises(ShapeError, match=says):
        sources.signature(facts, _settings(models / "open_sides", shapes=shapes))


def test_several_signatures_go_into_one_file(tf_pool, models, tmp_path):
    x = RNG.normal(size=(3, 4)).astype(np.float32)
    _compare(tf_pool, models / "two_signatures", tmp_path, {"x": x}, signatures=("*",))
    names = {one.name for one in tflite.read(tmp_path / "float32.tflite").signatures}
    assert names == {"serving_default", "scores", "other"}
