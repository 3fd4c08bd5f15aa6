"""The arena as a release of TFLite Micro itself says it, run here on the file."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.errors import OutputError, RuntimeInstallError
from edgepack.micro.arena import estimated
from edgepack.micro.operators import operators
from edgepack.records.base import Record
from edgepack.records.micro import ArenaSize
from edgepack.tflite import subgraphs
from edgepack.workers.death import ended
from edgepack.workers.environment import inherited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgepack.runtimes.environment import Environments
    from edgepack.runtimes.requirement import Requirement
    from edgepack.tflite.graph import Graph

REMOTE = Path(__file__).with_name("remote.py")  # run, and not imported: it needs NumPy
SECONDS = 120.0
LEAST_ARENA, MOST_ARENA = 1 << 26, 1 << 30  # offered: TFLite Micro counts in 32 bits with a sign
LINES, LENGTH = 2, 300  # of its own words
DETAIL = "run on this machine, where a pointer has 8 bytes, with TFLite Micro's own kernels"
_SIZE = re.compile(
    rb"^\[RecordingMicroAllocator\] Arena allocation (total|head|tail) (\d{1,10}) bytes\r?$",
    re.MULTILINE,
)
SizesSaid = dict[str, int]


class MicroAnswer(Record):
    """The last line that the program prints."""

    loads: bool
    ran: bool
    reason: str
    least: int = 0  # bytes in which it starts


def arena(path: Path, environments: Environments, runtime: Requirement | None = None) -> ArenaSize:
    """What TFLite Micro takes for a file: measured where a release can be had, else estimated.

    Args:
        path: the .tflite.
        environments: where the release is installed once.
        runtime: the release; the one that the operators were asked of by default.

    Raises:
        UsageError: the file is not there or not readable.
        ModelError: it is not a whole .tflite.
    """
    graphs, wanted = subgraphs.read(path), runtime or operators().runtime
    if (guess := estimated(graphs)).bytes > MOST_ARENA:
        return _instead(guess, f"more than the {MOST_ARENA} bytes that are offered")
    try:
        python = environments.python(wanted)
    except (RuntimeInstallError, OutputError) as error:
        return _instead(guess, error.message)
    return _measured(python, path, graphs, guess, wanted)


def _measured(
    python: Path, path: Path, graphs: Sequence[Graph], guess: ArenaSize, wanted: Requirement
) -> ArenaSize:
    offered = min(MOST_ARENA, max(LEAST_ARENA, 2 * guess.bytes))
    words = (str(path), str(offered), str(len(graphs[0].inputs)))
    try:
        done = subprocess.run(  # noqa: S603 - the program that was installed for this
            [python, "-I", REMOTE, *words],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            env=inherited(os.environ, ()),
        )
    except subprocess.TimeoutExpired:
        return _instead(guess, f"{wanted} gave no answer within {SECONDS:g} seconds")
    except OSError as error:
        return _instead(guess, f"{wanted} cannot be started: {error.strerror}")
    return _judged(done, guess, wanted)


def _judged(
    done: subprocess.CompletedProcess[bytes], guess: ArenaSize, wanted: Requirement
) -> ArenaSize:
    """The figure, or the guess with what came between."""
    try:
        answer = MicroAnswer.model_validate_json(done.stdout.splitlines()[-1])
    except (IndexError, ValidationError):
        return _instead(guess, f"{wanted} {ended(done.returncode)}")
    if not answer.loads:
        return _instead(guess, f"{wanted} cannot be imported: {answer.reason}")
    if not answer.ran:
        said = refusal(done.stderr) or answer.reason
        return _instead(guess, f"{wanted} refuses the file", said)
    found = sizes_said(done.stderr)
    if found is None:
        return _instead(guess, f"{wanted} did not say what it took")
    return _record(found, answer.least, wanted)


def _record(found: Mapping[str, int], least: int, wanted: Requirement) -> ArenaSize:
    size = max(found["total"], least)
    return ArenaSize(
        bytes=size,
        method="measured",
        runtime=str(wanted),
        planned=found["head"],
        kept=found["tail"],
        starting=size - found["total"],
        detail=DETAIL,
    )


def _instead(guess: ArenaSize, reason: str, refused: str = "") -> ArenaSize:
    return guess.model_copy(update={"reason": reason, "refused": refused})


def sizes_said(stderr: bytes) -> SizesSaid | None:
    """The sizes that TFLite Micro printed last; nothing where they are not whole.

    The total is that of the other two, or something else was printed into it.
    """
    found = {name.decode(): int(size) for name, size in _SIZE.findall(stderr)}
    whole = found.keys() == {"total", "head", "tail"}
    return found if whole and found["total"] == found["head"] + found["tail"] else None


def refusal(stderr: bytes) -> str:
    """TFLite Micro's own words, in one line."""
    text = stderr.decode("utf-8", "replace")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return "; ".join([line for line in lines if line.isprintable() and line][:LINES])[:LENGTH]
