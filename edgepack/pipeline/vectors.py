"""Golden vectors of a build: a few evaluation samples with every answer to them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from edgepack.pipeline import feeding, judging, recording, running
from edgepack.pipeline.recording import STAGE, Ground
from edgepack.records.vectors import Configuration, VectorIndex
from edgepack.vectors import index, sharing, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.pipeline.measuring import Measured
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.variants import Built
    from edgepack.records.stages import TFLiteModel

# Each adds up in another order: threads split work, XNNPACK and the older runtime have kernels of
# their own, the plain kernels are nobody's.
WAYS = (("default", 1), ("default", 2), ("builtin", 1), ("reference", 1))


@dataclass(frozen=True)
class Vectors:
    """What was recorded.

    Args:
        index: what is in which file.
        directory: that the paths of the index start at.
    """

    index: VectorIndex
    directory: Path

    @property
    def members(self) -> dict[str, bytes | Path]:
        """Members of a bundle by name, the index among them."""
        files = {path: self.directory / path for path in index.paths(self.index)}
        return {sharing.INDEX: index.text(self.index), **files}


def make(session: Session, plan: Plan, measured: Measured, count: int) -> Vectors | None:
    """Record `count` evaluation samples with the source's and every file's answers.

    Files that no runtime here can run have none. Where vectors would take more than
    `size.MOST_BYTES`, fewer samples are recorded, and a warning says so.

    Args:
        session: the build's; it must not have ended.
        plan: the build's.
        measured: what was built.
        count: samples; 0 for no vectors.

    Returns:
        None where there are none.
    """
    built = [one for one in measured.built if not one.evidence.not_run]
    if not count or not built:
        return None
    ground = _ground(session, plan, measured, built)
    count = _affordable(session, plan, ground, count)
    if not count:
        return None
    found, directory = session.cache.stage(
        STAGE,
        _key(plan, ground, count),
        VectorIndex,
        lambda directory: recording.record(session, ground, count, directory),
    )
    if sum((directory / path).stat().st_size for path in index.paths(found)) > size.MOST_BYTES:
        session.warn(STAGE, f"no vectors: a batch of {found.batch} samples is {size.TOO_MUCH}")
        return None
    for doubt in index.doubts(found):
        session.warn(STAGE, doubt)
    return Vectors(found, directory)


def _ground(session: Session, plan: Plan, measured: Measured, built: Sequence[Built]) -> Ground:
    """All of it is in the cache by now."""
    samples = measured.samples
    split = feeding.fed(session, plan, samples, measured.conversion).splits["evaluate"]
    return Ground(
        built=built,
        split=split,
        source=running.source_outputs(session, plan, samples.splits["evaluate"]),
        answers=[running.outputs(session, plan, one.model, split) for one in built],
        configurations=tuple(_configurations(built[0].model)),
    )


def _configurations(model: TFLiteModel) -> Iterator[Configuration]:
    """Ways of running a file: the build's own first, then all that are installed."""
    own = Configuration(
        runtime=model.runtime, version=version(model.runtime), threads=model.threads
    )
    yield own
    for runtime in ("ai-edge-litert", "tflite-runtime"):
        try:
            found = version(runtime)
        except PackageNotFoundError:
            continue
        for kernels, threads in WAYS:
            one = Configuration.model_validate(
                {"runtime": runtime, "version": found, "threads": threads, "kernels": kernels}
            )
            plain = kernels == recording.REFERENCE  # the same in every runtime, and slow
            if one != own and not (plain and runtime != own.runtime):
                yield one


def _affordable(session: Session, plan: Plan, ground: Ground, count: int) -> int:
    signatures = [recording.signature(plan.signature.name, one) for one in ground.built]
    if size.files(signatures) > size.MOST_FILES:
        session.warn(STAGE, "no vectors: the files have too many inputs and outputs for a bundle")
        return 0
    pairs = list(zip(signatures, ground.answers, strict=True))
    fits = size.affordable(count, size.per_sample(ground.split, ground.source, pairs))
    if not fits:
        session.warn(STAGE, f"no vectors: one sample is {size.TOO_MUCH}")
    elif fits < count:
        session.warn(STAGE, f"{fits} of {count} samples are recorded: {count} are {size.TOO_MUCH}")
    return fits


def _key(plan: Plan, ground: Ground, count: int) -> dict[str, str]:
    models = (f"{one.evidence.variant} {one.model.sha256}" for one in ground.built)
    return {
        "models": ",".join(models),
        "signature": plan.signature.name,
        "samples": ground.split.digest,
        "source": judging.entry(ground.source),
        "configurations": ",".join(one.model_dump_json() for one in ground.configurations),
        "numpy": plan.versions.numpy,
        "count": str(count),
    }
