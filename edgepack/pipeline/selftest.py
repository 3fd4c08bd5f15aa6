"""Replays a bundle's golden vectors on a runtime of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgepack.errors import MissingExtraError, ModelError, UsageError
from edgepack.pipeline.unpacking import unpacked
from edgepack.records.settings import Limits
from edgepack.records.stages import Runtime, TFLiteModel
from edgepack.records.vectors import Configuration, ReplayedOutput, SelfTest, VectorRun
from edgepack.workers.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.pipeline.unpacking import Unpacked
    from edgepack.records.vectors import Differences, VariantVectors

RUNTIMES: dict[Runtime, str] = {
    "ai-edge-litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
}


@dataclass(frozen=True)
class Asked:
    """What is to be replayed, and how.

    Args:
        bundle: the file.
        variants: names; none for all that have vectors.
        runtime: None for the first that is installed.
        threads: of each interpreter.
    """

    bundle: Path
    variants: Sequence[str] = ()
    runtime: str | None = None
    threads: int = 1


def selftest(asked: Asked) -> SelfTest:
    """Verify a bundle, then feed its models with its vectors in a worker, and compare.

    Raises:
        VerificationError: the bundle is not whole, or its vectors are none.
        UsageError: it has no vectors, or none of a variant; or there is no such file.
        MissingExtraError: there is no runtime to replay on.
    """
    configuration = _configuration(asked)
    with unpacked(asked.bundle, asked.variants) as found:
        outputs = tuple(_replayed(found, configuration))
    return SelfTest(
        path=str(asked.bundle),
        sha256=found.sha256,
        name=found.manifest.name,
        version=found.manifest.version,
        configuration=configuration,
        count=found.count,
        outputs=outputs,
        cannot_tell=found.doubts,
    )


def _configuration(asked: Asked) -> Configuration:
    """The runtime that is asked for, or the first that is there.

    Raises:
        UsageError: there is no such runtime.
        MissingExtraError: it is not installed, or none is.
    """
    wanted = tuple(name for name in RUNTIMES if asked.runtime in {None, name})
    if not wanted:
        raise UsageError(
            f"there is no runtime {asked.runtime!r}", hint=f"Name one of {', '.join(RUNTIMES)}."
        )
    found = [name for name in wanted if find_spec(RUNTIMES[name])]
    if not found or not find_spec("numpy"):
        missing = "numpy" if found else " or ".join(wanted)
        raise MissingExtraError(
            f"replaying needs {missing}, not installed here",
            hint='Install it with: pip install "edgepack[build]", or on a small device '
            "with: pip install numpy ai-edge-litert",
        )
    return Configuration(runtime=found[0], version=version(found[0]), threads=asked.threads)


def _replayed(found: Unpacked, how: Configuration) -> Iterator[ReplayedOutput]:
    from edgepack.vectors import recording  # imports NumPy

    with WorkerPool("self-test", 1, Limits(), found.root / "log") as pool:
        for entry in found.entries:
            call = pool.submit(recording.compare, _run(entry, found, how))
            try:
                yield from _judged(entry, call.result())
            except MissingExtraError:
                raise
            except ModelError as error:
                yield from _not_run(entry, error.message)


def _run(entry: VariantVectors, found: Unpacked, how: Configuration) -> VectorRun:
    model = found.models[entry.variant]
    return VectorRun(
        model=TFLiteModel(
            path=str(found.root / model.path),
            sha256=model.digest.sha256,
            signature=entry.signature,
            stateful=model.stateful,
            threads=how.threads,
            runtime=how.runtime,
        ),
        root=str(found.root),
        count=found.count,
        inputs=entry.inputs,
        outputs=entry.outputs,
    )


def _judged(entry: VariantVectors, found: Differences) -> Iterator[ReplayedOutput]:
    measured = zip(entry.outputs, found.largest, found.invocations, strict=True)
    for output, difference, invocation in measured:
        yield ReplayedOutput(
            variant=entry.variant,
            output=output.name,
            difference=difference,
            tolerance=output.tolerance,
            invocation=invocation,
            holds=difference <= output.tolerance,
        )


def _not_run(entry: VariantVectors, reason: str) -> Iterator[ReplayedOutput]:
    for output in entry.outputs:
        yield ReplayedOutput(
            variant=entry.variant,
            output=output.name,
            difference=None,
            tolerance=output.tolerance,
            holds=False,
            reason=reason,
        )
