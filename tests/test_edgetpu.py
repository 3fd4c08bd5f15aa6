"""The Edge TPU: what the published list says of a file, and what its compiler made of it.

The compiler cannot be installed here. A stand-in prints logs in its format, or fails as it does.
"""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace

import evidence_samples as samples
import pytest
import tflite_models as made
from delegate_models import chain, file
from hypothesis import given
from hypothesis import strategies as st

from edgepack.edgetpu import compiler, log
from edgepack.edgetpu.fit import NOT_QUANTIZED, fit
from edgepack.errors import ModelError, OutputError, UsageError
from edgepack.files import sha256_bytes
from edgepack.pipeline import devices
from edgepack.pipeline.measuring import Measured
from edgepack.records.edgetpu import EdgeTpuCompiled, OpStatus
from edgepack.report import delegates as report

SCALE = made.scaled([0.5], [0])

# As version 16.0 lays its log out in public issues.
HEAD = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.
"""
ALL_MAPPED = f"""{HEAD}
Model compiled successfully in 31 ms.

Input model: model.tflite
Input size: 5.10MiB
Output model: ./model_edgetpu.tflite
Output size: 6.28MiB
On-chip memory used for caching model parameters: 6.03MiB
On-chip memory remaining for caching model parameters: 1.21MiB
Off-chip memory used for streaming uncached model parameters: 0.00B
Number of Edge TPU subgraphs: 1
Total number of operations: 3
Operation log: ./model_edgetpu.log

Operator                       Count      Status

CONV_2D                        2          Mapped to Edge TPU
SOFTMAX                        1          Mapped to Edge TPU
Compilation child process completed within timeout period.
Compilation succeeded!
"""
SOME_MAPPED = f"""{HEAD}
Model compiled successfully in 31 ms.

Number of Edge TPU subgraphs: 1
Total number of operations: 21
Operation log: ./model_edgetpu.log

Model successfully compiled but not all operations are supported by the Edge TPU.
Number of operations that will run on Edge TPU: 7
Number of operations that will run on CPU: 14

Operator                       Count      Status

LEAKY_RELU                     11         Operation not supported
QUANTIZE                       1          Mapped to Edge TPU
QUANTIZE                       1          Operation is otherwise supported, but not mapped due to some unspecified limitation
CONV_2D                        6          Mapped to Edge TPU
CONV_2D                        2          More than one subgraph is not supported
Compilation child process completed within timeout period.
Compilation succeeded!
"""  # noqa: E501
FAILED = f"""{HEAD}ERROR: Node number 3 (CONV_2D) failed to prepare.

Compilation failed: Model failed in Tflite interpreter.
Compilation child process completed within timeout period.
Compilation failed!
"""
NOT_TAKEN = """Edge TPU Compiler version 15.0.340273435
Invalid model: model.tflite
Model not quantized
"""
COMPILED = b"compiled"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(chain("TANH", "LOGISTIC", dtype="int8", quantization=SCALE))
    return path


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a program on PATH that prints a text, writes a file, sleeps and ends."""

    def install(printed="", *, code=0, writes=COMPILED, then=""):
        raw = printed.encode() if isinstance(printed, str) else printed
        directory = tmp_path / "bin"
        directory.mkdir(exist_ok=True)
        program = directory / compiler.PROGRAM
        lines = (
            f"#!{sys.executable}",
            "import os, subprocess, sys, time, pathlib",
            "out = pathlib.Path(sys.argv[sys.argv.index('--out_dir') + 1])",
            "assert '--show_operations' in sys.argv",
            "model = pathlib.Path(sys.argv[-1])",
            "assert model.read_bytes()[4:8] == b'TFL3'",
            f"sys.stdout.buffer.write({raw!r})",
            "sys.stdout.flush()",
            f"writes = {writes!r}",
            "writes is None or (out / f'{model.stem}_edgetpu.tflite').write_bytes(writes)",
            then,
            f"sys.exit({code})",
        )
        program.write_text("\n".join(lines), encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
        return program

    return install


# by the published list


def test_a_whole_file(model):
    found = fit(model)
    assert (found.mapped, found.operators, found.share) == (2, 2, 1.0)
    assert (found.integer_only, found.static, found.fits_on_chip) == (True, True, True)
    assert (found.inputs, found.outputs, found.faults) == (("int8",), ("int8",), ())
    assert found.size_bytes == model.stat().st_size
    assert found.compiled is None
    assert found.not_compiled.why == "it was not compiled"


def test_the_share_before_the_first_unsupported_operator(tmp_path):
    path = tmp_path / "a.tflite"
    names = ("TANH", "LOGISTIC", "RELU", "LEAKY_RELU", "TANH")
    path.write_bytes(chain(*names, dtype="int8", quantization=SCALE))
    found = fit(path)
    assert (found.mapped, found.operators, found.share) == (3, 5, 0.6)
    assert {one.operator: one.why for one in found.unsupported} == {
        "LEAKY_RELU": "not on its list",
        "TANH": "behind the first node that is not taken",
    }


def test_float_inputs_are_quantized_before_and_end_nothing(tmp_path):
    """As the compiler does it: its logs leave such a QUANTIZE, and map what follows."""
    path = tmp_path / "a.tflite"
    inner = {"dtype": "int8", "quantization": SCALE}
    tensors = [made.tensor("x"), *(made.tensor(f"t{n}", **inner) for n in "abc"), made.tensor("y")]
    names = ("QUANTIZE", "TANH", "LOGISTIC", "DEQUANTIZE")
    path.write_bytes(file([(name, [n], [n + 1]) for n, name in enumerate(names)], tensors))
    found = fit(path)
    assert (found.mapped, found.operators) == (2, 4)
    assert (found.integer_only, found.faults) == (False, ())
    assert (found.inputs, found.outputs) == (("float32",), ("float32",))
    assert {one.operator for one in found.unsupported} == {"QUANTIZE", "DEQUANTIZE"}


def test_a_float_model_is_not_for_it(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(chain("TANH"))
    found = fit(path)
    assert (found.mapped, found.integer_only, found.faults) == (0, False, (NOT_QUANTIZED,))


@pytest.mark.parametrize("open_by", ["shape_signature", "shape"])
def test_an_open_dimension_is_said(tmp_path, open_by):
    path = tmp_path / "a.tflite"
    fields = {"shapeSignature": [-1, 4]} if open_by == "shape_signature" else {"shape": (-1, 4)}
    path.write_bytes(chain("TANH", dtype="int8", quantization=SCALE, **fields))
    found = fit(path)
    assert (found.mapped, found.static) == (1, False)
    assert found.faults == ("t0 has an open dimension, and Coral asks for static shapes",)
    assert "asks for static shapes; it was not compiled" in report.edgetpu({"int8": found})


def test_a_file_larger_than_the_chip_is_said(tmp_path):
    path = tmp_path / "a.tflite"
    data = chain("TANH", dtype="int8", quantization=SCALE)
    path.write_bytes(data + bytes(8 * 2**20 + 1 - len(data)))
    assert not fit(path).fits_on_chip


def test_what_is_no_model_is_an_error(tmp_path):
    (tmp_path / "a.tflite").write_bytes(b"nothing")
    with pytest.raises(ModelError):
        fit(tmp_path / "a.tflite", tmp_path / "net_edgetpu.tflite")
    with pytest.raises(UsageError):
        fit(tmp_path / "none.tflite")


# by the compiler


def test_an_absent_compiler_is_said(model, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = fit(model, tmp_path / "out" / "net_edgetpu.tflite")
    assert found.compiled is None
    assert found.not_compiled == compiler.ABSENT
    assert "edgetpu_compiler is not on PATH" in found.not_compiled.why
    assert found.mapped == 2
    assert not (tmp_path / "out").exists()
    assert "not on PATH" in report.edgetpu({"int8": found})


def test_what_the_compiler_says_is_kept(model, tmp_path, stand_in):
    stand_in(ALL_MAPPED)
    found = fit(model, tmp_path / "out" / "net_edgetpu.tflite")
    done = found.compiled
    assert found.not_compiled is None
    assert done.version == "16.0.384591198"
    assert (done.mapped, done.total, done.subgraphs) == (3, 3, 1)
    assert done.path == str(tmp_path / "out" / "net_edgetpu.tflite")
    assert (done.sha256, done.size_bytes) == (sha256_bytes(COMPILED), len(COMPILED))
    assert (done.on_chip, done.off_chip) == ("6.03MiB", "0.00B")
    assert done.log == ALL_MAPPED
    assert "int8: 3 of 3 mapped by edgetpu\\_compiler 16.0" in report.edgetpu({"int8": found})


def test_each_status_is_kept(model, tmp_path, stand_in):
    stand_in(SOME_MAPPED)
    done = fit(model, tmp_path / "net_edgetpu.tflite").compiled
    assert (done.mapped, done.total) == (7, 21)
    kept = [(one.operator, one.count, one.mapped) for one in done.operators]
    assert kept == [
        ("LEAKY_RELU", 11, False),
        ("QUANTIZE", 1, True),
        ("QUANTIZE", 1, False),
        ("CONV_2D", 6, True),
        ("CONV_2D", 2, False),
    ]
    assert done.operators[0].status == "Operation not supported"


def test_a_new_file_takes_the_place_of_an_old_one(model, tmp_path, stand_in):
    (tmp_path / "net_edgetpu.tflite").write_bytes(b"of another day")
    stand_in(ALL_MAPPED)
    assert fit(model, tmp_path / "net_edgetpu.tflite").compiled.sha256 == sha256_bytes(COMPILED)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ({"printed": FAILED, "code": 1}, "ended with code 1: Compilation failed: Model failed"),
        ({"printed": FAILED, "writes": None}, "wrote no file: Compilation failed: Model failed"),
        ({"printed": NOT_TAKEN, "writes": None}, "wrote no file: Model not quantized"),
        ({"printed": "", "code": 3}, "ended with code 3: no reason was given"),
        ({"printed": ALL_MAPPED, "writes": b""}, "wrote no file"),
        ({"printed": "hello\n\x00\n"}, "is not its log: \x00"),
        ({"printed": b"\xff\xfe"}, "is not its log"),
        ({"printed": HEAD}, "is not its log"),
        ({"printed": ALL_MAPPED.removeprefix(HEAD)}, "is not its log"),
        ({"printed": ALL_MAPPED.replace("operations: 3", "operations: 4")}, "sums in the log"),
        ({"printed": HEAD, "then": "os.kill(os.getpid(), 11)"}, "died by SIGSEGV"),
    ],
)
def test_a_failure_is_an_answer(model, tmp_path, stand_in, behaviour, why):
    old = tmp_path / "net_edgetpu.tflite"
    old.write_bytes(b"of another day")
    stand_in(**behaviour)
    found = fit(model, tmp_path / "net_edgetpu.tflite")
    assert found.compiled is None
    assert why in found.not_compiled.why
    assert found.mapped == 2
    assert old.read_bytes() == b"of another day"


@pytest.mark.parametrize("compiles", [True, False])
def test_a_build_leaves_no_compiled_file_of_an_earlier_one(model, tmp_path, stand_in, compiles):
    stand_in(ALL_MAPPED if compiles else FAILED, writes=COMPILED if compiles else None)
    old = tmp_path / "edgetpu/int8_edgetpu.tflite"
    old.parent.mkdir()
    old.write_bytes(b"of another day")
    session = SimpleNamespace(tell=lambda *_: None)
    plan = SimpleNamespace(
        targets=(samples.target(platform="edgetpu"),), settings=SimpleNamespace(output=tmp_path)
    )
    evidence = samples.evidence(samples.variant())
    built = (SimpleNamespace(evidence=evidence.variants[0], file=SimpleNamespace(path=model)),)
    found = devices.look(session, plan, Measured(None, None, None, built, evidence, None))
    assert bool(found.evidence.variants[0].edgetpu.compiled) == compiles
    assert old.exists() == compiles
    assert not compiles or old.read_bytes() == COMPILED


def test_the_version_of_a_compiler_that_failed_is_kept(model, tmp_path, stand_in):
    stand_in(FAILED, writes=None)
    kept = fit(model, tmp_path / "net_edgetpu.tflite").not_compiled
    assert (kept.version, kept.log) == ("16.0.384591198", FAILED)


def test_a_compiler_that_hangs_is_stopped_with_its_child(model, tmp_path, stand_in):
    sleeper = "subprocess.Popen([sys.executable, '-c', CHILD]); time.sleep(60)"
    mark = tmp_path / "mark"
    child = f"import time; time.sleep(2); open({str(mark)!r}, 'w')"
    stand_in(HEAD, then=f"CHILD = {child!r}\n{sleeper}")
    begin = time.monotonic()
    found = fit(model, tmp_path / "net_edgetpu.tflite", seconds=1)
    assert found.not_compiled.why == "edgetpu_compiler did not end within 1 seconds"
    assert found.not_compiled.version == "16.0.384591198"
    assert time.monotonic() - begin < 30
    time.sleep(2)
    assert not mark.exists()


def test_the_compiler_gets_no_secret(model, tmp_path, stand_in, monkeypatch):
    monkeypatch.setenv("CI_TOKEN", "secret")
    stand_in(ALL_MAPPED, then="assert 'CI_TOKEN' not in os.environ")
    assert fit(model, tmp_path / "net_edgetpu.tflite").compiled


def test_a_program_that_cannot_run_is_an_answer(model, tmp_path, stand_in):
    stand_in().write_text("#!/no/such/interpreter\n", encoding="utf-8")
    assert "it cannot be run: " in fit(model, tmp_path / "net_edgetpu.tflite").not_compiled.why


def test_a_directory_that_cannot_be_written_is_an_error(model, tmp_path, stand_in):
    stand_in(ALL_MAPPED)
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    with pytest.raises(OutputError):
        fit(model, tmp_path / "out" / "net_edgetpu.tflite")


# its log

words = st.text(st.characters(categories=["Lu", "Nd"], include_characters="_"), min_size=1)
statuses = st.one_of(
    st.just(log.MAPPED), st.from_regex(r"[A-Z][a-z]+( [a-z]+){0,4}", fullmatch=True)
)


@given(st.lists(st.tuples(words, st.integers(0, 999_999), statuses), min_size=1), st.booleans())
def test_every_row_of_a_table_is_read(rows, trailing):
    lines = [f"{name:<30} {count:<10} {status}" for name, count, status in rows]
    end = "Compilation succeeded! \n" if trailing else ""
    heading = f"{'Operator':<30} {'Count':<10} Status"
    found = log.parse("\n".join([HEAD, heading, "", *lines, end]))
    assert found.version == "16.0.384591198"
    assert found.operators == tuple(
        OpStatus(operator=name, count=count, status=status, mapped=status == log.MAPPED)
        for name, count, status in rows
    )
    assert found.total == sum(count for _, count, _ in rows)


@given(st.text() | st.text().map(lambda text: f"{SOME_MAPPED}{text}"))
def test_any_text_is_read(text):
    found = log.parse(text)
    assert found.mapped <= found.total


def test_records_survive_json(model, tmp_path, stand_in):
    stand_in(SOME_MAPPED)
    done = fit(model, tmp_path / "net_edgetpu.tflite").compiled
    assert EdgeTpuCompiled.model_validate_json(done.model_dump_json()) == done
