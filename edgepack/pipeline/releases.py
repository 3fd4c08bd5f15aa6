"""Recorded vectors fed to files on releases of runtimes: loads or not, agrees or not, how fast."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from edgepack.records.runtimes import ReplayedTensor, ReplayJob, RuntimeRun
from edgepack.records.settings import Limits
from edgepack.runtimes import runtime
from edgepack.workers.environment import inherited
from edgepack.workers.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edgepack.records.runtimes import ReplayAnswer
    from edgepack.records.tensors import Signature, Tensor
    from edgepack.records.vectors import Differences, VariantVectors, VectorTensor
    from edgepack.runtimes.environment import Environments
    from edgepack.runtimes.requirement import Requirement
    from edgepack.runtimes.runtime import Runtime

FOLDER = "runtimes"  # of the cache
INSTALLS = 4  # at a time: they wait for the network
FEWEST = 30  # invocations that a latency is the median of


@dataclass(frozen=True)
class File:
    """A .tflite, and what it says of its inputs and outputs."""

    path: Path
    signatures: Sequence[Signature]


@dataclass(frozen=True)
class Recording:
    """Files with what they were fed and answered.

    Args:
        root: directory that the vectors' paths start at.
        count: invocations of each file.
        files: by variant.
        entries: vectors by variant.
        scratch: directory for answers.
    """

    root: Path
    count: int
    files: Mapping[str, File]
    entries: Sequence[VariantVectors]
    scratch: Path


@dataclass(frozen=True)
class Manner:
    """How files are run.

    Args:
        threads: of each interpreter.
        jobs: how many run at a time; more than one disturbs latency.
    """

    threads: int = 1
    jobs: int = 1


def run(
    recording: Recording, wanted: Sequence[Requirement], where: Environments, manner: Manner
) -> tuple[RuntimeRun, ...]:
    """Every file on every release.

    Raises:
        RuntimeInstallError: a release cannot be installed.
        OutputError: an environment cannot be written.
    """
    with ThreadPoolExecutor(INSTALLS) as threads:
        made = threads.map(lambda one: runtime.prepared(one, where), wanted)
        installed = dict(zip(wanted, made, strict=True))
    with (
        ThreadPoolExecutor(manner.jobs) as threads,
        WorkerPool("comparison", 1, Limits(), recording.scratch / "log") as pool,
    ):
        one = _One(recording, installed, manner.threads, pool)
        pairs = [(entry, release) for release in wanted for entry in recording.entries]
        return tuple(threads.map(lambda number: one.run(number, *pairs[number]), range(len(pairs))))


@dataclass(frozen=True)
class _One:
    """Runs one file on one release, and compares."""

    found: Recording
    runtimes: dict[Requirement, Runtime]
    threads: int
    pool: WorkerPool

    def run(self, number: int, entry: VariantVectors, release: Requirement) -> RuntimeRun:
        directory = self.found.scratch / str(number)  # a bundle may call a variant ../anything
        directory.mkdir(parents=True)
        job = _job(entry, self.found, directory, self.threads)
        variables = inherited(os.environ, ())
        answer = self.runtimes[release].run(job, directory, variables)
        run = RuntimeRun(
            variant=entry.variant,
            runtime=str(release),
            python=answer.python,
            browser=answer.browser,
            loads=answer.loaded,
            agrees=False,
            reason=answer.reason,
        )
        if answer.reason:
            return run
        return _judged(run, entry, answer, self._compared(entry, job))

    def _compared(self, entry: VariantVectors, job: ReplayJob) -> Differences:
        from edgepack.vectors import recording  # imports NumPy

        files = tuple(output.path for output in job.outputs)
        root, count = str(self.found.root), self.found.count
        return self.pool.submit(recording.compare_files, files, root, count, entry.outputs).result()


def _job(entry: VariantVectors, found: Recording, directory: Path, threads: int) -> ReplayJob:
    inputs = [str(found.root / tensor.path) for tensor in entry.inputs]
    outputs = [str(directory / f"{number}.npy") for number in range(len(entry.outputs))]
    file = found.files[entry.variant]
    own = {one.name: one for one in file.signatures}.get(entry.signature)
    return ReplayJob(
        model=str(file.path),
        count=found.count,
        threads=threads,
        rounds=-(-FEWEST // found.count),
        inputs=tuple(_tensors(entry.inputs, inputs, own.inputs if own else ())),
        outputs=tuple(_tensors(entry.outputs, outputs, own.outputs if own else ())),
    )


def _tensors(
    tensors: Iterable[VectorTensor], paths: Iterable[str], own: Iterable[Tensor]
) -> Iterator[ReplayedTensor]:
    names = {one.name: one.tensor for one in own}
    for number, (tensor, path) in enumerate(zip(tensors, paths, strict=True)):
        yield ReplayedTensor(
            name=tensor.name,
            tensor=names.get(tensor.name, ""),
            place=number if tensor.place is None else tensor.place,
            dtype=tensor.dtype,
            shape=tensor.shape,
            path=path,
        )


def _judged(
    run: RuntimeRun, entry: VariantVectors, answer: ReplayAnswer, found: Differences
) -> RuntimeRun:
    pairs = list(zip(entry.outputs, found.largest, strict=True))
    output, difference = max(pairs, key=lambda pair: pair[1] - pair[0].tolerance)
    return run.model_copy(
        update={
            "agrees": difference <= output.tolerance,
            "output": output.name,
            "difference": difference,
            "tolerance": output.tolerance,
            "p50_ms": median(answer.seconds) * 1e3,
        }
    )
