"""litert-quantizer behind recipes: kept operators, borders, and layers that are dead."""

import re

import numpy as np
import pytest
import tflite_models
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from quantizer_models import CHANNELS, NONE, RELU, RELU6, SIDE, classifier, splitter

from edgepack.engines import observing, quantizer
from edgepack.engines.interpreter import dequantize, quantize
from edgepack.errors import QuantizationError
from edgepack.records.dataset import ArrayRef, SplitData
from edgepack.records.recipe import Recipe
from edgepack.records.stages import QuantizeJob
from edgepack.tflite import reader

# The library looks into the model with an interpreter that warns of its own cost.
pytestmark = pytest.mark.filterwarnings("ignore:Warning. Enabling .experimental_pre:UserWarning")
SAMPLES = np.random.default_rng(1).normal(size=(40, SIDE, SIDE, 3)).astype(np.float32)
NOISE = 0.05  # of the largest answer; with all channels alive it is up to 0.033
OP_NAMES = ("a", "a;b(c)+.", "x/a;b")  # TensorFlow joins names by a semicolon, too
PLAIN = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class Model:
    """A float32 file with its calibration."""

    def __init__(self, folder, content, samples=SAMPLES, signature="serving_default"):
        self.folder, self.path, self.samples = folder, folder / "float32.tflite", samples
        self.path.write_bytes(content)
        self.signature = signature
        np.save(folder / "x.npy", samples)
        (port,) = reader.read(self.path).signatures[0].inputs
        ref = ArrayRef(path=str(folder / "x.npy"), dtype="float32", shape=samples.shape)
        split = SplitData(inputs={port.name: ref}, labels=None, samples=len(samples), digest="")
        target = folder / "statistics.npz"
        observing.observe(str(self.path), signature, split, target, 0, len(samples))

    def make(self, recipe):
        """The quantized file, and what was noted."""
        target = self.folder / "quantized.tflite"
        job = QuantizeJob(
            recipe=recipe,
            float_model=str(self.path),
            signature=self.signature,
            statistics=str(self.folder / "statistics.npz"),
            target=str(target),
        )
        return target, quantizer.quantize(job)

    def error(self, target):
        """The largest, over the largest of float32's answers."""
        expected = answers(self.path, self.samples)
        return np.abs(answers(target, self.samples) - expected).max() / np.abs(expected).max()


def answers(path, samples):
    interpreter = Interpreter(model_path=str(path))
    (into,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(into["index"], [1, *samples.shape[1:]])
    interpreter.allocate_tensors()
    (into,), (out,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for sample in samples:
        interpreter.set_tensor(into["index"], quantize(sample[None], into))
        interpreter.invoke()
        found.append(dequantize(interpreter.get_tensor(out["index"]), out)[0].copy())
    return np.stack(found)


def types(path):
    """Of each operator's first output, and of its weights as the file stores them."""
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
    tensors = {one["index"]: one for one in interpreter.get_tensor_details()}
    ops = interpreter._get_ops_details()
    source = {op["outputs"][0]: op["inputs"][0] for op in ops if op["op_name"] == "DEQUANTIZE"}
    kind = lambda index: tensors[index]["dtype"].__name__  # noqa: E731
    return {
        tensors[op["outputs"][0]]["name"]: (
            kind(op["outputs"][0]),
            kind(source.get(op["inputs"][1], op["inputs"][1])),
        )
        for op in ops
        if op["op_name"] in PLAIN
    }


def borders(path):
    (signature,) = reader.read(path).signatures
    return {one.dtype for one in (*signature.inputs, *signature.outputs)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return Model(tmp_path_factory.mktemp("plain"), classifier(OP_NAMES))


KEPT = {
    "float32": ("float32", "float32"),
    "float16": ("float32", "float16"),
    "dynamic": ("float32", "int8"),
    "int16x8": ("int16", "int8"),
}


@pytest.mark.parametrize("name", OP_NAMES)
@pytest.mark.parametrize("rest", KEPT)
@pytest.mark.parametrize("float_io", [False, True], ids=["int8", "float-io"])
def test_exactly_the_named_operator_is_kept(plain, name, rest, float_io):
    recipe = Recipe(mode="int8", kept=(name,), rest=rest, float_io=float_io)
    target, notes = plain.make(recipe)
    others = dict.fromkeys(OP_NAMES, ("int8", "int8"))
    assert types(target) == others | {name: KEPT[rest]}
    assert reader.read(target).precision == "mixed"
    assert borders(target) == {"float32" if float_io else "int8"}
    assert plain.error(target) < NOISE
    assert notes == ()


@pytest.mark.parametrize("mode", ["int8", "int16x8", "dynamic", "weight-only", "float16"])
def test_with_all_kept_the_answers_are_float32s(plain, mode):
    target, _ = plain.make(Recipe(mode=mode, kept=OP_NAMES, float_io=True))
    np.testing.assert_array_equal(
        answers(target, plain.samples), answers(plain.path, plain.samples)
    )


@pytest.mark.parametrize("mode", ["int8", "int16x8", "dynamic", "weight-only", "float16"])
def test_names_that_no_operator_has_keep_nothing(plain, mode):
    recipe = Recipe(mode=mode, float_io=True)
    expected = plain.make(recipe)[0].read_bytes()
    near = ("b", "a;", ".", "", "x", "A", "a;b(c)+")
    found = plain.make(recipe.model_copy(update={"kept": near}))[0].read_bytes()
    assert found == expected


def test_an_operator_with_very_many_outputs_is_kept(tmp_path):
    names = [f"part_{number}_{'n' * 90}" for number in range(120)]
    samples = np.random.default_rng(0).normal(size=(8, 240)).astype(np.float32)
    model = Model(tmp_path, splitter(names), samples)
    target, _ = model.make(Recipe(mode="int8", kept=(names[0],), float_io=True))
    (graph,) = (Interpreter(model_path=str(target)),)
    found = {one["name"]: one["dtype"] for one in graph.get_tensor_details()}
    assert {found[name] for name in names} == {np.float32}


def channel(first, last):
    """Weights of which the last channel is another."""
    made = np.full((1, 3, 3, CHANNELS), last)
    made[..., :-1] = np.random.default_rng(0).normal(0, first, (1, 3, 3, CHANNELS - 1))
    return made


ZERO = np.zeros((1, 3, 3, CHANNELS))
BIAS = np.array([0, 0, 0, 3.0])
DEAD = {
    "output, RELU6": ({"bias": np.full(CHANNELS, -50)}, "depthwise"),
    "output, RELU": ({"bias": np.full(CHANNELS, -50), "activation": RELU}, "depthwise"),
    "weights": ({"weights": ZERO, "bias": ZERO[0, 0, 0], "activation": NONE}, "depthwise"),
    "weights of nearly 0": ({"weights": ZERO + 1e-9, "bias": ZERO[0, 0, 0]}, "depthwise"),
    "channel": ({"weights": channel(0.3, 0.0), "bias": BIAS}, "w2"),
    "channel of nearly 0": ({"weights": channel(0.3, 1e-12), "bias": BIAS}, "w2"),
    "two layers of the same weights": (
        {"weights": channel(0.3, 1e-12), "bias": BIAS / 4, "shared": True},
        "w2_again",
    ),
}


@pytest.mark.parametrize("case", DEAD)
@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(mode="int8"),
        Recipe(mode="int8", symmetric=True),
        Recipe(mode="int16x8", float_io=True),
        Recipe(mode="int8", kept=("depthwise",), rest="int16x8"),
    ],
    ids=["int8", "symmetric", "int16x8", "kept-int16x8"],
)
def test_dead_layers_and_channels_answer_like_float32(tmp_path, case, recipe):
    fields, named = DEAD[case]
    model = Model(tmp_path, classifier(**fields))
    target, notes = model.make(recipe)
    assert model.error(target) < NOISE
    assert any(note.startswith(f"{named}: ") for note in notes)


@pytest.mark.parametrize("mode", ["int8", "int16x8"])
@pytest.mark.parametrize(("activation", "wider"), [(RELU6, ["depthwise"]), (RELU, []), (NONE, [])])
def test_small_values_get_a_wider_range_only_below_a_bound(tmp_path, mode, activation, wider):
    weights = channel(1e-8, 1e-8)
    fields = {"weights": weights, "bias": ZERO[0, 0, 0], "activation": activation}
    model = Model(tmp_path, classifier(**fields))
    target, notes = model.make(Recipe(mode=mode, float_io=True))
    assert [one.split(":")[0] for one in notes if "range" in one] == wider
    plain = OpResolverType.BUILTIN_REF  # kernels of which the bound is an integer
    Interpreter(model_path=str(target), experimental_op_resolver_type=plain).allocate_tensors()


def test_a_dead_channel_with_one_scale_a_tensor_answers_like_float32(tmp_path):
    weights = np.full((1, 3, 3, CHANNELS), 1e-9)
    model = Model(tmp_path, classifier(weights=weights, bias=[1, 2, 3, 4]))
    target, notes = model.make(Recipe(mode="int8", granularity="tensor"))
    assert model.error(target) < NOISE
    assert [re.match("[^:]*", note).group() for note in notes] == ["w2"]


@pytest.mark.parametrize("rest", ["float32", "dynamic"])
def test_weights_that_stay_out_of_integers_keep_their_scales(tmp_path, rest):
    model = Model(tmp_path, classifier(weights=channel(0.3, 1e-12), bias=BIAS))
    _, notes = model.make(Recipe(mode="int8", kept=("depthwise",), rest=rest))
    assert notes == ()


def test_a_damaged_file_is_a_typed_error(plain, tmp_path):
    model = Model(tmp_path, classifier(("same", "same", "classes")))
    with pytest.raises(QuantizationError, match=r"litert-quantizer refuses it: .*not unique"):
        model.make(Recipe(mode="int8"))
    assert not (tmp_path / "quantized.tflite").exists()


def _own_path(model, sample_name):
    """What the library makes with its own calibrator, of plain extremes."""
    from litert_quantizer import calibrator
    from litert_quantizer import quantizer as library
    from litert_quantizer.qtyping import TFLOperationName
    from litert_quantizer.recipe_manager import RecipeManager

    manager, every = RecipeManager(), TFLOperationName.ALL_SUPPORTED
    manager.add_static_config(".*", every, activation_num_bits=8, weight_num_bits=8)
    update = calibrator.qsv_utils.min_max_update
    observer = calibrator.Calibrator(model.path.read_bytes(), num_threads=1, qsv_update_func=update)
    samples = [{sample_name: one[None]} for one in model.samples]
    observer.calibrate({model.signature: samples}, manager)
    engine = library.Quantizer(str(model.path), manager.get_quantization_recipe())
    made = engine.quantize(observer.get_model_qsvs(), enable_progress_bar=False)
    return bytes(made.quantized_model)


def test_extremes_give_the_file_of_the_librarys_own_calibration(plain):
    target, _ = plain.make(Recipe(mode="int8"))
    assert target.read_bytes() == _own_path(plain, "x0")


@pytest.mark.parametrize("shared", [False, True])
def test_float16_files_have_float16_biases(tmp_path, shared):
    model = Model(tmp_path, classifier(shared=shared))
    target, _ = model.make(Recipe(mode="float16"))
    found = reader.read(target)
    assert found.weight_types.keys() == {"float16"}
    assert found.kernels
    assert all(name.endswith("float16-bias") for name in found.kernels)
    assert model.error(target) < NOISE


def test_a_bias_that_float16_cannot_hold_stays_float32(tmp_path):
    model = Model(tmp_path, classifier(bias=[0.5, 1e5, 0.0, -0.5]))
    target, _ = model.make(Recipe(mode="float16"))
    assert reader.read(target).weight_types == {"float16": 5, "float32": 1}
    assert model.error(target) < NOISE


def test_operators_that_stay_float16_have_float16_biases(plain):
    target, _ = plain.make(Recipe(mode="int8", kept=(OP_NAMES[0],), rest="float16"))
    found = reader.read(target)
    assert found.weight_types["float16"] == 2
    assert "CONV_2D float16 float16-bias" in found.kernels


@pytest.mark.parametrize("mode", ["float16", "weight-only", "int16x8", "int8"])
def test_operators_are_named_for_old_runtimes_too(plain, mode):
    target, _ = plain.make(Recipe(mode=mode, float_io=True))
    codes = tflite_models.unpack(target.read_bytes()).operatorCodes
    assert len(codes) > 3
    assert all(one.deprecatedBuiltinCode == min(one.builtinCode, 127) for one in codes)
