"""Replays a bundle's golden vectors on a runtime of this machine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgepack.bundle import archive, reader, verify
from edgepack.errors import MissingExtraError, ModelError, UsageError
from edgepack.pipeline.session import SCRATCH
from edgepack.records.settings import Limits
from edgepack.records.stages import Runtime, TFLiteModel
from edgepack.records.vectors import Configuration, ReplayedOutput, SelfTest, VectorRun
from edgepack.vectors import index
from edgepack.vectors.sharing import INDEX
from edgepack.workers.pool import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgepack.bundle.verify import Checked
    from edgepack.records.manifest import ModelEntry
    from edgepack.records.vectors import Differences, VariantVectors, VectorIndex

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


@dataclass(frozen=True)
class _Unpacked:
    """A bundle that holds, with what is replayed of it lying in `root`."""

    vectors: VectorIndex
    models: Mapping[str, ModelEntry]
    root: Path
    configuration: Configuration


def selftest(asked: Asked) -> SelfTest:
    """Verify a bundle, then feed its models with its vectors in a worker, and compare.

    Raises:
        VerificationError: the bundle is not whole, or its vectors are none.
        UsageError: it has no vectors, or none of a variant; or there is no such file.
        MissingExtraError: there is no runtime to replay on.
    """
    configuration = _configuration(asked)
    with (
        reader.opened(asked.bundle) as file,
        tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch,
    ):
        found = verify.check(file, asked.bundle)
        models = {one.variant: one for one in found.manifest.models}
        vectors = _index(file, asked.bundle, found)
        entries = _wanted(vectors, asked)
        unpacked = _Unpacked(vectors, models, Path(scratch) / "bundle", configuration)
        _unpack(file, found, unpacked)
        outputs = tuple(_replayed(entries, unpacked, Path(scratch) / "log"))
        digest, _ = reader.whole(file)
    return SelfTest(
        path=str(asked.bundle),
        sha256=digest,
        name=found.manifest.name,
        version=found.manifest.version,
        configuration=configuration,
        count=vectors.count,
        outputs=outputs,
        cannot_tell=index.doubts(vectors.model_copy(update={"variants": entries})),
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


def _index(file: BinaryIO, where: Path, found: Checked) -> VectorIndex:
    if INDEX not in found.digests:
        raise UsageError(
            "the bundle has no golden vectors",
            where=where,
            hint="Set vectors = 8 under [release] in edgepack.toml, and build it again.",
        )
    data = b"".join(reader.payload(file, found.entries[INDEX]))
    variants = {model.variant for model in found.manifest.models}
    return index.read(data, found.digests.keys(), variants)


def _wanted(vectors: VectorIndex, asked: Asked) -> tuple[VariantVectors, ...]:
    entries = {one.variant: one for one in vectors.variants}
    if absent := [name for name in asked.variants if name not in entries]:
        raise UsageError(
            f"the bundle has no vectors of {', '.join(absent)}",
            where=asked.bundle,
            hint=f"There are some of {', '.join(entries)}.",
        )
    return tuple(entries[name] for name in dict.fromkeys(asked.variants or entries))


def _unpack(file: BinaryIO, found: Checked, unpacked: _Unpacked) -> None:
    wanted = {*index.paths(unpacked.vectors), *(one.path for one in unpacked.models.values())}
    archive.unpack(file, (found.entries[name] for name in wanted), unpacked.root)


def _replayed(
    entries: Sequence[VariantVectors], unpacked: _Unpacked, log: Path
) -> Iterator[ReplayedOutput]:
    from edgepack.vectors import recording  # imports NumPy

    with WorkerPool("self-test", 1, Limits(), log) as pool:
        for entry in entries:
            call = pool.submit(recording.compare, _run(entry, unpacked))
            try:
                yield from _judged(entry, call.result())
            except MissingExtraError:
                raise
            except ModelError as error:
                yield from _not_run(entry, error.message)


def _run(entry: VariantVectors, unpacked: _Unpacked) -> VectorRun:
    model, how = unpacked.models[entry.variant], unpacked.configuration
    return VectorRun(
        model=TFLiteModel(
            path=str(unpacked.root / model.path),
            sha256=model.digest.sha256,
            signature=entry.signature,
            stateful=model.stateful,
            threads=how.threads,
            runtime=how.runtime,
        ),
        root=str(unpacked.root),
        count=unpacked.vectors.count,
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
