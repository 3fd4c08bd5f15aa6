from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from graph_samples import (
    FLOAT32,
    FLOAT64,
    STRING,
    entry,
    field,
    node,
    saved,
    signature,
    text,
    varint,
)
from hypothesis import given
from hypothesis import strategies as st

from edgepack.errors import SignatureError
from edgepack.savedmodel import ops, reader
from edgepack.savedmodel.recurrence import recurrent

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits/saved_model"
X = ("x", FLOAT32, (-1, 3))


@pytest.fixture
def written(tmp_path):
    """Facts of a SavedModel that is given as bytes."""

    def facts(data):
        (tmp_path / "saved_model.pb").write_bytes(data)
        (tmp_path / "variables").mkdir(exist_ok=True)
        for name in ("variables.index", "variables.data-00000-of-00001"):
            (tmp_path / "variables" / name).touch()
        return reader.read(tmp_path)

    return facts


def _only(facts):
    [found] = facts.computations
    return found


def test_ops_off_the_way_to_an_output_do_not_count(written):
    nodes = [
        node("out", "Relu", ["weights:0", "^checked"]),
        node("weights", "VarHandleOp", dims=(3, 4)),
        node("checked", "Assert"),
        node("train", "ResourceApplyAdam", ["weights:0"]),
        node("save", "SaveV2", ["weights:0"]),
    ]
    facts = written(saved(nodes))
    assert {op.name for op in facts.ops} >= {"ResourceApplyAdam", "SaveV2"}
    assert {op.name for op in _only(facts).ops} == {"Relu", "VarHandleOp", "Assert"}
    assert _only(facts).parameters == 12
    assert not facts.stateful


def test_each_signature_has_its_own_state(written):
    nodes = [node("out", "AssignAddVariableOp"), node("pure", "Relu")]
    given = {"counts": signature(inputs=[X]), "asks": signature("pure", [X])}
    facts = written(saved(nodes, signatures=given))
    state = {one.name: facts.is_stateful(one) for one in facts.signatures}
    assert state == {"counts": True, "asks": False}
    assert facts.stateful


def test_what_initialises_a_model_is_no_signature_to_compute(written):
    given = {"__saved_model_init_op": signature(), "serving_default": signature(inputs=[X])}
    facts = written(saved([node("out", "Relu")], signatures=given))
    assert _only(facts).name == "serving_default"


def test_what_an_input_replaces_is_not_run(written):
    nodes = [node("out", "Relu", ["x:0"]), node("x", "Identity", ["read"]), node("read", "PyFunc")]
    facts = written(saved(nodes, signatures={"serving_default": signature(inputs=[X])}))
    assert {op.name for op in _only(facts).ops} == {"Relu"}


@pytest.mark.parametrize(
    ("op", "custom", "select", "neither"),
    [
        ("Conv2D", (), (), ()),
        ("StatelessWhile", (), (), ()),
        ("DecodeJpeg", (), ("DecodeJpeg",), ()),
        ("Acosh", (), (), ("Acosh",)),
        ("Case", (), (), ("Case",)),
        ("TRTEngineOp", ("TRTEngineOp",), (), ()),
        ("Addons>Resample", ("Addons>Resample",), (), ()),
    ],
)
def test_ops_are_sorted_by_what_they_take(written, op, custom, select, neither):
    found = _only(written(saved([node("out", op)])))
    assert (found.custom_ops, found.select_ops, found.unconvertible_ops) == (
        custom,
        select,
        neither,
    )


def test_a_call_by_the_name_of_a_function_is_no_custom_op(written):
    found = _only(written(saved([node("out", "body")], {"body": [node("a", "Relu")]})))
    assert not found.custom_ops
    assert {op.name for op in found.ops} == {"body", "Relu"}


def test_every_op_is_in_one_list_only():
    lists = (ops.BUILTIN, ops.STRUCTURE, ops.SELECT, ops.NEITHER)
    assert sum(map(len, lists)) == len(frozenset().union(*lists)) == 1910


@given(st.frozensets(st.sampled_from(sorted(ops.BUILTIN | ops.SELECT | ops.NEITHER)) | st.text()))
def test_every_op_without_a_builtin_is_named_once(names):
    needs = ops.sort_out(names)
    told = [*needs.custom, *needs.select, *needs.unconvertible]
    assert sorted(told) == sorted(names - ops.BUILTIN - ops.STRUCTURE)


def test_the_lists_name_every_op_that_tensorflow_registers():
    code = (
        "from tensorflow.python.client import pywrap_tf_session as session\n"
        "from tensorflow.core.framework.op_def_pb2 import OpList\n"
        "held = session.TF_GetBuffer(session.TF_GetAllOpList())\n"
        "print(*(op.name for op in OpList.FromString(bytes(held)).op))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    known = ops.BUILTIN | ops.STRUCTURE | ops.SELECT | ops.NEITHER
    assert frozenset(done.stdout.split()) == known


@pytest.mark.parametrize(
    ("inputs", "batch", "unknown", "strings"),
    [
        ([X], None, (), ()),
        ([("x", FLOAT32, (4, 3))], 4, (), ()),
        ([("x", FLOAT32, (1, 3)), ("y", FLOAT32, (1,))], 1, (), ()),
        ([("x", FLOAT32, (2, 3)), ("y", FLOAT32, (3,))], None, (), ()),
        ([("x", FLOAT32, (4, 3)), ("y", FLOAT32, ())], None, (), ()),
        ([("x", FLOAT32, (-1, -1, -1, 3))], None, ("x: axes 1, 2",), ()),
        ([("x", FLOAT64, (-1, -1)), ("y", FLOAT32, None)], None, ("x: axis 1", "y: rank"), ()),
        ([("x", STRING, (-1,))], None, (), ("x",)),
    ],
)
def test_inputs_give_away_batch_and_unknown_dimensions(written, inputs, batch, unknown, strings):
    given = {"serving_default": signature(inputs=inputs)}
    found = _only(written(saved([node("out", "Relu")], signatures=given)))
    assert (found.fixed_batch, found.open_dimensions, found.strings) == (batch, unknown, strings)


@pytest.mark.parametrize(
    ("nodes", "trait", "value"),
    [
        ([node("out", "VariableV2", dims=(2,))], "reference_variables", 1),
        ([node("out", "Placeholder", dtype=101)], "reference_variables", 1),
        ([node("out", "Placeholder", dtype=1)], "reference_variables", 0),
        ([node("out", "Relu", device="/device:GPU:0")], "devices", ("/device:GPU:0",)),
        ([node("out", "Relu", device="/job:a/task:0/device:CPU:0")], "devices", ()),
        ([node("out", "Switch", ["m"]), node("m", "Merge")], "control_flow", ("Merge", "Switch")),
        ([node("out", "StatelessIf")], "control_flow", ("StatelessIf",)),
        ([node("out", "ReluGrad")], "gradients", ("ReluGrad",)),
        ([node("out", "Conv2DBackpropFilter")], "gradients", ("Conv2DBackpropFilter",)),
        ([node("out", "Conv2DBackpropInput")], "gradients", ()),
        ([node("out", "PreventGradient")], "gradients", ()),
        ([node("out", "LookupTableFindV2", ["t"]), node("t", "HashTableV2")], "tables", 1),
        ([node("out", "VarHandleOp", dims=(2, 3))], "parameters", 6),
        ([node("out", "VarHandleOp", dims=(2, -1))], "parameters", 0),
        ([node("out", "VarHandleOp", dims=())], "parameters", 1),
        ([node("out", "VarHandleOp", dims=(-2, -2))], "parameters", 0),
        ([node("out", "VarHandleOp", dims=(2**62, 2**62))], "parameters", 0),
        ([node("out", "VarHandleOp", dims=(2**62,) * 500)], "parameters", 0),
    ],
)
def test_what_a_graph_gives_away(written, nodes, trait, value):
    assert getattr(_only(written(saved(nodes))), trait) == value


@pytest.mark.parametrize(
    ("found", "functions", "signs"),
    [
        (["While", "TensorListReserve"], [], ("lists in While",)),
        (["NextIteration", "TensorArrayV3"], [], ("lists in NextIteration",)),
        (["TensorListReserve"], [], ()),
        (["While"], [], ()),
        (["CudnnRNNV3"], [], ("CudnnRNNV3",)),
        ([], ["__inference_standard_lstm_1234_specialized_for_a"], ("LSTM",)),
        ([], ["__forward_gpu_gru_with_fallback_88"], ("GRU",)),
        ([], ["__inference_call_12"], ()),
        ([], ["standard_lstmish"], ()),
        ([], ["standard_lstm" + "_a" * 5000 + "-"], ("LSTM",)),
    ],
)
def test_recurrence_shows_in_ops_and_in_names_of_functions(found, functions, signs):
    assert recurrent(found, functions) == signs


def _padded(value, kind=9):
    """Text padded to the shape that a constant holds, as TensorProto fields."""
    tensor = entry(5, "value", field(8, 2, field(1, 0, kind) + value))
    return [node("out", "RaggedTensorToTensor", ["to:0"]), node("to", "Const") + tensor]


OPEN_ENDED = b"\xff" * 8


@pytest.mark.parametrize(
    ("nodes", "unknown"),
    [
        (_padded(field(4, 2, OPEN_ENDED + OPEN_ENDED)), True),
        (_padded(field(4, 2, OPEN_ENDED + (250).to_bytes(8, "little"))), False),
        (_padded(field(4, 2, b"\1\0\0\0" + OPEN_ENDED[:4]), kind=3), True),
        (_padded(field(10, 2, varint((1 << 64) - 1))), True),
        (_padded(field(10, 0, -1)), True),
        (_padded(field(10, 2, varint(1) + varint(20))), False),
        (_padded(b""), False),
        ([node("out", "RaggedTensorToTensor", ["to:0"]), node("to", "Pack")], False),
        ([node("out", "RaggedTensorToTensor")], False),
    ],
)
def test_text_that_is_padded_to_no_length_is_told(written, nodes, unknown):
    assert _only(written(saved(nodes))).unknown_lengths is unknown


def _user(kind):
    return field(1, 2, field(4, 2, text(1, kind)))


def _function_with_type(kind, name):
    spec = field(34, 2, field(1, 0, kind) + text(3, name))
    inside = field(52, 2, field(1, 2, spec))
    return entry(2, "f", field(3, 2, inside))


@pytest.mark.parametrize(
    ("objects", "trait", "value"),
    [
        (_user("optimizer") + _user("experimentalOptimizer"), "optimizers", 2),
        (_user("_tf_keras_metric"), "metrics", 1),
        (_function_with_type(275837168, "_TFPTypeSpec"), "unknown_types", ("_TFPTypeSpec",)),
        (_function_with_type(12, "tfp.Spec"), "unknown_types", ("tfp.Spec",)),
        (_function_with_type(12, "tf.RaggedTensorSpec"), "unknown_types", ()),
        (_function_with_type(9, "VariableSpec"), "unknown_types", ()),
        (field(1, 2, field(1, 2, field(1, 0, 0) + text(2, "_misc_assets"))), "keras_version", "3"),
        (_user("_tf_keras_sequential"), "keras_version", "2"),
    ],
)
def test_what_an_object_graph_gives_away(written, objects, trait, value):
    assert getattr(written(saved([node("out", "Relu")], objects=objects)), trait) == value


def test_a_root_that_is_a_function_is_computed_where_there_is_no_signature(written):
    spec = field(33, 2, text(1, "x") + field(2, 2, b"") + field(3, 0, FLOAT32))
    held = field(52, 2, field(1, 2, spec))
    concrete = entry(2, "f", field(3, 2, held) + field(4, 2, held))
    root = field(1, 2, field(8, 2, text(1, "f")))
    bodies = {"f": [node("a", "Relu"), node("b", "inner")], "inner": [node("c", "DecodeJpeg")]}
    facts = written(saved([], bodies, signatures={}, objects=root + concrete))
    assert [one.name for one in facts.functions] == ["__call__"]
    assert _only(facts).select_ops == ("DecodeJpeg",)


def test_assets_are_named_with_their_sizes(tmp_path):
    model = Path(shutil.copytree(DIGITS, tmp_path / "model"))
    for name, content in (("assets/words.txt", "a\nb\n"), ("assets.extra/warmup", "12345")):
        file = model / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    found = {asset.path: asset.size_bytes for asset in reader.read(model).asset_files}
    assert found == {"assets/words.txt": 4, "assets.extra/warmup": 5}


EXAMPLES = [("examples", STRING, (-1,))]


def _estimator(written, **others):
    nodes = [
        node("out", "Relu", ["parsed"]),
        node("parsed", "ParseExampleV2", ["examples"]),
        node("given", "Relu", ["x"]),
    ]
    given = {"serving_default": signature(inputs=EXAMPLES), **others}
    return written(saved(nodes, signatures=given))


def test_a_signature_that_takes_features_is_named_beside_one_that_takes_examples(written):
    facts = _estimator(written, predict=signature("given", [X]))
    with pytest.raises(SignatureError, match=r"tf\.Example .* taken by predict\(x\)\n.*predict"):
        reader.select_signature(facts)
    assert reader.select_signature(facts, "serving_default").name == "serving_default"


def test_examples_are_taken_where_nothing_else_is(written):
    facts = _estimator(written, regress=signature(inputs=EXAMPLES))
    assert reader.select_signature(facts).name == "serving_default"


WILD = ROOT.parent / "shared/data/wild"
LSTM = ("LSTM", "lists in StatelessWhile")


@pytest.mark.skipif(not WILD.exists(), reason="needs SavedModels from the wild")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "breizhn__DTLN/0",
            {
                "stateful": True,
                "parameters": 987777,
                "fixed_batch": 1,
                "select_ops": ("Angle", "IRFFT"),
                "recurrent": ("LSTM", "lists in While"),
                "control_flow": ("While",),
            },
        ),
        (
            "k1n5-bt__tajik-farsi_translitilation/0",
            {
                "parameters": 375896,
                "open_dimensions": ("input_2: axis 1",),
                "recurrent": LSTM,
                "control_flow": ("StatelessWhile",),
            },
        ),
        (
            "tensorflow__serving/1",
            {"parameters": 2, "reference_variables": 2, "devices": ("/device:GPU:0",)},
        ),
        (
            "Huyrose1994__Google-Two-Tower-Retrival/0",
            {"parameters": 116641, "strings": ("movie_title", "user_id"), "tables": 2},
        ),
        ("zainakh__bci-representation-learning/0", {"parameters": 725825}),
    ],
)
def test_models_in_the_wild_give_away_what_matters(name, expected):
    facts = reader.read(WILD / name)
    found = facts.computation(reader.select_signature(facts))
    assert found.model_dump(exclude={"name", "ops"}, exclude_defaults=True) == expected


@pytest.mark.skipif(not WILD.exists(), reason="needs SavedModels from the wild")
@pytest.mark.parametrize(
    ("name", "trait", "value"),
    [
        ("marvinschmitt__DeepLearning-Bomberman/0", "unknown_types", ("_TFPTypeSpec",)),
        ("breizhn__DTLN/0", "keras_version", "2.3.0-tf"),
        ("C242-PS045-Career-Match__Cloud-Computing/0", "keras_version", "3"),
        ("wookey9__gNB_Simulator_MC/0", "optimizers", 1),
        ("MurphyAdam__flask-ai/0", "metrics", 4),
    ],
)
def test_models_in_the_wild_give_away_who_wrote_them(name, trait, value):
    assert getattr(reader.read(WILD / name), trait) == value
