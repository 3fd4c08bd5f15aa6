import os
from importlib.util import find_spec
from pathlib import Path

import engine_models
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given
from hypothesis import strategies as st
from worker_tasks import convert_by_hand

from edgepack.engines import converter, interpreter, observing, quantizer, tensorflow
from edgepack.engines.conversion import SINGLE_BATCH
from edgepack.engines.interpreter import dequantize, quantize
from edgepack.engines.ranges import ranges
from edgepack.errors import ModelError, QuantizationError
from edgepack.measure.latency import measure_latency, measure_source_latency
from edgepack.measure.memory import measure_memory
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.recipe import CLIPPINGS, Recipe
from edgepack.records.settings import Limits
from edgepack.records.stages import QuantizeJob, SourceModel, TFLiteModel
from edgepack.tflite import reader
from edgepack.tflite.groups import groups
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
DIGITS = HERE.parent / "calibration/digits/saved_model"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tf_pool(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        log = tmp_path_factory.mktemp("tf") / "log"
        with WorkerPool("TensorFlow", 1, Limits(), log) as pool:
            yield pool


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with WorkerPool("edgepack", 1, Limits(), tmp_path_factory.mktemp("edgepack") / "log") as pool:
        yield pool


@pytest.fixture(scope="module")
def models(tf_pool, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    tf_pool.submit(engine_models.save_all, directory).result()
    return directory


@pytest.fixture(scope="module")
def digits(tf_pool, tmp_path_factory):
    target = tmp_path_factory.mktemp("digits") / "float32.tflite"
    tf_pool.submit(tensorflow.convert, _source(DIGITS), target).result()
    return target


def _source(path, **fields):
    return SourceModel(path=str(path), tags=("serve",), signature="serving_default", **fields)


def _model(path, **fields):
    return TFLiteModel(path=str(path), sha256="", signature="serving_default", **fields)


def _split(directory, **arrays):
    directory.mkdir(exist_ok=True, parents=True)
    refs = {}
    for name, array in arrays.items():
        np.save(directory / f"{name}.npy", array)
        path = str(directory / f"{name}.npy")
        refs[name] = ArrayRef(path=path, dtype=array.dtype.name, shape=array.shape)
    count = len(next(iter(arrays.values())))
    return SplitData(inputs=refs, labels=None, samples=count, digest="")


def _read(outputs):
    return {name: np.load(ref.path) for name, ref in outputs.arrays.items()}


def _run_source(tf_pool, source, split, directory):
    directory.mkdir(parents=True)
    return _read(tf_pool.submit(tensorflow.predict, source, split, directory).result())


def _run(pool, model, split, directory):
    directory.mkdir(parents=True)
    outputs = pool.submit(interpreter.smoke, model, split, directory).result()
    middle = split.samples // 2
    for start, stop in ((0, middle), (middle, split.samples)):
        pool.submit(interpreter.predict, model, split, outputs, start, stop).result()
    return _read(outputs)


def _convert(tf_pool, source, directory):
    target = directory / "float32.tflite"
    tf_pool.submit(tensorflow.convert, source, target).result()
    return target


def _observe(pool, float_model, split, target):
    call = (observing.observe, str(float_model), "serving_default", split, target)
    assert pool.submit(*call, 0, split.samples).result().samples == split.samples
    return target


def _quantize(pool, float_model, split, recipe, directory):
    target = directory / "quantized.tflite"
    ranges = _observe(pool, float_model, split, directory / "statistics.npz")
    job = QuantizeJob(
        recipe=recipe,
        float_model=str(float_model),
        signature="serving_default",
        statistics=str(ranges) if recipe.static else "",
        target=str(target),
    )
    engine = converter if recipe.engine == "converter" else quantizer
    pool.submit(engine.quantize, job).result()
    return target


def _images(count):
    return RNG.random((count, 8, 8, 1), dtype=np.float32)


def test_float32_answers_like_the_source(tf_pool, pool, digits, tmp_path):
    split = _split(tmp_path / "in", image=_images(300))
    source = _run_source(tf_pool, _source(DIGITS), split, tmp_path / "source")
    mine = _run(pool, _model(digits), split, tmp_path / "mine")
    assert source.keys() == mine.keys()
    for name, expected in source.items():
        assert expected.shape == (300, 10)
        np.testing.assert_allclose(mine[name], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("recipe", "precision", "io"),
    [
        (Recipe(mode="float16"), "float16", "float32"),
        (Recipe(mode="dynamic"), "dynamic", "float32"),
        (Recipe(mode="weight-only", granularity="tensor"), "weight-only", "float32"),
        (Recipe(mode="weight-only"), "weight-only", "float32"),
        (Recipe(mode="int8"), "int8", "int8"),
        (Recipe(mode="int8", float_io=True), "int8", "float32"),
        (Recipe(mode="int8", symmetric=True), "int8", "int8"),
        (Recipe(mode="int8", granularity="tensor", clipping="percentile"), "int8", "int8"),
        (Recipe(mode="int16x8", float_io=True), "int16x8", "float32"),
        (Recipe(mode="int8", engine="converter"), "int8", "int8"),
        (Recipe(mode="int8", engine="converter", float_io=True), "int8", "float32"),
        (Recipe(mode="int8", engine="converter", clipping="mse"), "int8", "int8"),
        (Recipe(mode="int8", engine="converter", granularity="tensor"), "int8", "int8"),
    ],
    ids=lambda value: (
        "-".join(
            str(one)
            for one in value.model_dump(exclude_defaults=True, exclude={"float_io"}).values()
        )
        if isinstance(value, Recipe)
        else value
    ),
)
def test_each_file_is_what_it_is_called_and_answers_like_float32(
    tf_pool, digits, tmp_path, recipe, precision, io
):
    split = _split(tmp_path / "in", image=_images(100))
    target = _quantize(tf_pool, digits, split, recipe, tmp_path)
    facts = reader.read(target)
    assert facts.precision == precision
    assert {t.dtype for s in facts.signatures for t in (*s.inputs, *s.outputs)} == {io}
    expected = _run(tf_pool, _model(digits), split, tmp_path / "float")
    mine = _run(tf_pool, _model(target), split, tmp_path / "mine")
    for name, values in expected.items():
        assert mine[name].dtype == np.float32
        assert (mine[name].argmax(1) == values.argmax(1)).mean() >= 0.95


def _types(model):
    """The type of each operator's first output, by its name."""
    interpreter = Interpreter(model_path=str(model))
    tensors = {d["index"]: d for d in interpreter.get_tensor_details()}
    return {
        tensors[op["outputs"][0]]["name"]: tensors[op["outputs"][0]]["dtype"].__name__
        for op in interpreter._get_ops_details()
        if op["op_name"] not in {"QUANTIZE", "DEQUANTIZE", "DELEGATE"}
    }


@pytest.mark.parametrize("engine", ["quantizer", "converter"])
@pytest.mark.parametrize("rest", ["float32", "float16"])
def test_exactly_the_kept_layers_stay_float(tf_pool, digits, tmp_path, engine, rest):
    split = _split(tmp_path / "in", image=_images(40))
    first, second, *others = groups(digits)
    recipe = Recipe(mode="int8", engine=engine, float_io=True, kept=second.tensors, rest=rest)
    target = _quantize(tf_pool, digits, split, recipe, tmp_path)
    found = _types(target)
    assert {found[name] for name in second.tensors} == {"float32"}
    rest_of_it = {found[name] for one in (first, *others[:-1]) for name in one.tensors}
    assert rest_of_it - {"int32"} == {"int8"}  # shapes are no activations
    assert reader.read(target).precision == "mixed"


@pytest.mark.parametrize("engine", ["quantizer", "converter"])
def test_with_every_layer_kept_the_answers_are_float32s(tf_pool, digits, tmp_path, engine):
    split = _split(tmp_path / "in", image=_images(20))
    kept = tuple(name for one in groups(digits) for name in one.tensors)
    recipe = Recipe(mode="int8", engine=engine, float_io=True, kept=kept)
    target = _quantize(tf_pool, digits, split, recipe, tmp_path)
    expected = _run(tf_pool, _model(digits), split, tmp_path / "float")
    mine = _run(tf_pool, _model(target), split, tmp_path / "mine")
    for name, values in expected.items():
        np.testing.assert_allclose(mine[name], values, atol=1e-6)


def test_dynamic_weights_of_one_scale_are_refused(tf_pool, digits, tmp_path):
    split = _split(tmp_path / "in", image=_images(4))
    with pytest.raises(QuantizationError, match="one scale a channel"):
        _quantize(tf_pool, digits, split, Recipe(mode="dynamic", granularity="tensor"), tmp_path)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(mode="int16x8", engine="converter"),
        Recipe(mode="dynamic", engine="converter"),
        Recipe(mode="int8", engine="converter", symmetric=True),
        Recipe(mode="int8", engine="converter", kept=("x",), rest="int16x8"),
    ],
)
def test_what_an_engine_cannot_make_is_refused(tf_pool, digits, tmp_path, recipe):
    split = _split(tmp_path / "in", image=_images(4))
    with pytest.raises(QuantizationError, match="makes no") as refused:
        _quantize(tf_pool, digits, split, recipe, tmp_path)
    assert "quantizer" in refused.value.hint


def test_the_converters_quantizer_answers_as_tensorflows_own_path_does(tf_pool, digits, tmp_path):
    images = _images(60)
    split = _split(tmp_path / "in", image=images)
    recipe = Recipe(mode="int8", engine="converter")
    mine = _quantize(tf_pool, digits, split, recipe, tmp_path)
    stock = tmp_path / "stock.tflite"
    tf_pool.submit(convert_by_hand, DIGITS, images, stock).result()
    answers = [_run(tf_pool, _model(one), split, tmp_path / one.stem) for one in (mine, stock)]
    for name, values in answers[0].items():
        np.testing.assert_array_equal(values, answers[1][name])


@pytest.mark.skipif(not find_spec("tflite_runtime"), reason="it has no wheel for this Python")
@pytest.mark.parametrize("mode", ["float16", "int8"])
def test_the_older_runtime_answers_like_the_newer(digits, tmp_path, mode):
    split = _split(tmp_path / "in", image=_images(100))
    answers = {}
    for (
        runtime
    ) in interpreter.MODULES:  # a build has one runtime, and its processes import no other
        directory = tmp_path / runtime
        directory.mkdir()
        with WorkerPool("edgepack", 1, Limits(), directory / "log") as pool:
            target = _quantize(pool, digits, split, Recipe(mode=mode), directory)
        with WorkerPool("edgepack", 1, Limits(), directory / "log") as pool:
            model = _model(target, runtime=runtime)
            answers[runtime] = _run(pool, model, split, directory / "out")
            timed = pool.submit(measure_latency, {"x": model}, split, (("x", "x"),), 3).result()
        assert timed.latencies["x"].runtime == runtime
        assert timed.latencies["x"].runtime_version == interpreter.runtime_version(runtime)
    (newer, older) = answers.values()
    for name, values in newer.items():
        assert (older[name].argmax(1) == values.argmax(1)).mean() >= 0.95


def test_ranges_do_not_depend_on_the_order_of_samples(pool, digits, tmp_path):
    images, found = _images(40), []
    for number, order in enumerate((slice(None), slice(None, None, -1))):
        split = _split(tmp_path / str(number), image=np.ascontiguousarray(images[order]))
        path = str(_observe(pool, digits, split, tmp_path / f"{number}.npz"))
        found.append([ranges(path, clipping) for clipping in CLIPPINGS])
    assert found[0] == found[1]


def test_inputs_and_outputs_are_bound_by_name(tf_pool, pool, models, tmp_path):
    zebra, apple = RNG.random((2, 5, 3), dtype=np.float32)
    split = _split(tmp_path / "in", zebra=zebra, apple=apple)
    source = _source(models / "two_inputs")
    target = _convert(tf_pool, source, tmp_path)
    for answers in (
        _run_source(tf_pool, source, split, tmp_path / "source"),
        _run(pool, _model(target), split, tmp_path / "mine"),
    ):
        np.testing.assert_allclose(answers["difference"], zebra - 2 * apple, atol=1e-6)
        np.testing.assert_allclose(answers["sum"], zebra + apple, atol=1e-6)


def test_state_is_reset_before_each_sample(tf_pool, pool, models, tmp_path):
    x = RNG.random((6, 2), dtype=np.float32)
    split = _split(tmp_path / "in", x=x)
    source = _source(models / "counter", stateful=True)
    target = _convert(tf_pool, source, tmp_path)
    assert reader.read(target).stateful
    for answers in (
        _run_source(tf_pool, source, split, tmp_path / "source"),
        _run(pool, _model(target, stateful=True), split, tmp_path / "mine"),
    ):
        np.testing.assert_allclose(answers["y"], x + 1, atol=1e-6)


def test_a_baked_in_batch_is_fed_whole(tf_pool, pool, models, tmp_path):
    x = RNG.random((10, 3), dtype=np.float32)  # ten is no multiple of four
    split = _split(tmp_path / "in", x=x)
    source = _source(models / "fixed_batch", fixed_batch=4)
    target = _convert(tf_pool, source, tmp_path)
    expected = x @ np.arange(6, dtype=np.float32).reshape(3, 2)
    for answers in (
        _run_source(tf_pool, source, split, tmp_path / "source"),
        _run(pool, _model(target), split, tmp_path / "mine"),
    ):
        np.testing.assert_allclose(answers["y"], expected, rtol=1e-5)


def test_a_recurrent_model_is_converted_for_one_sample_at_a_time(tf_pool, pool, models, tmp_path):
    x = RNG.random((4, 5, 3), dtype=np.float32)
    split, target = _split(tmp_path / "in", x=x), tmp_path / "float32.tflite"
    made = tf_pool.submit(tensorflow.convert, _source(models / "recurrent"), target).result()
    assert [repair.what for repair in made.repairs] == [SINGLE_BATCH.what]
    answers = _run(pool, _model(target), split, tmp_path / "mine")
    np.testing.assert_allclose(answers["y"], x.cumsum(axis=1), rtol=1e-5)


def test_ops_without_a_builtin_are_named(tf_pool, models, tmp_path):
    with pytest.raises(ModelError, match="Betainc"):
        _convert(tf_pool, _source(models / "needs_select"), tmp_path)


def test_samples_under_another_name_are_refused(pool, digits, tmp_path):
    split = _split(tmp_path / "in", picture=_images(2))
    with pytest.raises(ModelError, match=r"inputs are \['image'\], the samples' \['picture'\]"):
        pool.submit(interpreter.smoke, _model(digits), split, tmp_path).result()


def test_a_broken_file_is_refused_by_the_runtime_not_by_a_traceback(pool, digits, tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(digits.read_bytes()[: digits.stat().st_size // 2])
    split = _split(tmp_path / "in", image=_images(2))
    with pytest.raises(ModelError):
        pool.submit(interpreter.smoke, _model(broken), split, tmp_path).result()


def test_a_model_timed_against_itself_has_a_ratio_of_one(pool, digits, tmp_path):
    split = _split(tmp_path / "in", image=_images(1))
    models = {"a": _model(digits), "b": _model(digits)}
    found = pool.submit(measure_latency, models, split, (("b", "a"),), 20).result()
    assert found.latencies.keys() == {"a", "b"}
    for latency in found.latencies.values():
        assert 0 < latency.p50_ms <= latency.p90_ms <= latency.p95_ms <= latency.p99_ms
        assert latency.runtime == "ai-edge-litert"
        assert latency.invocations >= 20
    (ratio,) = found.ratios
    assert ratio.interval.low <= ratio.value <= ratio.interval.high
    assert 0.5 < ratio.value < 2


def test_the_source_is_timed_by_tensorflow(tf_pool, tmp_path):
    split = _split(tmp_path / "in", image=_images(1))
    latency = tf_pool.submit(measure_source_latency, _source(DIGITS), split, 5).result()
    assert latency.runtime == "tensorflow"
    assert latency.p50_ms > 0


def test_peak_memory_repeats(digits, tmp_path):
    split = _split(tmp_path / "in", image=_images(1))
    peaks = []
    for _ in range(2):
        with WorkerPool("memory", 1, Limits(), tmp_path / "log") as alone:
            peaks.append(alone.submit(measure_memory, _model(digits), split).result().peak_bytes)
    assert min(peaks) > 0
    assert max(peaks) - min(peaks) < 1 << 20


@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50),
    st.floats(0.01, 2),
    st.integers(-128, 127),
)
def test_quantize_rounds_to_the_nearest_step_and_saturates(values, scale, zero_point):
    detail = {"dtype": np.int8, "quantization": (scale, zero_point)}
    real = np.asarray(values, np.float32)
    back = dequantize(quantize(real, detail), detail)
    low, high = ((edge - zero_point) * scale for edge in (-128, 127))
    expected = np.clip(real, low, high)
    assert np.all(np.abs(back - expected) <= scale * 0.51 + 1e-4)
