import os
from pathlib import Path

import converter_models
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as flat
from ai_edge_litert.interpreter import Interpreter

from edgepack.engines import converter, interpreter, observing
from edgepack.errors import QuantizationError
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.recipe import Recipe
from edgepack.records.settings import Limits
from edgepack.records.stages import QuantizeJob
from edgepack.tflite import reader
from edgepack.workers.pool import WorkerPool

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"
KEYWORDS = SHARED / "data/kws"
INT8 = Recipe(mode="int8", engine="converter")
FLOAT_IO = Recipe(mode="int8", engine="converter", float_io=True)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
        log = tmp_path_factory.mktemp("tf") / "log"
        with WorkerPool("TensorFlow", 1, Limits(), log) as pool:
            yield pool


@pytest.fixture(scope="module")
def models(pool, tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    pool.submit(converter_models.save_all, directory).result()
    return directory


def _split(directory, arrays):
    directory.mkdir()
    refs = {}
    for name, array in arrays.items():
        path = directory / f"{name}.npy"
        np.save(path, array)
        refs[name] = ArrayRef(path=str(path), dtype=array.dtype.name, shape=array.shape)
    return SplitData(inputs=refs, labels=None, samples=len(array), digest="")


def _quantize(pool, model, samples, recipe, directory, hide_samples=False):
    split, statistics = _split(directory / "in", samples), directory / "statistics.npz"
    signature = reader.read(model).signatures[0].name
    count = len(next(iter(samples.values())))
    call = (observing.observe, str(model), signature, split, statistics, 0, count)
    pool.submit(*call).result()
    target = directory / "int8.tflite"
    job = QuantizeJob(
        recipe=recipe,
        float_model=str(model),
        signature=signature,
        statistics=str(statistics),
        samples=None if hide_samples else split,
        target=str(target),
    )
    pool.submit(converter.quantize, job).result()
    return target


def _answers(model, samples, signature=None):
    """Of one sample after the other, each on a new interpreter: [samples, ...] by output."""
    found = []
    for row in range(len(next(iter(samples.values())))):
        runtime = Interpreter(model_path=str(model))
        run = runtime.get_signature_runner(signature or next(iter(runtime.get_signature_list())))
        into, out = run.get_input_details(), run.get_output_details()
        fed = {n: interpreter.quantize(a[row : row + 1], into[n]) for n, a in samples.items()}
        answer = run(**fed)
        found.append({n: interpreter.dequantize(v, out[n]).copy() for n, v in answer.items()})
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def _assert_close(model, target, samples, tolerance=0.03, signature=None):
    expected, found = (_answers(one, samples, signature) for one in (model, target))
    for name, values in expected.items():
        largest = np.abs(values).max()
        assert np.abs(found[name] - values).max() <= tolerance * largest


def _outputs(model):
    """Each operator's first output: (graph, operator, name, type)."""
    parsed = flat.ModelT.InitFromPackedBuf(model.read_bytes(), 0)
    names = {number: name for name, number in vars(flat.BuiltinOperator).items()}
    types = {number: name.lower() for name, number in vars(flat.TensorType).items()}
    return [
        (number, names[parsed.operatorCodes[op.opcodeIndex].builtinCode], t.name.decode(), kind)
        for number, graph in enumerate(parsed.subgraphs)
        for op in graph.operators
        for t in (graph.tensors[op.outputs[0]],)
        for kind in (types[t.type],)
    ]


@pytest.mark.parametrize("recipe", [INT8, FLOAT_IO], ids=["int8", "float-io"])
@pytest.mark.parametrize(
    "name", ["lookup", "several_types", "open_batch", "loop", "branch", "dead_channels", "trained"]
)
def test_hard_models_answer_like_float32(pool, models, tmp_path, name, recipe):
    model, samples = models / f"{name}.tflite", converter_models.samples(name, 40)
    target = _quantize(pool, model, samples, recipe, tmp_path)
    _assert_close(model, target, samples)
    kinds = {kind for _, _, _, kind in _outputs(target)}
    assert "int8" in kinds
    io = [one for s in reader.read(target).signatures for one in (*s.inputs, *s.outputs)]
    expected = "float32" if recipe.float_io else "int8"
    assert {one.dtype for one in io} - {"int32"} <= {expected}


def test_loops_and_branches_stay_float_inside(pool, models, tmp_path):
    for name in ("loop", "branch"):
        (tmp_path / name).mkdir()
        samples = converter_models.samples(name, 10)
        target = _quantize(pool, models / f"{name}.tflite", samples, INT8, tmp_path / name)
        kinds = {(number > 0, kind) for number, _, _, kind in _outputs(target)}
        assert (True, "float32") in kinds
        assert (True, "int8") not in kinds
        assert (False, "int8") in kinds


def test_a_name_inside_a_loop_may_be_one_outside(pool, models, tmp_path):
    parsed = flat.ModelT.InitFromPackedBuf((models / "loop.tflite").read_bytes(), 0)
    outer, *inner = parsed.subgraphs
    name = outer.tensors[outer.operators[0].outputs[0]].name
    for graph in inner:
        for op in graph.operators:
            if graph.tensors[op.outputs[0]].type == flat.TensorType.FLOAT32:
                graph.tensors[op.outputs[0]].name = name
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(parsed.Pack(builder), b"TFL3")
    model, samples = tmp_path / "renamed.tflite", converter_models.samples("loop", 10)
    model.write_bytes(bytes(builder.Output()))
    target = _quantize(pool, model, samples, INT8, tmp_path)
    assert "int8" not in {kind for number, _, _, kind in _outputs(target) if number}
    _assert_close(model, target, samples)


def test_every_signature_is_quantized(pool, models, tmp_path):
    model, samples = models / "signatures.tflite", converter_models.samples("signatures", 20)
    target = _quantize(pool, model, samples, INT8, tmp_path)
    assert reader.read(target).precision == "int8"
    for signature in ("first", "second"):
        _assert_close(model, target, samples, signature=signature)


def test_ranges_of_training_are_taken_over_as_tensorflow_does(pool, models, tmp_path):
    samples = converter_models.samples("trained", 40)
    target = _quantize(pool, models / "trained.tflite", samples, INT8, tmp_path)
    assert reader.read(target).precision == "int8"
    mine, stock = (_answers(one, samples) for one in (target, models / "trained.stock.tflite"))
    np.testing.assert_array_equal(mine["y"], stock["y"])


def test_what_training_left_open_is_calibrated(pool, models, tmp_path):
    samples = converter_models.samples("half_trained", 40)
    target = _quantize(pool, models / "half_trained.tflite", samples, INT8, tmp_path)
    assert reader.read(target).precision == "int8"
    mine, stock = (_answers(one, samples) for one in (target, models / "half_trained.stock.tflite"))
    (output,) = Interpreter(model_path=str(target)).get_output_details()
    # The calibrators' kernels round otherwise: ranges differ in the last digit, answers by a step.
    apart = np.abs(mine["y"] - stock["y"]) / output["quantization"][0]
    assert apart.max() <= 1.01
    assert (apart > 0.01).mean() <= 0.05


def test_training_for_other_integers_is_refused(pool, models, tmp_path):
    samples = converter_models.samples("four_bits", 4)
    with pytest.raises(QuantizationError, match="trained for other integers"):
        _quantize(pool, models / "four_bits.tflite", samples, INT8, tmp_path)


@pytest.mark.parametrize("recipe", [INT8, FLOAT_IO], ids=["int8", "float-io"])
def test_a_kept_layer_of_a_trained_model_stays_float(pool, models, tmp_path, recipe):
    model, samples = models / "trained.tflite", converter_models.samples("trained", 20)
    (kept,) = (name for _, op, name, _ in _outputs(model) if op == "DEPTHWISE_CONV_2D")
    recipe = recipe.model_copy(update={"kept": (kept,)})
    target = _quantize(pool, model, samples, recipe, tmp_path)
    kinds = {op: kind for _, op, _, kind in _outputs(target)}
    assert (kinds["CONV_2D"], kinds["DEPTHWISE_CONV_2D"]) == ("int8", "float32")
    _assert_close(model, target, samples)


@pytest.mark.parametrize("recipe", [INT8, FLOAT_IO], ids=["int8", "float-io"])
def test_an_lstm_kernel_is_quantized_with_the_ranges_of_its_states(pool, models, tmp_path, recipe):
    model, samples = models / "lstm.tflite", converter_models.samples("lstm", 40)
    target = _quantize(pool, model, samples, recipe, tmp_path)
    assert reader.read(target).precision == "int8"
    expected = _answers(model, samples)["y"]
    errors = [
        np.square(_answers(one, samples)["y"] - expected).mean()
        for one in (target, models / "lstm.stock.tflite")
    ]
    assert errors[0] <= 1.1 * errors[1]
    _assert_close(model, target, samples)


def test_the_states_of_one_sample_do_not_run_on_into_the_next(pool, models, tmp_path):
    model, samples = models / "lstm.tflite", converter_models.samples("lstm", 40)
    found = []
    for number, order in enumerate((slice(None), slice(None, None, -1))):
        (tmp_path / str(number)).mkdir()
        turned = {name: np.ascontiguousarray(array[order]) for name, array in samples.items()}
        target = _quantize(pool, model, turned, INT8, tmp_path / str(number))
        found.append(target.read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize("case", ["kept", "without samples", "beside a loop"])
def test_an_lstm_kernel_whose_states_nobody_knows_stays_float(pool, models, tmp_path, case):
    name = "lstm_and_loop" if case == "beside a loop" else "lstm"
    model, samples = models / f"{name}.tflite", converter_models.samples(name, 20)
    (kernel,) = (one for _, op, one, _ in _outputs(model) if op == "UNIDIRECTIONAL_SEQUENCE_LSTM")
    recipe = INT8.model_copy(update={"kept": (kernel,) if case == "kept" else ()})
    target = _quantize(pool, model, samples, recipe, tmp_path, case == "without samples")
    kinds = {(op, kind) for number, op, _, kind in _outputs(target) if not number}
    assert ("UNIDIRECTIONAL_SEQUENCE_LSTM", "float32") in kinds
    assert ("FULLY_CONNECTED", "int8") in kinds
    _assert_close(model, target, samples)


def test_a_damaged_file_is_a_typed_error(pool, models, tmp_path):
    samples = converter_models.samples("branch", 4)
    whole = models / "branch.tflite"
    _quantize(pool, whole, samples, INT8, tmp_path)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole.read_bytes()[:400])
    job = QuantizeJob(
        recipe=INT8,
        float_model=str(cut),
        signature="",
        statistics=str(tmp_path / "statistics.npz"),
        target=str(tmp_path / "out.tflite"),
    )
    with pytest.raises(QuantizationError, match=r"TFLiteConverter.s quantizer refuses it: .+"):
        pool.submit(converter.quantize, job).result()
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.skipif(not KEYWORDS.exists(), reason="the keyword model is not here")
def test_real_samples_get_the_answers_of_tensorflows_own_int8(pool, tmp_path):
    features = np.load(KEYWORDS / "features.npz")["x"].astype(np.float32)
    call = (converter_models.save_keywords, KEYWORDS / "saved_model", features, tmp_path)
    pool.submit(*call).result()
    model = tmp_path / "keywords.tflite"
    (port,) = reader.read(model).signatures[0].inputs
    target = _quantize(pool, model, {port.name: features[:100]}, INT8, tmp_path)
    stock = tmp_path / "keywords.stock.tflite"
    mine, theirs = (_answers(one, {port.name: features}) for one in (target, stock))
    for name, values in theirs.items():
        np.testing.assert_array_equal(mine[name], values)
