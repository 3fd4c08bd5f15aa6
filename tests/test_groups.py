from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_models import build, tensor

from edgepack import repair
from edgepack.engines import tensorflow
from edgepack.errors import EdgepackError, ModelError, SignatureError, UsageError
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.savedmodel import reader
from edgepack.tflite.groups import groups, short_name
from edgepack.workers.pool import WorkerPool

SHARED = Path(__file__).parents[1].parent / "shared/data"
FUSED = "functional_1/activation_1/Relu;functional_1/conv2d_1/BiasAdd;functional_1/conv2d_1/Conv2D1"
WIDE = 4 * 16 * 16  # bytes of the weights below


def chain(*names):
    """A file whose operators, by name, each take the one before's float output."""
    every = [tensor("x"), tensor("w", shape=(16, 16), data=True)]
    operators, last = [], 0
    for number, name in enumerate(names):
        every.append(tensor(f"model/{name.lower()}/{name}{number}", **_typed(name)))
        weights = [1] if name in {"CONV_2D", "FULLY_CONNECTED"} else []
        operators.append((name, [last, *weights], [len(every) - 1]))
        last = len(every) - 1 if name != "SHAPE" else last
    return build(every, operators, [0], [last], [("main", [("x", 0)], [("y", last)])])


def _typed(name):
    return {"dtype": "int32", "shape": (2,)} if name == "SHAPE" else {}


def grouped(tmp_path, content, **options):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return groups(path, **options)


def ops(found):
    return [" ".join(group.ops) for group in found]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("CONV_2D RELU CONV_2D ADD MUL", ["CONV_2D RELU", "CONV_2D ADD MUL"]),
        ("PAD MUL CONV_2D RELU", ["PAD MUL", "CONV_2D RELU"]),
        ("SHAPE CONV_2D SHAPE RELU", ["SHAPE CONV_2D SHAPE RELU"]),
        ("CONV_2D WHILE RELU", ["CONV_2D", "WHILE", "RELU"]),
        ("WHILE SHAPE CONV_2D IF IF", ["WHILE SHAPE", "CONV_2D", "IF", "IF"]),
        ("SHAPE", ["SHAPE"]),
        ("", []),
    ],
)
def test_an_operator_with_weights_starts_a_group(tmp_path, names, expected):
    assert ops(grouped(tmp_path, chain(*names.split()))) == expected


def test_expanding_constants_starts_no_group(tmp_path):
    tensors = [
        tensor("x"),
        tensor("stored", "float16", (4, 4), data=True),
        tensor("first"),
        tensor("w"),
        tensor("y"),
    ]
    operators = [
        ("FULLY_CONNECTED", [0, 0], [2]),
        ("DEQUANTIZE", [1], [3]),
        ("FULLY_CONNECTED", [2, 3], [4]),
    ]
    found = grouped(tmp_path, build(tensors, operators, [0], [4]))
    assert ops(found) == ["FULLY_CONNECTED DEQUANTIZE", "FULLY_CONNECTED"]


def test_groups_are_told_apart_by_name_and_list_first_outputs(tmp_path):
    found = grouped(tmp_path, chain("PAD", "CONV_2D", "RELU", "CONV_2D"))
    assert [group.name for group in found] == ["pad", "conv_2d", "conv_2d_2"]
    assert found[1].tensors == ("model/conv_2d/CONV_2D1", "model/relu/RELU2")


def test_shared_weights_count_once(tmp_path):
    found = grouped(tmp_path, chain("CONV_2D", "CONV_2D", "RELU"))
    assert [group.weights_bytes for group in found] == [WIDE, 0]


def test_the_lightest_neighbours_are_merged_and_control_flow_last(tmp_path):
    content = chain("CONV_2D", "WHILE", "CONV_2D", "CONV_2D")
    three = grouped(tmp_path, content, most=3)
    assert ops(three) == ["CONV_2D", "WHILE", "CONV_2D CONV_2D"]
    assert three[2].name == "conv_2d_2..conv_2d_3"
    assert ops(grouped(tmp_path, content, most=2)) == ["CONV_2D", "WHILE CONV_2D CONV_2D"]
    assert grouped(tmp_path, content, most=1)[0].weights_bytes == WIDE


@given(
    st.lists(
        st.sampled_from(["CONV_2D", "FULLY_CONNECTED", "RELU", "SHAPE", "WHILE"]), max_size=30
    ),
    st.integers(0, 40),
)
def test_groups_are_a_partition_in_graph_order(tmp_path_factory, names, most):
    directory = tmp_path_factory.getbasetemp()
    found = grouped(directory, chain(*names), most=most)
    assert [op for group in found for op in group.ops] == names
    assert len(found) <= max(most, 1)
    assert len({group.name for group in found}) == len(found)
    everything = [name for group in grouped(directory, chain(*names)) for name in group.tensors]
    assert [name for group in found for name in group.tensors] == everything


SOUND = chain("PAD", "CONV_2D", "RELU", "WHILE", "CONV_2D")
CHANGES = st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255))


@given(st.lists(CHANGES, min_size=1, max_size=10))
def test_damaged_files_are_grouped_or_refused(tmp_path_factory, changes):
    content = bytearray(SOUND)
    for at, value in changes:
        content[at] = value
    with contextlib.suppress(EdgepackError):  # anything else fails the test
        found = grouped(tmp_path_factory.getbasetemp(), bytes(content))
        assert len({group.name for group in found}) == len(found)


@pytest.mark.parametrize(
    ("tensor_name", "expected"),
    [
        (FUSED, "conv2d_1"),
        ("functional_1/dense/MatMul;functional_1/dense/BiasAdd", "dense"),
        ("m/tf.add_2/Add;model/tf.nn.convolution_3/convolution;Const_921", "tf.nn.convolution_3"),
        ("model/block1/query/einsum/Einsum", "query"),
        ("sequential/dense/Tensordot/MatMul", "dense"),
        ("StatefulPartitionedCall/model/lstm/MatMul", "lstm"),
        ("StatefulPartitionedCall:0", ""),
        ("Mul", "Mul"),
        ("logits:0", "logits"),
        ("", ""),
    ],
)  # fmt: skip
def test_names_are_what_the_layer_is_called(tensor_name, expected):
    assert short_name(tensor_name) == expected


def test_a_layer_without_a_telling_name_is_numbered(tmp_path):
    tensors = [tensor("x"), tensor("StatefulPartitionedCall:0")]
    found = grouped(tmp_path, build(tensors, [("RELU", [0], [1])], [0], [1]))
    assert found[0].name == "layer1"


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, UsageError, "No such file"),
        (b"", ModelError, "it is empty"),
        (b"not a model at all", ModelError, "no TFL3 flatbuffer"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, content, error, message):
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message):
        groups(path)


def test_a_signature_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SignatureError, match=r"no 'other', only \['main'\]"):
        grouped(tmp_path, chain("RELU"), signature="other")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """float32 files of the published models, by name."""
    directory = tmp_path_factory.mktemp("published")
    with WorkerPool("TensorFlow", 1, Limits(), directory / "log") as pool:
        for name in ("kws", "ic"):
            source, copy = SHARED / name / "saved_model", directory / name
            facts = reader.read(source)
            repair.prepare(source, facts, copy)
            signature = reader.select_signature(facts).name
            model = SourceModel(path=str(copy), tags=facts.tags, signature=signature)
            pool.submit(tensorflow.convert, model, directory / f"{name}.tflite").result()
    return directory


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="needs published models")
def test_layers_of_the_keyword_model_have_the_names_that_its_author_gave(published):
    found = groups(published / "kws.tflite")
    names = [group.name for group in found if "depthwise" not in group.name]
    assert names == ["conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "dense"]
    assert ops(found)[-2:] == ["CONV_2D AVERAGE_POOL_2D RESHAPE", "FULLY_CONNECTED SOFTMAX"]
    assert len(groups(published / "kws.tflite", most=4)) == 4


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="needs published models")
def test_what_a_residual_adds_belongs_to_the_convolution_before_it(published):
    found = groups(published / "ic.tflite")
    assert len(found) == 10
    adding = [group for group in found if "ADD" in group.ops]
    assert [group.name for group in adding] == ["conv2d_2_1", "conv2d_5_1", "conv2d_8_1"]
    assert all(group.ops[:2] == ("CONV_2D", "ADD") for group in adding)


@pytest.mark.skipif(not SHARED.exists(), reason="needs published models")
@pytest.mark.parametrize("name", ["kws", "ic"])
def test_a_quantized_file_has_nothing_to_tell_apart(name):
    assert len(groups(SHARED / name / "reference_int8.tflite")) == 1
