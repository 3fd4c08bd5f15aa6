from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack import repair
from edgepack.errors import DamagedModelError, SignatureError
from edgepack.savedmodel import checkpoint, identity, reader
from edgepack.savedmodel.messages import Node
from edgepack.savedmodel.walk import Walk
from edgepack.savedmodel.wire import Message

HERE = Path(__file__).parent
SHARED = HERE.parents[1] / "shared"
WILD = sorted((SHARED / "data" / "wild").glob("*/*/saved_model.pb"))

FOLLOWED = (
    "another_constant",
    "branches",
    "counts",
    "dense",
    "keyed",
    "loop",
    "old",
    "plain",
    "recurrent",
    "same_values",
    "trained",
    "two_signatures",
    "vocabulary",
    "with_optimizer",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """All models, saved twice by processes of different histories."""
    pytest.importorskip("tensorflow")
    twice = [tmp_path_factory.mktemp("saved") for _ in range(2)]
    for number, directory in enumerate(twice):
        subprocess.run(
            [sys.executable, HERE / "identity_models.py", directory],
            env={**os.environ, "BEFOREHAND": str(3 * number), "PYTHONHASHSEED": str(number)},
            check=True,
            capture_output=True,
            timeout=300,
        )
    return twice


@pytest.mark.parametrize("name", FOLLOWED)
def test_saving_again_changes_nothing(saved, name):
    first, second = (identity.identify(directory / name) for directory in saved)
    assert first == second
    assert first.complete
    assert first.signatures
    assert reader.digest(saved[0] / name) != reader.digest(saved[1] / name)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("plain", "swapped"),
        ("plain", "another_constant"),
        ("plain", "another_output"),
        ("vocabulary", "another_vocabulary"),
        ("vocabulary", "keyed"),
        ("branches", "branches_swapped"),
        ("loop", "longer_loop"),
        ("old", "old_longer"),
        ("old", "old_wider"),
    ],
)
def test_another_model_has_another_digest(saved, name, other):
    assert digest(saved, name) != digest(saved, other)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("with_optimizer", "without_optimizer"),
        ("trained", "dense"),
        ("same_values", "same_values_swapped"),
        ("branches", "branches_shuffled"),
        ("old", "old_shuffled"),
        ("recurrent", "recurrent_shuffled"),
        ("vocabulary", "vocabulary_shuffled"),
    ],
)
def test_the_same_model_has_the_same_digest(saved, name, other):
    assert digest(saved, name) == digest(saved, other) != ""


def test_what_cannot_be_followed_is_said(saved):
    found = identity.identify(saved[0] / "reads_file")
    assert found.left_out == ("ReadFile, which reads files",)
    assert not found.complete
    assert digest(saved, "reads_file") == ""


def digest(saved, name):
    return identity.semantic_digest(saved[0] / name)


def copy(saved, name, tmp_path):
    return Path(shutil.copytree(saved[0] / name, tmp_path / name))


@pytest.mark.parametrize("key", ["w", "v"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_every_weight_counts(saved, tmp_path, key, at):
    model = copy(saved, "plain", tmp_path)
    variables = checkpoint.load(model / "variables")
    (tensor,) = (one for one in variables.tensors if one.name.startswith(f"{key}/"))
    data = bytearray(variables.shard(0).read_bytes())
    data[tensor.offset + at * (tensor.size - 1) // 2] ^= 1
    variables.shard(0).write_bytes(data)
    assert identity.semantic_digest(model) != digest(saved, "plain")
    assert identity.identify(model).complete


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("plain", b"serving_default_x", b"serving_default_q"),
        ("vocabulary", b"key_dtype", b"key_dtypf"),
        ("plain", b"MatMul", b"MatMux"),
        ("plain", b"\x0a\x01x\x12", b"\x0a\x01q\x12"),
        ("plain", b"serving_default\x12", b"serving_defaulx\x12"),
        ("another_constant", b"\x80\x3f", b"\x80\x40"),
    ],
)
def test_changes_in_the_file(saved, tmp_path, name, before, after):
    model = copy(saved, name, tmp_path)
    data = (model / "saved_model.pb").read_bytes()
    assert before in data
    (model / "saved_model.pb").write_bytes(data.replace(before, after))
    same = before == b"serving_default_x"  # the placeholder's own name, all over the file
    assert (identity.identify(model).digest == digest(saved, name)) == same


def test_assets_count_by_content(saved, tmp_path):
    model = copy(saved, "vocabulary", tmp_path)
    (model / "assets" / "vocabulary.txt").write_text("a\nc\n")
    assert identity.semantic_digest(model) not in {"", digest(saved, "vocabulary")}
    (model / "assets" / "vocabulary.txt").unlink()
    assert identity.identify(model).left_out == ("asset vocabulary.txt, which cannot be read",)


def test_missing_values_are_said(saved, tmp_path):
    model = copy(saved, "plain", tmp_path)
    (model / "variables" / "variables.data-00000-of-00001").unlink()
    assert "whose value is damaged: it is missing" in identity.identify(model).left_out[0]
    (model / "variables" / "variables.index").unlink()
    assert "whose value is missing" in identity.identify(model).left_out[0]


@pytest.mark.parametrize("cut", [1, 100, 3000])
def test_a_graph_cut_short_is_refused(saved, tmp_path, cut):
    model = copy(saved, "plain", tmp_path)
    data = (model / "saved_model.pb").read_bytes()
    (model / "saved_model.pb").write_bytes(data[:-cut])
    with pytest.raises((DamagedModelError, SignatureError)):
        identity.identify(model)


@pytest.mark.skipif(not WILD, reason="needs the shared data")
@pytest.mark.parametrize("file", WILD, ids=lambda file: file.parts[-3])
def test_published_models_are_followed_and_survive_repairs(file, tmp_path):
    started = time.monotonic()
    found = identity.identify(file.parent)
    assert time.monotonic() - started < 4
    assert found.complete
    assert found.signatures
    repair.prepare(file.parent, reader.read(file.parent), tmp_path / "copy")
    assert identity.identify(tmp_path / "copy") == found


def node(name, op, *inputs):
    return Node(name, op, inputs, Message(b""))


def labelled(nodes, tensor):
    part = Walk(nodes, lambda one: one.op.encode()).part([tensor])
    return part.tensor(tensor), part.loops


@given(st.permutations(range(40)), st.data())
@settings(max_examples=50)
def test_names_and_order_of_nodes_do_not_count(order, data):
    drawn = [
        (data.draw(st.sampled_from("abc")), data.draw(st.lists(st.integers(0, max(0, n - 1)))))
        for n in range(40)
    ]
    plain = [
        node(f"n{n}", op, *(f"n{i}" for i in ins if i < n)) for n, (op, ins) in enumerate(drawn)
    ]
    other = [
        node(f"m{n}", op, *(f"m{i}:0" for i in ins if i < n)) for n, (op, ins) in enumerate(drawn)
    ]
    assert labelled(plain, "n39") == labelled([other[n] for n in order], "m39")


def ring(prefix, length, special):
    """A loop of TensorFlow 1, with one node unlike the others."""
    nodes = [
        node(f"{prefix}merge", "Merge", f"{prefix}start", f"{prefix}next"),
        node(f"{prefix}start", "Const"),
        node(f"{prefix}next", "NextIteration", f"{prefix}{length - 1}"),
    ]
    for n in range(length):
        before = f"{prefix}{n - 1}" if n else f"{prefix}merge"
        nodes.append(node(f"{prefix}{n}", "Odd" if n == special else "Even", before))
    return nodes


def test_loops_count_wherever_they_are_left():
    same = labelled(ring("a", 5, 2), "a0")
    assert labelled(ring("b", 5, 2)[::-1], "b0") == same
    assert labelled(ring("a", 5, 3), "a0") != same
    assert labelled(ring("a", 6, 2), "a0") != same


def test_deep_graphs_and_circles_end():
    deep = [node("0", "Const"), *(node(str(n), "Neg", str(n - 1)) for n in range(1, 30_000))]
    assert labelled(deep, "29999") != labelled(deep, "29998")
    part = Walk([node("a", "Neg", "b"), node("b", "Neg", "a")], lambda _: b"").part(["a"])
    assert part.unfollowed == {"nodes that wait for themselves"}
