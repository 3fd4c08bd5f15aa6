"""Readers that run without TensorFlow, fed with damaged files: typed errors, soon, in little."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from mutations import mutate, mutate_message, nested, text, varint

from edgepack import inspection
from edgepack.engines import tensorflow
from edgepack.errors import EdgepackError, ModelError
from edgepack.records.settings import Limits
from edgepack.records.stages import SourceModel
from edgepack.savedmodel import checkpoint, identity, reader
from edgepack.tflite import reader as tflite
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
SECONDS = 2
BYTES = 64 << 20
TRACED_EVERY = 40  # tracing memory takes several times as long
MODELS = ("vocabulary", "old", "two_signatures", "with_optimizer")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    pytest.importorskip("tensorflow")
    directory = tmp_path_factory.mktemp("whole")
    command = [sys.executable, HERE / "identity_models.py", directory]
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=dict(os.environ))
    return directory


@pytest.fixture
def damaged(models, tmp_path):
    """Copies that may be written to."""
    return {name: Path(shutil.copytree(models / name, tmp_path / name)) for name in MODELS}


def survives(call, path, traced=False):
    """Call a reader; it may refuse, in time and in little memory."""
    if traced:
        tracemalloc.start()
    started = time.process_time()
    with suppress(EdgepackError):
        call(path)
    took = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1] if traced else 0
    tracemalloc.stop()
    assert took < SECONDS * (4 if traced else 1)
    assert peak < BYTES


def batter(file, times, calls, seed, other=b"", message=False):
    """Damage a file again and again, and read what it belongs to."""
    whole, drawn = file.read_bytes(), random.Random(seed)
    for number in range(times):
        made = mutate_message(drawn, whole) if message else mutate(drawn, whole, other)
        file.write_bytes(made)
        for call, path in calls:
            try:
                survives(call, path, traced=number % TRACED_EVERY == 0)
            except Exception as error:
                raise AssertionError(f"mutant {number} of {file.name}, seed {seed}") from error
    file.write_bytes(whole)


@pytest.mark.parametrize("name", MODELS)
def test_damaged_graphs(damaged, name):
    path = damaged[name]
    other = (damaged["old"] / "saved_model.pb").read_bytes()
    calls = [(reader.read, path), (identity.semantic_digest, path)]
    batter(path / "saved_model.pb", 200, calls, seed=name, other=other)
    batter(path / "saved_model.pb", 60, calls, seed=name, message=True)


def test_damaged_graphs_are_inspected(damaged):
    path = damaged["vocabulary"]
    batter(path / "saved_model.pb", 60, [(inspection.inspect, path)], seed=1)


@pytest.mark.parametrize("name", MODELS)
def test_damaged_indexes_of_variables(damaged, name):
    path = damaged[name]
    file = path / "variables" / "variables.index"
    batter(file, 400, [(checkpoint.entries, path / "variables")], seed=name)
    batter(file, 30, [(identity.semantic_digest, path)], seed=name)


@pytest.mark.parametrize("name", MODELS)
def test_damaged_values_of_variables(damaged, name):
    path = damaged[name]
    file = path / "variables" / "variables.data-00000-of-00001"
    batter(file, 40, [(identity.semantic_digest, path)], seed=name)


@pytest.mark.parametrize("name", ["fingerprint.pb", "keras_metadata.pb"])
def test_damaged_files_beside_the_graph(damaged, name):
    path = damaged["with_optimizer"]
    if not (path / name).exists():
        node = text(4, b"_tf_keras_model") + text(5, b'{"name": "m", "keras_version": "2.11.0"}')
        (path / name).write_bytes(text(1, varint(8) + b"\1" + node))
    batter(path / name, 100, [(reader.read, path)], seed=name)


def test_damaged_tflite_files(tmp_path):
    pytest.importorskip("ai_edge_litert")
    from tflite_models import build, tensor

    operators = [("ADD", (0, 1), (2,)), ("RELU", (2,), (3,))]
    tensors = [tensor("a"), tensor("b", data=True), tensor("c"), tensor("d")]
    file = tmp_path / "model.tflite"
    file.write_bytes(build(tensors, operators, [0], [3]))
    batter(file, 1500, [(tflite.read, file)], seed=2)
    batter(file, 100, [(inspection.inspect, file)], seed=3)


def entry(key, value):
    return text(1, key) + text(2, value)


DEEP = 20_000
DEEPLY = {
    "attributes": text(2, text(1, text(1, b"n") + text(2, b"Op") + text(5, nested(DEEP, 2, 1, 9)))),
    "composite inputs": text(5, entry(b"s", text(1, entry(b"x", nested(DEEP, 5, 2))))),
    "composite outputs": text(5, entry(b"s", text(2, entry(b"x", nested(DEEP, 5, 2))))),
    "structures": text(7, text(2, entry(b"f", text(3, nested(DEEP, 51, 1))))),
    "types": text(7, text(2, entry(b"f", text(4, nested(DEEP, 34, 2))))),
    "objects": text(7, nested(DEEP, 1, 1)),
    "collections": text(4, entry(b"saved_model_assets", nested(DEEP, 5, 1, 2))),
    "infos": text(1, nested(DEEP, 2, 1)),
}


@pytest.mark.parametrize("kind", DEEPLY)
def test_messages_nested_deeply(damaged, kind):
    path = damaged["vocabulary"]
    data = (path / "saved_model.pb").read_bytes()
    start = data.index(b"\x12", 2)
    at = start + 1
    while data[at] & 0x80:
        at += 1
    (path / "saved_model.pb").write_bytes(data[:start] + text(2, data[at + 1 :] + DEEPLY[kind]))
    for call in (reader.read, identity.semantic_digest, inspection.inspect):
        survives(call, path)


def function(name, *nodes):
    return text(1, text(1, text(1, name)) + b"".join(text(3, node) for node in nodes))


def calling(name, called):
    attribute = entry(b"f", text(10, text(1, called)))
    return text(1, name) + text(2, b"PartitionedCall") + text(5, attribute)


def graph_of(functions):
    """A model whose only signature calls the first function."""
    signature = text(5, entry(b"s", text(2, entry(b"y", text(1, b"call:0") + b"\x10\1"))))
    return text(2, text(2, text(1, calling(b"call", b"f0")) + text(2, functions)) + signature)


@pytest.mark.parametrize(
    ("functions", "complete"),
    [
        (b"".join(function(b"f%d" % n, calling(b"c", b"f%d" % (n + 1))) for n in range(5000)), 1),
        (
            b"".join(
                function(b"f%d" % n, *(calling(b"c%d" % i, b"f%d" % (n + 1)) for i in range(20)))
                for n in range(300)
            ),
            1,
        ),
        (function(b"f0", calling(b"c", b"f0")), 0),
        (function(b"f0", calling(b"c", b"f1")) + function(b"f1", calling(b"c", b"f0")), 0),
    ],
    ids=["chain", "ever more calls", "calls itself", "call each other"],
)
def test_functions_that_call_without_end(tmp_path, functions, complete):
    (tmp_path / "saved_model.pb").write_bytes(graph_of(functions))
    for call in (reader.read, identity.semantic_digest):
        survives(call, tmp_path)
    assert identity.identify(tmp_path).complete == bool(complete)


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    limits = Limits(timeout_seconds=60, memory_bytes=6 << 30)
    with WorkerPool("TensorFlow", 1, limits, tmp_path_factory.mktemp("worker") / "log") as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_damaged_models_in_the_worker(worker, damaged, tmp_path, name):
    path, drawn = damaged[name], random.Random(name)
    signature = "serving_default"
    source = SourceModel(path=str(path), tags=("serve",), signature=signature)
    files = ("saved_model.pb", "variables/variables.index")
    whole = {file: (path / file).read_bytes() for file in files}
    for number in range(12):
        file = files[number % 4 == 0]
        (path / file).write_bytes(mutate_message(drawn, whole[file]))
        with suppress(ModelError):
            worker.submit(tensorflow.convert, source, tmp_path / "made.tflite").result()
        (path / file).write_bytes(whole[file])
