from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.contract import changes
from edgepack.records.tensors import Quantization, Signature, Tensor


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
