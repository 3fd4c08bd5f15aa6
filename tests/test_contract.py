from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_models import PLAIN, build, scaled, tensor

from edgepack import contract, schemas
from edgepack.contract import Choice, changes, contract_of
from edgepack.errors import ConfigError, OutputError, SignatureError, UsageError
from edgepack.inspection import inspect
from edgepack.records.contract import Contract
from edgepack.records.settings import VARIANTS
from edgepack.records.tensors import Quantization, Signature, Tensor

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "calibration/digits/saved_model"
BUNDLE = ROOT / "tests/golden/bundle-1.zip"


def _tensor(name="x", dtype="float32", shape=(1, 4), **fields):
    return Tensor(name=name, dtype=dtype, shape=shape, **fields)


X, Y = _tensor(), _tensor("y")


def _signature(inputs=(X,), outputs=(Y,)):
    return Signature(name="serving_default", inputs=inputs, outputs=outputs)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ((_tensor(dtype="int8"),), ("input x: dtype float32 became int8",)),
        ((_tensor(shape=(1, 8)),), ("input x: shape [1, 4] became [1, 8]",)),
        ((_tensor(shape=None),), ("input x: shape [1, 4] became unknown",)),
        ((_tensor(shape=()),), ("input x: shape [1, 4] became []",)),
        ((_tensor(shape_signature=(-1, 4)),), ("input x: shape [1, 4] became [-1, 4]",)),
        ((_tensor(), _tensor("extra")), ("input extra is new",)),
        ((), ("input x is gone",)),
        ((_tensor("z"),), ("input x is gone", "input z is new")),
        (
            (_tensor(dtype="uint8", shape=(4,)),),
            ("input x: dtype float32 became uint8", "input x: shape [1, 4] became [4]"),
        ),
    ],
)
def test_what_an_app_would_meet_is_said(inputs, expected):
    assert changes(_signature(), _signature(inputs)) == expected


def test_outputs_are_compared_too_and_come_last():
    new = _signature((_tensor(dtype="int8"),), (_tensor("scores"),))
    assert changes(_signature(), new) == (
        "input x: dtype float32 became int8",
        "output y is gone",
        "output scores is new",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"tensor": "StatefulPartitionedCall:0"},
        {"quantization": Quantization(scales=(0.5,), zero_points=(3,))},
        {"subgraph_index": 1, "signature_index": 2},
        {"shape_signature": (1, 4)},
    ],
)
def test_what_no_app_sees_is_no_change(fields):
    assert changes(_signature(), _signature((_tensor(**fields),))) == ()


tensors = st.lists(
    st.builds(
        _tensor,
        st.sampled_from("abc"),
        st.sampled_from(("float32", "int8")),
        st.one_of(st.none(), st.tuples(st.integers(-1, 3))),
    ),
    max_size=3,
    unique_by=lambda tensor: tensor.name,
).map(tuple)
signatures = st.builds(_signature, tensors, tensors)


@given(signatures)
def test_order_is_no_change(signature):
    turned = _signature(signature.inputs[::-1], signature.outputs[::-1])
    assert changes(signature, turned) == ()


@given(signatures, signatures)
def test_a_change_one_way_is_a_change_the_other_way(old, new):
    assert len(changes(old, new)) == len(changes(new, old))


QUANTIZED = build(
    [
        tensor("x", "int8", (1, 8, 8, 1), quantization=scaled([1 / 255], [-128])),
        tensor("ids", "int32", (1, 4), shapeSignature=[-1, 4]),
        tensor("y", "int8", (1, 10), quantization=scaled([1 / 256], [-128])),
    ],
    [("CUSTOM_OP", [0, 1], [2])],
    [0, 1],
    [2],
    [("serving_default", [("image", 0), ("ids", 1)], [("scores", 2)])],
)


def _read(tmp_path, content):
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    return inspect(path)


def _agreed(tmp_path, content=QUANTIZED, **choice):
    found = _read(tmp_path, content)
    return contract_of(found, Choice(**choice)), found.signatures


def _side(agreed, side, **fields):
    """The contract with other fields in the first tensor of a side."""
    signature = agreed.signatures[0]
    first, *rest = getattr(signature, side)
    changed = signature.model_copy(update={side: (first.model_copy(update=fields), *rest)})
    return agreed.model_copy(update={"signatures": (changed,)})


@pytest.mark.parametrize("scales", [False, True])
def test_a_model_fulfils_the_contract_written_from_it(tmp_path, scales):
    agreed, signatures = _agreed(tmp_path, scales=scales)
    contract.write(agreed, tmp_path / "contract.json")
    assert contract.read(tmp_path / "contract.json") == agreed
    assert contract.breaches(agreed, signatures) == ()


def test_the_file_has_a_line_a_tensor(tmp_path, golden):
    agreed, _ = _agreed(tmp_path, scales=True)
    contract.write(agreed, tmp_path / "contract.json")
    golden("contract-1.json", (tmp_path / "contract.json").read_text())


def test_the_golden_file_is_read_and_fits_the_schema():
    path = ROOT / "tests/golden/contract-1.json"
    assert [t.name for t in contract.read(path).signatures[0].inputs] == ["ids", "image"]
    validator = jsonschema.Draft202012Validator(schemas.schema("contract"))
    validator.validate(json.loads(path.read_text()))


@pytest.mark.parametrize(
    ("side", "fields", "expected"),
    [
        ("inputs", {"dtype": "int64"}, "input ids: dtype is int32, the contract says int64"),
        ("inputs", {"shape": (1, 4)}, "input ids: shape is [-1, 4], the contract says [1, 4]"),
        ("inputs", {"shape": (-1, 4, 1)}, "input ids: shape is [-1, 4], the contract says"),
        ("inputs", {"quantization": "any"}, "input ids: is not quantized, the contract says it is"),
        ("outputs", {"quantization": "none"}, "output scores: is quantized, the contract says it"),
        ("outputs", {"shape": (1, 9)}, "output scores: shape is [1, 10], the contract says [1, 9]"),
        (
            "outputs",
            {"scales": (0.5,), "zero_points": (-128,)},
            "output scores: scale is 0.00390625, the contract says 0.5",
        ),
        (
            "outputs",
            {"scales": (1 / 256,), "zero_points": (0,)},
            "output scores: zero point is -128, the contract says 0",
        ),
        (
            "outputs",
            {"scales": (1 / 256, 1.0), "zero_points": (-128,)},
            "output scores: scale is 0.00390625, the contract says [0.00390625, 1]",
        ),
    ],
)
def test_each_breach_is_said(tmp_path, side, fields, expected):
    agreed, signatures = _agreed(tmp_path)
    (breach,) = contract.breaches(_side(agreed, side, **fields), signatures)
    assert breach.startswith(expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"shape": (-1, -1)},
        {"shape": None},
        {"quantization": None},
    ],
)
def test_what_a_contract_leaves_open_is_no_breach(tmp_path, fields):
    agreed, signatures = _agreed(tmp_path)
    assert contract.breaches(_side(agreed, "inputs", **fields), signatures) == ()


def test_a_scale_shortened_by_hand_is_the_same(tmp_path):
    agreed, signatures = _agreed(tmp_path)
    short = {"scales": (0.003921569,), "zero_points": (-128,)}
    image = agreed.signatures[0].inputs[1].model_copy(update=short)
    first = agreed.signatures[0].model_copy(
        update={"inputs": (agreed.signatures[0].inputs[0], image)}
    )
    assert contract.breaches(Contract(signatures=(first,)), signatures) == ()


def test_zero_points_that_a_file_leaves_out_are_zero():
    bare = _signature((_tensor(quantization=Quantization(scales=(0.5,), zero_points=())),))
    agreed = contract.agree([bare], scales=True)
    assert agreed.signatures[0].inputs[0].zero_points == (0,)
    assert contract.breaches(agreed, [bare]) == ()


def test_missing_and_unnamed_tensors_are_said():
    agreed = contract.agree([_signature()])
    assert contract.breaches(agreed, [_signature((_tensor("z"),), (_tensor("y"), X))]) == (
        "input x is missing; the model has: z",
        "input z is not in the contract",
        "output x is not in the contract",
    )


def test_a_missing_signature_is_said_and_others_may_be_there():
    train = _signature().model_copy(update={"name": "train"})
    agreed = contract.agree([_signature()])
    assert contract.breaches(agreed, [train, _signature()]) == ()
    (breach,) = contract.breaches(agreed, [train])
    assert breach == "signature 'serving_default' is missing; the model has: train"


def test_of_several_signatures_each_breach_says_which():
    train = _signature().model_copy(update={"name": "train"})
    agreed = contract.agree([_signature(), train])
    changed = _signature((_tensor(dtype="int8"),))
    (breach,) = contract.breaches(agreed, [changed, train])
    assert breach == "serving_default: input x: dtype is int8, the contract says float32"


def test_a_shape_of_unknown_rank_breaches_a_known_one():
    agreed = contract.agree([_signature()])
    (breach,) = contract.breaches(agreed, [_signature((_tensor(shape=None),))])
    assert breach == "input x: shape is unknown, the contract says [1, 4]"


REAL = tuple(name for name in VARIANTS if name != "int8")  # their borders are float32


@pytest.mark.parametrize(
    ("content", "choice", "variants"),
    [
        (QUANTIZED, {}, ("int8",)),
        (PLAIN, {}, REAL),
        (PLAIN, {"variant": "dynamic"}, ("dynamic",)),
    ],
)
def test_a_contract_speaks_for_variants_of_its_kind(tmp_path, content, choice, variants):
    agreed, _ = _agreed(tmp_path, content, **choice)
    assert agreed.variants == variants
    assert all(contract.speaks_for(agreed, variant) for variant in variants)
    assert not contract.speaks_for(agreed, "int8" if variants == REAL else "float32")


def test_a_contract_for_no_variant_in_particular_is_for_all():
    assert contract.speaks_for(contract.agree([_signature()]), "int8")


def test_a_savedmodels_contract_says_nothing_of_quantization():
    agreed = contract_of(inspect(DIGITS), Choice())
    (signature,) = agreed.signatures
    assert [(t.name, t.shape, t.quantization) for t in signature.inputs] == [
        ("image", (-1, 8, 8, 1), None)
    ]


def test_a_bundles_contract_is_for_the_variants_alike():
    assert contract_of(inspect(BUNDLE), Choice()).variants == ("float32", "int8")
    assert contract_of(inspect(BUNDLE), Choice(variant="int8")).variants == ("int8",)


def _unlike(manifest):
    """The bundle with an int8 variant whose input is int8 too."""
    first, second = manifest.models
    signature = second.signatures[0]
    inputs = tuple(t.model_copy(update={"dtype": "int8"}) for t in signature.inputs)
    changed = signature.model_copy(update={"inputs": inputs})
    second = second.model_copy(update={"signatures": (changed,)})
    return manifest.model_copy(update={"models": (first, second)})


@pytest.mark.parametrize(
    ("choice", "error", "message"),
    [
        ({}, UsageError, "variants differ .*\n.*--variant: float32, int8"),
        ({"variant": "dynamic"}, UsageError, 'no variant "dynamic"\n.*float32, int8'),
        ({"variant": "int8", "signature": "f"}, SignatureError, 'no signature "f"'),
    ],
)
def test_what_a_bundle_leaves_open_must_be_chosen(choice, error, message):
    with pytest.raises(error, match=message):
        contract_of(_unlike(inspect(BUNDLE)), Choice(**choice))


def test_an_unknown_variant_is_refused(tmp_path):
    with pytest.raises(UsageError, match='no variant "int9"'):
        _agreed(tmp_path, variant="int9")


def test_several_usable_signatures_must_be_chosen_from():
    first = _signature().model_copy(update={"name": "f"})
    second = _signature().model_copy(update={"name": "g"})
    facts = inspect(DIGITS).model_copy(update={"signatures": (first, second)})
    with pytest.raises(SignatureError, match="--signature: f, g"):
        contract_of(facts, Choice())
    assert contract_of(facts, Choice(signature="g")).signatures[0].name == "g"


KEYS = ("schema_version", "variants", "signatures", "name", "inputs", "outputs", "scales")
SPLINTERS = (b"", b"-1", b"null", b"[]", b"{}", b'"', b",", b"1e999", b"NaN", b"\\ud800", b"\xff")
GOOD = contract.text(contract.agree([_signature()]))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (GOOD, "", "not JSON"),
        (GOOD, "[]", "not a JSON object"),
        (GOOD, "[" * 100_000, "not JSON"),
        (GOOD, "{}", "signatures is missing"),
        ('"schema_version": 1', '"schema_version": 2', "schema_version"),
        ('"variants": []', '"variants": ["int9"]', 'did you mean "int8"'),
        ('"variants": []', '"variant": []', 'did you mean "variants"'),
        (
            '"float32", "shape": [1, 4]',
            '"float32", "shape": [1, -4]',
            "a dimension of -4; -1 accepts",
        ),
        (
            '"shape": [1, 4]',
            '"shape": [1.5]',
            r"shape \(item 1\) must be a whole number, not 1.5\n",
        ),
        (
            '"shape": [1, 4]',
            '"shape": 4',
            r"shape must be a list, each item a whole number, not 4\n",
        ),
        ('"dtype": "float32"', '"dtype": 32', r"dtype must be text in quotes, not 32\n"),
        ('"quantization": "none"', '"quantization": "maybe"', '"maybe"; known: any, none\n'),
        ('"inputs": [', '"inputs": [7, ', r"inputs \(item 1\) must be an object, not 7\n"),
        ('"name": "x"', '"name": "\\ud800"', "not JSON"),
        (GOOD, '{"signatures": []}', "signatures is empty"),
        ('"quantization": "none"', '"quantization": "any", "scales": [1.0]', "1 scales and 0 zero"),
        ('"none"', '"none", "scales": [1.0], "zero_points": [0]', 'quantization must be "any"'),
        ('"name": "x", ', '"name": "x", "name": "x", ', "'name' stands twice"),
        ('"dtype": "float32", ', "", "dtype is missing"),
        ('"variants"', '"x": NaN, "variants"', "x"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, old, new, message):
    path = tmp_path / "contract.json"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as caught:
        contract.read(path)
    assert caught.value.where == str(path)
    assert "--contract contract.json" in caught.value.hint


def test_one_name_for_two_tensors_is_refused(tmp_path):
    path = tmp_path / "contract.json"
    contract.write(contract.agree([_signature((X, X)), _signature()]), path)
    with pytest.raises(
        ConfigError, match=r"'serving_default' stands twice.*input 'x' stands twice"
    ):
        contract.read(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"\xff"), "not JSON"),
        (lambda path: path.write_bytes(b" " * 1_000_001), "too large"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, make, message):
    make(tmp_path / "contract.json")
    with pytest.raises(ConfigError, match=message):
        contract.read(tmp_path / "contract.json")


def test_a_contract_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        contract.write(contract.agree([_signature()]), tmp_path)


@given(signatures, st.booleans())
def test_any_contract_is_read_as_it_was_written(tmp_path_factory, signature, scales):
    path = tmp_path_factory.mktemp("contract") / "contract.json"
    agreed = contract.agree([signature], scales=scales)
    contract.write(agreed, path)
    assert contract.read(path) == agreed
    assert contract.breaches(agreed, [signature]) == ()


@given(signatures, signatures)
def test_only_what_differs_breaches(old, new):
    broken = contract.breaches(contract.agree([old], quantized=False), [new])
    if not changes(old, new):
        assert not broken
    if any(t.dims and -1 not in t.dims for t in old.inputs) and not broken:
        assert {t.name for t in old.inputs} == {t.name for t in new.inputs}


@given(st.data())
def test_no_damage_to_a_contract_raises_anything_else(tmp_path_factory, data):
    content = bytearray(GOOD.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        stop = data.draw(st.integers(start, min(len(content), start + 12)))
        content[start:stop] = data.draw(st.sampled_from(SPLINTERS))
    path = tmp_path_factory.mktemp("contract") / "contract.json"
    path.write_bytes(content)
    with suppress(ConfigError):
        found = contract.read(path)
        assert isinstance(contract.breaches(found, [_signature()]), tuple)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner) | st.just([{}])
        ),
    )
)
def test_no_json_raises_anything_else(tmp_path_factory, document):
    path = tmp_path_factory.mktemp("contract") / "contract.json"
    path.write_text(json.dumps(document))
    with suppress(ConfigError):
        assert isinstance(contract.read(path), Contract)


def test_inspect_writes_a_contract(edgepack, tmp_path):
    model = tmp_path / "model.tflite"
    model.write_bytes(QUANTIZED)
    done = edgepack("inspect", "--contract", "c.json", "--scales", "--json", model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "The contract is in c.json.\n"
    assert json.loads(done.stdout)["kind"] == "tflite"
    agreed, _ = _agreed(tmp_path, scales=True)
    assert contract.read(tmp_path / "c.json") == agreed


def test_options_about_a_contract_need_one(edgepack):
    done = edgepack("inspect", "--scales", DIGITS)
    assert done.returncode == 2
    assert "give --contract FILE too" in " ".join(done.stderr.split())
