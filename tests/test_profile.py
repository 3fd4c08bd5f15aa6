"""Time by operator and XNNPACK's parts: of real files, of events, in builds and in reports."""

from __future__ import annotations

import os
import signal
import zipfile
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import evidence_samples as samples
import numpy as np
import profile_models
import pytest
import tflite_models
import worker_tasks
from hypothesis import given
from hypothesis import strategies as st
from profile_models import APART, chain, split, write
from test_report import report_of, text_of

from edgepack.cache import Cache
from edgepack.engines import delegation, events, litert, profiler
from edgepack.engines.litert import Event, Library, UnavailableError
from edgepack.measure.latency import measure_latency
from edgepack.pipeline import profiling
from edgepack.pipeline.session import Session
from edgepack.records.profile import Coverage, OpCount, OpProfile
from edgepack.records.report import Report
from edgepack.records.settings import Limits
from edgepack.report import markdown, profile, terminal
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs
from edgepack.workers.pool import WorkerPool

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "shared/data"
LAYERS = ("FULLY_CONNECTED",) * 3
PARTED = ("FULLY_CONNECTED", APART, "FULLY_CONNECTED")


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    with WorkerPool("edgepack", 1, Limits(), tmp_path_factory.mktemp("edgepack") / "log") as pool:
        yield pool


def _profile(pool, model, fed):
    return pool.submit(profiler.measure_profile, model, fed).result()


def _coverage(pool, model, fed):
    return pool.submit(delegation.measure_coverage, model, fed).result().coverage


# Files


def test_the_operators_take_about_as_long_as_the_file(pool, tmp_path):
    model, fed = write(tmp_path, chain(*LAYERS)), split(tmp_path)
    found = _profile(pool, model, fed)
    assert not found.reason
    timed = pool.submit(measure_latency, {"m": model}, fed, (), 10).result()
    p50_us = 1000 * timed.latencies["m"].p50_ms
    assert 0.2 * p50_us < found.total_us < 5 * p50_us
    assert found.total_us == pytest.approx(sum(one.mean_us for one in found.ops), rel=1e-4)
    assert sum(one.share for one in found.ops) == pytest.approx(1, abs=1e-3)
    layers = [one for one in found.ops if one.type == "Fully Connected"]
    assert len(layers) == len(LAYERS)
    assert all(one.delegate == "XNNPACK" and one.calls == 1 for one in layers)
    assert min(one.share for one in layers) > 0.1, "three equal layers"
    assert found.types[0].type == "Fully Connected"
    assert found.types[0].count == len(LAYERS)
    assert 1 <= found.invocations <= profiler.MOST
    assert found.hidden_us == sum(one.calls for one in found.ops if one.delegate)


def test_an_operator_that_xnnpack_does_not_take_parts_the_graph(pool, tmp_path):
    model, fed = write(tmp_path, chain(*PARTED)), split(tmp_path)
    covered = _coverage(pool, model, fed)
    assert covered == Coverage(
        delegate="XNNPACK",
        nodes=3,
        delegated=2,
        partitions=2,
        left=(OpCount(type=APART, count=1),),
    )
    found = _profile(pool, model, fed)
    (own,) = (one for one in found.ops if not one.delegate)
    assert (own.type, own.node, own.tensor, own.partition) == (APART, 1, "y1", None)
    assert {one.partition for one in found.ops if one.delegate} == {0, 1}
    order = [one.partition for one in found.ops]
    assert order.index(None) > order.index(0)
    assert order.index(None) < order.index(1)


def test_without_the_delegate_every_operator_is_left(pool, tmp_path):
    content, fed = chain(*PARTED), split(tmp_path)
    with_it = _coverage(pool, write(tmp_path, content), fed)
    without = _coverage(pool, write(tmp_path, content, kernels="builtin"), fed)
    assert without.nodes == with_it.nodes == len(PARTED)
    assert (without.delegate, without.delegated, without.partitions) == ("", 0, 0)
    assert without.left == (
        OpCount(type="FULLY_CONNECTED", count=2),
        OpCount(type=APART, count=1),
    )


def test_the_second_signature_is_seen_by_the_profiler(pool, tmp_path):
    second = chain(*PARTED, size=64)
    content = profile_models.with_second(chain("FULLY_CONNECTED"), second)
    values = np.ones((1, 64), np.float32)
    model, fed = write(tmp_path, content, signature="second"), split(tmp_path, values=values)
    assert _coverage(pool, model, fed) is None
    found = _profile(pool, model, fed)
    assert not found.reason
    assert {one.subgraph for one in found.ops} == {1}
    assert found.coverage == Coverage(
        delegate="XNNPACK",
        nodes=3,
        delegated=2,
        partitions=2,
        left=(OpCount(type=APART, count=1),),
        seen_by="profiler",
    )


def test_samples_of_another_shape_than_the_file_says(pool, tmp_path):
    model = write(tmp_path, chain(APART, APART))
    fed = split(tmp_path, values=np.ones((1, 7), np.float32))
    found = _profile(pool, model, fed)
    assert not found.reason
    assert [one.type for one in found.ops] == [APART, APART]


def test_a_file_without_signatures(pool, tmp_path):
    bare = tflite_models.unpack(chain(*LAYERS))
    bare.signatureDefs = []
    model = write(tmp_path, tflite_models.pack(bare), signature="")
    found = _profile(pool, model, split(tmp_path, name="x"))
    assert not found.reason
    assert found.total_us > 0


def test_the_input_is_what_the_operators_compute_on(tmp_path):
    """Beside time there is nothing to tell by, so this looks at the output."""
    model, values = write(tmp_path, chain("FULLY_CONNECTED")), np.ones((1, 1024), np.float32)
    weights = tflite_models.unpack(Path(model.path).read_bytes()).buffers[1].data
    with litert.Profiled(Library(), model.path, model.signature, 1) as profiled:
        profiled.feed({"input": values})
        profiled.run()
        answer = profiled.read(0, values.nbytes)
    expected = np.frombuffer(bytes(weights), np.float32).reshape(1024, 1024) @ values[0]
    np.testing.assert_allclose(np.frombuffer(answer, np.float32), expected, atol=1e-4)


@pytest.mark.skipif(not DATA.exists(), reason="the published models are not at hand")
@pytest.mark.parametrize(
    ("name", "tensor", "shape", "left"),
    [
        ("kws", "input_1", (49, 10, 1), ("AVERAGE_POOL_2D", "SOFTMAX")),
        ("ic", "input_1_int8", (32, 32, 3), ("AVERAGE_POOL_2D", "SOFTMAX")),
    ],
)
def test_published_int8_files(pool, tmp_path, name, tensor, shape, left):
    content = (DATA / name / "reference_int8.tflite").read_bytes()
    model = write(tmp_path, content, signature="")
    fed = split(tmp_path, tensor, np.zeros((1, *shape), np.float32))
    found, covered = _profile(pool, model, fed), _coverage(pool, model, fed)
    assert not found.reason
    assert covered.partitions == 2
    assert tuple(one.type for one in covered.left) == left
    assert {one.type for one in found.ops if not one.delegate} == set(left)
    assert {one.partition for one in found.ops if one.delegate} == {0, 1}


# What there is no profile of, and why


def test_text_is_not_taken(pool, tmp_path):
    found = _profile(
        pool,
        write(tmp_path, profile_models.measuring_text()),
        split(tmp_path, values=np.array([[b"a"] * 4])),
    )
    assert found.reason == "its inputs are text, which the profiler's interface does not take"
    assert not found.ops


def test_variable_tensors_are_not_taken(pool, tmp_path):
    content = profile_models.variable(chain(*LAYERS))
    found = _profile(pool, write(tmp_path, content, stateful=True), split(tmp_path))
    assert "variable tensors" in found.reason


def test_another_runtime_has_parts_and_no_times(pool, tmp_path):
    pytest.importorskip("tflite_runtime", reason="has wheels for Python 3.11 and older only")
    content = chain("LOGISTIC", APART, "LOGISTIC")
    model = write(tmp_path, content, runtime="tflite-runtime")
    found = _profile(pool, model, split(tmp_path))
    assert found.reason == "tflite-runtime has no profiler that Python can reach"
    assert found.runtime.startswith("tflite-runtime 2.")
    assert _coverage(pool, model, split(tmp_path)).partitions == 2


def test_an_unknown_version_is_not_called(monkeypatch, tmp_path):
    monkeypatch.setattr(litert, "version", lambda _: "2.31.0")
    monkeypatch.setattr(litert.c, "CDLL", lambda _: pytest.fail("loaded"))
    found = profiler.measure_profile(write(tmp_path, chain(*LAYERS)), split(tmp_path))
    assert found.reason == "the profiler of ai-edge-litert 2.31.0 is not known, only those of 2.3"


def test_a_missing_call_is_a_reason(monkeypatch):
    monkeypatch.setitem(litert.CALLS, "ReadMinds", ())
    with pytest.raises(UnavailableError, match="ReadMinds"):
        Library()


def test_a_library_that_does_not_load_is_a_reason(monkeypatch, tmp_path):
    broken = tmp_path / "libLiteRt.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setattr(litert, "_path", lambda: broken)
    with pytest.raises(UnavailableError, match="the library of ai-edge-litert"):
        Library()


def test_what_the_runtime_refuses_is_a_reason(tmp_path):
    path = tmp_path / "no.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    refused = pytest.raises(UnavailableError, match="LiteRtCreateCompiledModel: failed")
    with refused, litert.Profiled(Library(), str(path), "", 1):
        pass


# Events


def _own(name, start, elapsed, node, subgraph=0):
    return Event(name, events.OWN, start, elapsed, node, subgraph)


def _inside(name, elapsed, node, subgraph=0):
    return Event(name, 8, 0, elapsed, node, subgraph)


def _run(start, elapsed, subgraph=0):
    return Event(events.SUBGRAPH, events.PLAIN, start, elapsed, 0, subgraph)


LOOP = [  # as ai-edge-litert 2.3.0 recorded a WHILE between two fully connected layers, shortened
    Event("LiteRT::Run[buffer registration]", events.PLAIN, 0, 93, 0, 0),
    _run(109, 432),
    _inside("Fully Connected (NC, F32) GEMM", 5, 0),
    _own("WHILE", 124, 416, 1),
    Event("AllocateTensors", events.PLAIN, 125, 14, 0, 1),
    _run(180, 13, 1),
    _own("LESS", 193, 0, 0, 1),
    Event("Invoke", 32, 2**63, 2**32, -1, 1),
    _run(206, 20, 2),
    _own("ADD", 220, 3, 0, 2),
    _inside("Add (ND)", 4, 0, 2),
    _run(239, 13, 1),
    _own("LESS", 251, 1, 0, 1),
    _run(266, 16, 2),
    _own("ADD", 278, 1, 0, 2),
    _inside("Add (ND)", 6, 0, 2),
    _inside("Static Reshape (NC)", 0, 0),
    _inside("Fully Connected (NC, F32) GEMM", 7, 1),
]


def test_a_loop_counts_what_it_runs_and_not_itself():
    (ledger,) = events.undisturbed([LOOP])
    found = events.operators([ledger], ())
    told = [(one.type, one.subgraph, one.partition, one.calls, one.mean_us) for one in found]
    assert told == [
        ("Fully Connected", 0, 0, 1, 5),
        ("WHILE", 0, None, 1, 0),
        ("LESS", 1, None, 2, 1),
        ("ADD", 2, None, 2, 4),
        ("Add", 2, 0, 2, 10),
        ("Static Reshape", 0, 1, 1, 0),
        ("Fully Connected", 0, 1, 1, 7),
    ]
    assert ledger.total == 27
    assert events.hidden(found) == 5


def test_what_disturbed_one_invocation_does_not_count():
    calm = [_own("ADD", 0, 10, 0)]
    ledgers = events.undisturbed([*[calm] * 9, [_own("ADD", 0, 16_000, 0)]])
    (found,) = events.operators(ledgers, ())
    assert (len(ledgers), found.mean_us) == (9, 10)


elapsed = st.integers(0, 10**6)
straight = st.lists(st.tuples(st.booleans(), elapsed), min_size=1, max_size=30)


@given(straight)
def test_no_time_of_a_straight_graph_is_lost(nodes):
    recorded, clock = [_run(0, 10**9)], 0
    for number, (own, time) in enumerate(nodes):
        recorded.append(_own("ADD", clock, time, number) if own else _inside("Add", time, 0))
        clock += time if own else 0
    ledgers = events.undisturbed([recorded])
    found = events.operators(ledgers, ())
    assert sum(one.mean_us for one in found) == pytest.approx(sum(t for _, t in nodes), rel=1e-4)
    assert len(found) == len(nodes), "each of them is told apart"
    assert sum(one.count for one in events.types(found)) == len(nodes)
    assert all(a.mean_us >= b.mean_us for a, b in pairwise(events.types(found)))


# Coverage of nodes as an interpreter lists them


def _node(name, inputs, outputs):
    return {"op_name": name, "inputs": np.array(inputs), "outputs": np.array(outputs)}


def test_nodes_between_a_delegates_inputs_and_outputs_are_its_own():
    nodes = [
        _node("CONV_2D", [0, 1], [10]),
        _node("ADD", [10, 0], [11]),
        _node("WHILE", [11, -1], [12, -1]),
        _node("CONV_2D", [12, 1], [13]),
        _node("ADD", [13, 10], [14]),
        _node("DELEGATE", [0, 1], [10, 11]),
        _node("DELEGATE", [12, 1, 10], [14]),
    ]
    found = delegation.covered(nodes, "XNNPACK")
    assert (found.nodes, found.delegated, found.partitions) == (5, 4, 2)
    assert found.left == (OpCount(type="WHILE", count=1),)


def test_nodes_that_assign_a_variable_end_in_no_tensor():
    """As ai-edge-litert 2.3.0 lists a counter; the profiler sees it run these three itself."""
    nodes = [
        _node("CALL_ONCE", [], []),
        _node("VAR_HANDLE", [], [2]),
        _node("READ_VARIABLE", [2], [3]),
        _node("ADD", [3, 1], [4]),
        _node("ASSIGN_VARIABLE", [2, 4], []),
        _node("READ_VARIABLE", [2], [5]),
        _node("ADD", [0, 5], [6]),
        _node("DELEGATE", [], [2]),
        _node("DELEGATE", [1, 2, 3], []),
        _node("DELEGATE", [0, 5], [6]),
    ]
    found = delegation.covered(nodes, "XNNPACK")
    assert (found.nodes, found.delegated, found.partitions) == (7, 4, 3)
    assert found.left == (
        OpCount(type="READ_VARIABLE", count=2),
        OpCount(type="CALL_ONCE", count=1),
    )


def test_coverage_of_a_graph_that_no_delegate_took_is_none():
    nodes = [_node("ASSIGN_VARIABLE", [0, 1], []), _node("ADD", [1, 1], [2])]
    assert delegation.covered(nodes, "").delegated == 0


# In a build


@pytest.fixture
def session(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    with Session(Cache(tmp_path / "cache"), Limits(), lambda _: None) as session:
        yield session


def _profiled(session, directory):
    model, fed = write(directory, chain(*PARTED)), split(directory)
    built = SimpleNamespace(model=model, evidence=samples.variant())
    subjects = SimpleNamespace(built=(built,), fed=fed)
    plan = SimpleNamespace(versions=SimpleNamespace(runtime="ai-edge-litert 2.3.0"))
    (found,) = profiling.profiled(session, plan, subjects, (built.evidence,))
    return found.profile


def test_a_profile_is_taken_once(session, tmp_path):
    first = _profiled(session, tmp_path)
    assert first.coverage.partitions == 2
    assert first.total_us > 0
    told = []
    session.emit = told.append
    session.cache = Cache(session.cache.root)
    assert _profiled(session, tmp_path) == first
    assert not told
    assert session.cache.hits == ["coverage", "profile"]


def test_the_death_of_the_worker_is_a_reason(session, tmp_path, monkeypatch):
    monkeypatch.setattr(profiler, "measure_profile", worker_tasks.die_profiling)
    found = _profiled(session, tmp_path)
    assert signal.Signals.SIGSEGV.name in found.reason
    assert found.coverage.partitions == 2, "seen before"
    assert not found.ops
    monkeypatch.undo()
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    assert _profiled(session, tmp_path).ops, "a death is not kept in the cache"


def test_what_was_not_run_has_no_profile(session):
    evidence = samples.variant(not_run="it needs Select-TF ops")
    built = SimpleNamespace(evidence=evidence)
    subjects = SimpleNamespace(built=(built,), fed=None)
    assert profiling.profiled(session, None, subjects, (evidence,)) == (evidence,)


@pytest.mark.slow
def test_the_demo_tells_of_every_variant_and_keeps_it_out_of_the_bundle(edgepack, tmp_path):
    done = edgepack("build", "--demo", "--output", tmp_path, "--verbose")
    assert done.returncode == 0, done.stderr
    report = Report.model_validate_json((tmp_path / "report.json").read_bytes())
    with zipfile.ZipFile(tmp_path / report.bundle.path) as archive:
        assert "_us" not in archive.read("manifest.json").decode()
        assert not [name for name in archive.namelist() if "profile" in name]
        files = {Path(n).stem: archive.read(n) for n in archive.namelist() if n.endswith(".tflite")}
    for one in report.evidence.variants:
        found, p50_us = one.profile, 1000 * one.latency.p50_ms
        assert not found.reason
        assert found.total_us < 5 * p50_us
        assert found.total_us + found.hidden_us > 0.2 * p50_us
        assert found.coverage.delegate == one.latency.delegate == "XNNPACK"
        nodes = len(graphs(root(_file(files, one), schema.IDENTIFIER))[0].operators)
        assert found.coverage.nodes == nodes
        assert f"{one.variant}: time by operator" in (tmp_path / "report.md").read_text()
    assert "Time by operator, " in done.stdout


def _file(files, evidence):
    import hashlib

    (found,) = (f for f in files.values() if hashlib.sha256(f).hexdigest() == evidence.sha256)
    return found


# In reports


def _report(*variants):
    return report_of(samples.evidence(*variants), samples.settings())


def test_the_terminal_has_the_ten_costliest_of_the_quickest_variant():
    slow = samples.variant("float16", profile=samples.profile(), latency=samples.latency(9.0))
    text = text_of(terminal.render(_report(slow, samples.variant(profile=samples.profile()))), 80)
    assert "Time by operator, int8:" in text
    assert "Time by operator, float16:" not in text
    rows = [line for line in text.splitlines() if " µs " in line and line.endswith("%")]
    assert len(rows) == profile.TOP
    assert "12.5 µs 20.7 %" in rows[0]
    assert max(map(len, text.splitlines())) <= 80


def test_a_remark_is_made_once_for_all_that_it_holds_for():
    both = (samples.variant(name, profile=samples.profile()) for name in ("float16", "int8"))
    (said,) = profile.remarks(_report(*both))
    assert said == (
        "float16, int8: 11 of 12 operators run on XNNPACK, in 2 partitions, all but AVERAGE_POOL_2D"
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"delegate": "", "delegated": 0, "partitions": 0}, "none of its 12 operators runs"),
        ({"partitions": 3}, "12 of 12 operators run on XNNPACK, in 3 partitions"),
        (
            {"delegated": 1, "left": tuple(OpCount(type=f"T{n}", count=n) for n in range(1, 7))},
            "in one partition, all but T1, 2 T2, 3 T3, 4 T4, 2 more types",
        ),
    ],
)
def test_coverage_in_words(fields, said):
    given = {"delegate": "XNNPACK", "nodes": 12, "delegated": 12, "partitions": 1}
    found = Coverage(**(given | fields))
    one = samples.variant(profile=samples.profile(coverage=found))
    assert said in "\n".join(profile.remarks(_report(one)))


def test_a_graph_in_one_part_is_nothing_to_remark():
    whole = Coverage(delegate="XNNPACK", nodes=12, delegated=12, partitions=1)
    report = _report(samples.variant(profile=samples.profile(coverage=whole)))
    assert not list(profile.remarks(report))
    assert "12 of 12 operators run on XNNPACK, in one partition" in markdown.render(report)


def test_the_reason_is_said_where_times_would_be():
    none = OpProfile(runtime="tflite-runtime 2.14.0", threads=1, reason="it has none")
    report = _report(samples.variant(profile=none))
    for text in (text_of(terminal.render(report)), markdown.render(report)):
        assert "int8: no time by operator: it has none" in text
        assert "Time by operator" not in text


def test_hostile_names_stay_in_their_cells():
    (first, *rest) = samples.profile().ops
    name = "x" * 120 + "\x1b[2J|[red]<b>"
    hostile = first.model_copy(update={"name": name, "delegate": "", "tensor": name})
    found = samples.profile(ops=(hostile, *rest))
    report = _report(samples.variant(profile=found))
    text = text_of(terminal.render(report), 80)
    assert "\x1b" not in text + markdown.render(report)
    assert max(map(len, text.splitlines())) <= 80
    assert "<b>" not in markdown.render(report)


@pytest.mark.parametrize(
    ("microseconds", "said"),
    [(0.0, "< 0.1 µs"), (0.1, "0.10 µs"), (6.25, "6.25 µs"), (999, "999 µs"), (3700, "3.70 ms")],
)
def test_times(microseconds, said):
    assert profile.time(microseconds) == said
