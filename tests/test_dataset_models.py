"""Samples of every type, from a dataset into a .tflite on each runtime, against TensorFlow."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import typed_models
from dataset_samples import run, spec, tensor
from typed_models import NUMBERS

from edgepack.engines import interpreter
from edgepack.errors import RunError, RuntimeRefusalError, ShapeError
from edgepack.measure.latency import measure_latency
from edgepack.measure.memory import measure_memory
from edgepack.records.dataset import Preprocess
from edgepack.records.settings import Limits
from edgepack.records.stages import TFLiteModel
from edgepack.records.tensors import Tensor
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SAID = ["a", "bb", "dé", "", "nowhere to be found", "a\0b"]
needs_older = pytest.mark.skipif(
    not find_spec("tflite_runtime"), reason="it has no wheel for this Python"
)
RUNTIMES = ["ai-edge-litert", pytest.param("tflite-runtime", marks=needs_older)]


@pytest.fixture(scope="module")
def tf_pool(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        log = tmp_path_factory.mktemp("tf") / "log"
        with WorkerPool("TensorFlow", 1, Limits(), log) as pool:
            yield pool


@pytest.fixture(scope="module")
def models(tf_pool, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    tf_pool.submit(typed_models.save_all, directory).result()
    return directory


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """A process for each runtime, as a build has only one."""
    log = tmp_path_factory.mktemp("runtimes")
    with (
        WorkerPool("edgepack", 1, Limits(), log / "newer") as newer,
        WorkerPool("edgepack", 1, Limits(), log / "older") as older,
    ):
        yield {"ai-edge-litert": newer, "tflite-runtime": older}


def _split(root, *tensors, **values):
    """The values as a dataset prepares them for these inputs."""
    root.mkdir(exist_ok=True)
    np.savez(root / "data.npz", **values)
    inputs = {t.name: Preprocess(dtype=t.dtype) for t in tensors}
    samples = run(spec("arrays", "data.npz", inputs=inputs, task="none"), root, *tensors)
    return samples.splits["evaluate"]


def _stored(split):
    return {name: np.load(ref.path) for name, ref in split.inputs.items()}


def _model(path, runtime="ai-edge-litert", signature="serving_default", **fields):
    return TFLiteModel(path=str(path), sha256="", signature=signature, runtime=runtime, **fields)


def _answers(pool, model, split, directory):
    directory.mkdir()
    outputs = pool.submit(interpreter.smoke, model, split, directory).result()
    pool.submit(interpreter.predict, model, split, outputs, 0, split.samples).result()
    return {name: np.load(ref.path) for name, ref in outputs.arrays.items()}


def _agree(tf_pool, pool, models, name, split, tmp_path, runtime="ai-edge-litert"):
    expected = tf_pool.submit(typed_models.answer, models / name, **_stored(split)).result()
    model = _model(models / f"{name}.tflite", runtime)
    found = _answers(pool, model, split, tmp_path / "out")
    assert found.keys() == expected.keys()
    for output, values in expected.items():
        assert found[output].shape == values.shape
        np.testing.assert_allclose(found[output], values, rtol=1e-6)
    return found


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("name", "values"), [("words", SAID), ("word_pairs", [[w, "bb"] for w in SAID])]
)
def test_strings_are_looked_up_alike(tf_pool, pools, models, tmp_path, runtime, name, values):
    shape = np.array(values).shape[1:]
    split = _split(tmp_path, tensor(shape, "string"), x=np.array(values))
    found = _agree(tf_pool, pools[runtime], models, name, split, tmp_path, runtime)
    assert len(np.unique(found["y"], axis=0)) == 4  # three words, and unknown


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_of_every_type_go_in_as_they_are(tf_pool, pools, models, tmp_path, runtime, dtype):
    kind = np.dtype(dtype)
    high = 1 if kind.kind == "b" else 100
    one, three = (np.arange(n).reshape(6, -1).squeeze() % (high + 1) for n in (6, 18))
    inputs = (tensor((), dtype, "one"), tensor((3,), dtype, "three"))
    split = _split(tmp_path, *inputs, one=one.astype(kind), three=three.astype(kind))
    found = _agree(tf_pool, pools[runtime], models, dtype, split, tmp_path, runtime)
    assert found["same"].dtype == kind


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_inputs_without_dimensions_take_one_value_an_invocation(
    tf_pool, pools, models, tmp_path, runtime
):
    split = _split(
        tmp_path,
        tensor((2,)),
        Tensor(name="training", dtype="bool", shape=()),
        Tensor(name="rate", dtype="float32", shape=()),
        x=np.ones((4, 2), np.float32),
        training=np.array([True, False, True, False]),
        rate=np.array([2, 3, 4, 5], np.float32),
    )
    found = _agree(tf_pool, pools[runtime], models, "settings", split, tmp_path, runtime)
    assert sorted(found["y"][:, 0].tolist()) == [1, 1, 2, 4]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_inputs_of_unknown_rank_take_the_samples_shape(tf_pool, pools, models, tmp_path, runtime):
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    split = _split(tmp_path, Tensor(name="x", dtype="float32", shape=None), x=values)
    _agree(tf_pool, pools[runtime], models, "rankless", split, tmp_path, runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize(
    ("signature", "name", "width"),
    [("serving_default", "x", 4), ("doubled", "x", 4), ("back", "z", 3)],
)
def test_each_signature_of_a_file_answers_as_itself(
    tf_pool, pools, models, tmp_path, runtime, signature, name, width
):
    values = np.arange(5 * width, dtype=np.float32).reshape(5, width)
    split = _split(tmp_path, tensor((width,), name=name), **{name: values})
    call = tf_pool.submit(typed_models.answer, models / "several", signature, **_stored(split))
    model = _model(models / "several.tflite", runtime, signature)
    found = _answers(pools[runtime], model, split, tmp_path / "out")
    for output, expected in call.result().items():
        np.testing.assert_allclose(found[output], expected, rtol=1e-6)
    timed = pools[runtime].submit(measure_latency, {"x": model}, split, (("x", "x"),), 3).result()
    assert timed.latencies["x"].p50_ms > 0


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("signature", ["counted", "serving_default"])
def test_state_of_any_signature_is_reset(pools, models, tmp_path, runtime, signature):
    split = _split(tmp_path, tensor((4,)), x=np.eye(4, dtype=np.float32))
    model = _model(models / "several.tflite", runtime, signature, stateful=True)
    (found,) = _answers(pools[runtime], model, split, tmp_path / "out").values()
    weights = np.eye(4) if signature == "counted" else np.arange(12).reshape(4, 3)
    more = 1 if signature == "counted" else 0
    np.testing.assert_allclose(found, _stored(split)["x"] @ weights + more)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_file_without_signatures_is_bound_by_its_tensors_names(pools, tmp_path, runtime):
    from tflite_models import build
    from tflite_models import tensor as stored

    path = tmp_path / "bare.tflite"
    path.write_bytes(build([stored("x"), stored("y")], [("RELU", [0], [1])], [0], [1]))
    split = _split(
        tmp_path, tensor((4,)), x=np.array([[-1, 0, 1, 2]] * 3, np.float32) * [[1], [2], [3]]
    )
    found = _answers(pools[runtime], _model(path, runtime, ""), split, tmp_path / "out")
    np.testing.assert_array_equal(found["y"], _stored(split)["x"].clip(0))


@pytest.mark.parametrize("signature", ["nothing", ""])
def test_a_signature_that_the_file_does_not_have_is_refused(pools, models, tmp_path, signature):
    split = _split(tmp_path, tensor((4,)), x=np.eye(4, dtype=np.float32))
    model = _model(models / "several.tflite", signature=signature)
    with pytest.raises(
        RuntimeRefusalError, match=r"several\.tflite: ai-edge-litert cannot load it"
    ):
        _answers(pools["ai-edge-litert"], model, split, tmp_path / "out")


def test_a_model_of_strings_is_timed_and_weighed(pools, models, tmp_path):
    split = _split(tmp_path, tensor((), "string"), x=np.array(SAID))
    model, pool = _model(models / "words.tflite"), pools["ai-edge-litert"]
    timed = pool.submit(measure_latency, {"x": model}, split, (("x", "x"),), 3).result()
    assert timed.latencies["x"].p50_ms > 0
    with WorkerPool("memory", 1, Limits(), tmp_path / "log") as alone:
        assert alone.submit(measure_memory, model, split).result().peak_bytes > 0


def test_strings_that_a_model_answers_are_refused_by_name(pools, models, tmp_path):
    split = _split(tmp_path, tensor((), "string"), x=np.array(SAID))
    with pytest.raises(RunError, match="the output 'said' holds strings, not numbers"):
        _answers(pools["ai-edge-litert"], _model(models / "echo.tflite"), split, tmp_path / "out")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_samples_that_a_runtime_fails_on_are_a_typed_error(pools, models, tmp_path, runtime):
    split = _split(tmp_path, tensor((2,), "int32"), x=np.array([[1, 9], [9, 9], [9, 1]]))
    model = _model(models / "embedding.tflite", runtime)
    with pytest.raises(RuntimeRefusalError, match=rf"{runtime} fails on the samples: .*gather"):
        _answers(pools[runtime], model, split, tmp_path / "out")


def test_one_value_cannot_be_two():
    from edgepack.engines.arrays import single_value

    assert single_value("rate", np.array([2.0, 2.0])) == 2.0
    with pytest.raises(ShapeError, match="'rate' takes one value for all of a batch of 2"):
        single_value("rate", np.array([2.0, 3.0]))
