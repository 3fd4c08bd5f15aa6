"""One file run by another Python's runtime; its death is an answer too."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.records.runtimes import ReplayAnswer
from edgepack.tflite import schema
from edgepack.workers.death import ended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.records.runtimes import ReplayJob

Versions = dict[str, list[int]]  # by operator
REMOTE = Path(__file__).with_name("remote.py")  # run, and not imported: it needs NumPy
SECONDS = 600.0
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def run(python: Path, job: ReplayJob, directory: Path, environment: dict[str, str]) -> ReplayAnswer:
    """What the runtime of an environment makes of a job.

    Args:
        python: the environment's program.
        job: what to run.
        directory: takes the job's file.
        environment: variables of the process.
    """
    return run_all(python, (job,), directory, environment)[0]


def run_all(
    python: Path, jobs: Sequence[ReplayJob], directory: Path, environment: dict[str, str]
) -> tuple[ReplayAnswer, ...]:
    """What the runtime of an environment makes of each of some jobs, in one process.

    One that brings the process down is answered by that, and the rest go to a new one.
    """
    answers: list[ReplayAnswer] = []
    while len(answers) < len(jobs):
        answers += _answers(python, jobs[len(answers) :], directory, environment)
    return tuple(answers)


def _answers(
    python: Path, jobs: Sequence[ReplayJob], directory: Path, environment: dict[str, str]
) -> list[ReplayAnswer]:
    """At least one: those of the jobs up to the first that brings the process down."""
    asked = [directory / f"job-{number}.json" for number, _ in enumerate(jobs)]
    for path, job in zip(asked, jobs, strict=True):
        path.write_text(job.model_dump_json(), encoding="utf-8")
    try:
        done = subprocess.run(  # noqa: S603 - the program that was installed for this
            [python, "-I", REMOTE, *asked],
            capture_output=True,
            timeout=SECONDS,
            check=False,
            env=environment | QUIET,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        told = list(_told(error.stdout or b""))
        return [*told, failed(f"no answer within {SECONDS:g} seconds")][: len(jobs)]
    told = list(_told(done.stdout))
    return [*told, failed(death(done.returncode, done.stderr))][: len(jobs)]


def _told(printed: bytes) -> Iterator[ReplayAnswer]:
    """Answers among what libraries print."""
    for line in printed.splitlines():
        if line.startswith(b"{"):
            with suppress(ValidationError):
                yield ReplayAnswer.model_validate_json(line)


def registered(python: Path) -> Versions:
    """Which versions of which builtin operators the runtime of an environment knows.

    Raises:
        subprocess.SubprocessError: it does not answer.
    """
    done = subprocess.run(  # noqa: S603 - the program that was installed for this
        [python, "-I", REMOTE], capture_output=True, timeout=SECONDS, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {schema.operator(int(number)): versions for number, versions in found.items()}


def failed(reason: str) -> ReplayAnswer:
    """The answer of a process that gave none."""
    return ReplayAnswer(python="", loaded=False, reason=reason)


def death(code: int, stderr: bytes) -> str:
    """How a process ended, with its last words."""
    if code < 0:
        return f"it {ended(code)}"
    said = stderr.decode(errors="replace").strip().splitlines()
    return f"it {ended(code)}: {said[-1] if said else 'no reason was given'}"
