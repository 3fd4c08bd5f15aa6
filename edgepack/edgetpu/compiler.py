"""Runs `edgetpu_compiler`, where it is installed.

It is Google's, for x86-64 Linux, and in no package of Python's; coral.ai/docs/edgetpu/compiler says
how to get it. That it fails or hangs is an answer, and no error.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.edgetpu import log
from edgepack.files import sha256_file, write_atomic
from edgepack.records.edgetpu import EdgeTpuCompiled, NotCompiled
from edgepack.workers.death import ended
from edgepack.workers.environment import inherited

if TYPE_CHECKING:
    from edgepack.edgetpu.log import Log

PROGRAM = "edgetpu_compiler"
SECONDS = 300.0  # its own limit is 180
ENDING = "_edgetpu.tflite"
NAME = "model"  # of the file that it is given
CANNOT_RUN = 126  # as shells say it
MOST_LOG = 200_000  # bytes that are kept
ABSENT = NotCompiled(
    why=f"{PROGRAM} is not on PATH: nothing was compiled, and all is by its published list"
)


def run(path: Path, target: Path, *, seconds: float = SECONDS) -> EdgeTpuCompiled | NotCompiled:
    """Compile a file.

    Args:
        path: the .tflite file.
        target: the compiled file, which takes the place of an earlier one.
        seconds: how long it may take.

    Raises:
        OutputError: the compiled file cannot be written.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return ABSENT
    with tempfile.TemporaryDirectory(prefix="edgepack-edgetpu-") as directory:
        return _compiled(program, path, Path(directory), target, seconds)


def _compiled(
    program: str, path: Path, directory: Path, target: Path, seconds: float
) -> EdgeTpuCompiled | NotCompiled:
    # under a name of its own, so that its log names no path of this machine
    shutil.copyfile(path, directory / f"{NAME}.tflite")
    code, text = _run(program, directory, seconds)
    said, made = log.parse(text), directory / f"{NAME}{ENDING}"
    why = _ended(code, text, seconds) or _odd(said, made, text)
    if why:
        return NotCompiled(why=why, version=said.version, log=text)
    return _kept(made, target, said, text)


def _kept(made: Path, target: Path, said: Log, text: str) -> EdgeTpuCompiled:
    write_atomic(target, made.read_bytes())
    return EdgeTpuCompiled(
        version=said.version,
        path=str(target),
        sha256=sha256_file(target),
        size_bytes=target.stat().st_size,
        mapped=said.mapped,
        total=said.total,
        subgraphs=said.number("subgraphs"),
        operators=said.operators,
        on_chip=said.facts.get("on_chip", ""),
        off_chip=said.facts.get("off_chip", ""),
        log=text,
    )


def _ended(code: int | None, text: str, seconds: float) -> str:
    """How it ended, where that was no good end."""
    if code is None:
        return f"{PROGRAM} did not end within {seconds:g} seconds"
    if code < 0:
        return f"{PROGRAM} {ended(code)}"
    return f"{PROGRAM} {ended(code)}: {_last(text)}" if code else ""


def _odd(said: Log, made: Path, text: str) -> str:
    """What is wrong with what it left behind."""
    if not made.is_file() or not made.stat().st_size:
        return f"{PROGRAM} wrote no file: {_last(text)}"
    if not said.version or not said.operators:
        return f"what {PROGRAM} printed is not its log: {_last(text)}"
    if said.contradicts_itself:
        return f"the table and the sums in the log of {PROGRAM} differ"
    return ""


def _last(text: str) -> str:
    """Its last words that say something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [
        line for line in lines if line.startswith(("ERROR", "Compilation failed:", "Model not"))
    ]
    return (telling or lines or ["no reason was given"])[-1][:300]


def _run(program: str, directory: Path, seconds: float) -> tuple[int | None, str]:
    """Its exit code, None where it took too long, and what it printed.

    It compiles in a child of its own, which goes with it; a file takes what is printed, since a
    pipe would wait for whoever holds it.
    """
    command = [program, "--show_operations", "--out_dir", ".", f"{NAME}.tflite"]
    printed = directory / "printed.txt"
    with printed.open("wb") as file:
        try:
            started = subprocess.Popen(  # noqa: S603 - found on PATH under its own name
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=inherited(os.environ, ()),
                start_new_session=True,
            )
        except OSError as error:
            return CANNOT_RUN, f"ERROR: it cannot be run: {error.strerror}"
        code = _waited(started, seconds)
    return code, _text(printed)


def _waited(started: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return started.wait(timeout=seconds)
    except BaseException as error:
        os.killpg(started.pid, signal.SIGKILL)  # it was not waited for: the group is there
        started.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise


def _text(printed: Path) -> str:
    with printed.open("rb") as file:
        return file.read(MOST_LOG).decode(errors="replace").replace("\r\n", "\n")
