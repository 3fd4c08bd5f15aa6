"""Runs the variants of a bundle on releases of runtimes: loads or not, agrees or not, how fast."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from edgepack.cache import default_root
from edgepack.errors import UsageError
from edgepack.pipeline.unpacking import unpacked
from edgepack.records.runtimes import ReplayedTensor, ReplayJob, RuntimeMatrix, RuntimeRun
from edgepack.records.settings import Limits
from edgepack.runtimes import requirement, runtime
from edgepack.runtimes.environment import Environments
from edgepack.workers.environment import inherited
from edgepack.workers.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from edgepack.pipeline.unpacking import Unpacked
    from edgepack.records.runtimes import ReplayAnswer
    from edgepack.records.vectors import Differences, VariantVectors, VectorTensor
    from edgepack.runtimes.requirement import Requirement
    from edgepack.runtimes.runtime import Runtime

FOLDER = "runtimes"  # of the cache
FEWEST = 30  # invocations that a latency is the median of


@dataclass(frozen=True)
class Asked:
    """What is to be run, and on what.

    Args:
        bundle: the file, with golden vectors.
        runtimes: such as tflite-runtime==2.14.0.
        variants: names; none for all that have vectors.
        threads: of each interpreter.
        jobs: how many run at a time; more than one disturbs latency.
        offline: take only what was installed before.
        cache: keeps the environments; None for the user's cache directory.
    """

    bundle: Path
    runtimes: Sequence[str]
    variants: Sequence[str] = ()
    threads: int = 1
    jobs: int = 1
    offline: bool = False
    cache: Path | None = None


def matrix(asked: Asked) -> RuntimeMatrix:
    """Every variant on every release.

    Raises:
        UsageError: no runtime is named, or what is none; the bundle has no vectors.
        VerificationError: the bundle is not whole.
        RuntimeInstallError: a release cannot be installed.
    """
    wanted = tuple(dict.fromkeys(map(requirement.parse, asked.runtimes)))
    if not wanted:
        raise UsageError("no runtime is named", hint=f"{requirement.HINT} Repeat it for several.")
    with (
        unpacked(asked.bundle, asked.variants) as found,
        ThreadPoolExecutor(asked.jobs) as threads,
        WorkerPool("comparison", 1, Limits(), found.root / "log") as pool,
    ):
        environments = Environments((asked.cache or default_root()) / FOLDER, asked.offline)
        made = threads.map(lambda one: runtime.prepared(one, environments), wanted)
        one = _One(found, dict(zip(wanted, made, strict=True)), asked.threads, pool)
        pairs = [(entry, release) for release in wanted for entry in found.entries]
        runs = tuple(threads.map(lambda pair: one.run(*pair), pairs))
    return RuntimeMatrix(
        path=str(asked.bundle),
        sha256=found.sha256,
        name=found.manifest.name,
        version=found.manifest.version,
        count=found.count,
        threads=asked.threads,
        runs=runs,
    )


@dataclass(frozen=True)
class _One:
    """Runs one file on one release, and compares."""

    found: Unpacked
    runtimes: dict[Requirement, Runtime]
    threads: int
    pool: WorkerPool

    def run(self, entry: VariantVectors, release: Requirement) -> RuntimeRun:
        directory = self.found.root / "answers" / release.folder / entry.variant
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


def _job(entry: VariantVectors, found: Unpacked, directory: Path, threads: int) -> ReplayJob:
    inputs = [str(found.root / tensor.path) for tensor in entry.inputs]
    outputs = [str(directory / f"{number}.npy") for number in range(len(entry.outputs))]
    return ReplayJob(
        model=str(found.root / found.models[entry.variant].path),
        count=found.count,
        threads=threads,
        rounds=-(-FEWEST // found.count),
        inputs=tuple(_tensors(entry.inputs, inputs)),
        outputs=tuple(_tensors(entry.outputs, outputs)),
    )


def _tensors(tensors: Iterable[VectorTensor], paths: Iterable[str]) -> Iterator[ReplayedTensor]:
    for number, (tensor, path) in enumerate(zip(tensors, paths, strict=True)):
        place = number if tensor.place is None else tensor.place
        own = {"name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape}
        yield ReplayedTensor(place=place, path=path, **own)


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
