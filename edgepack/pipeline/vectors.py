"""Golden vectors of a build: a few evaluation samples with every answer to them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import ModelError
from edgepack.pipeline import feeding, judging, running
from edgepack.records.vectors import Configuration, VectorIndex, VectorRun
from edgepack.tflite.steps import float_steps
from edgepack.vectors import index, recording, selection, sharing, size
from edgepack.vectors.tolerance import FACTOR, FLOAT_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgepack.pipeline.measuring import Measured
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.variants import Built
    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.stages import TFLiteModel
    from edgepack.records.tensors import Signature
    from edgepack.records.vectors import Differences, Recorded, VariantVectors, VectorTensor

STAGE = "vectors"
# Each adds up in another order: threads split work, XNNPACK and the older runtime have kernels of
# their own, the plain kernels are nobody's.
WAYS = (("default", 1), ("default", 2), ("builtin", 1), ("reference", 1))


@dataclass(frozen=True)
class Ground:
    """What vectors are made of.

    Args:
        built: the files that run here.
        split: samples as they take them.
        source: the source's answers to the split.
        answers: each file's, dequantized.
        configurations: ways of running a file, the one that is recorded first.
    """

    built: Sequence[Built]
    split: SplitData
    source: Outputs
    answers: Sequence[Outputs]
    configurations: Sequence[Configuration]


def make(session: Session, plan: Plan, measured: Measured, count: int) -> dict[str, bytes | Path]:
    """Record `count` evaluation samples with the source's and every file's answers.

    Files that no runtime here can run have none. Where vectors would take more than
    `size.MOST_BYTES`, fewer samples are recorded, and a warning says so.

    Args:
        session: the build's; it must not have ended.
        plan: the build's.
        measured: what was built.
        count: samples; 0 for no vectors.

    Returns:
        Members of the bundle by name, the index among them; empty where there are none.
    """
    built = [one for one in measured.built if not one.evidence.not_run]
    if not count or not built:
        return {}
    ground = _ground(session, plan, measured, built)
    count = _affordable(session, plan, ground, count)
    if not count:
        return {}
    found, directory = session.cache.stage(
        STAGE,
        _key(plan, ground, count),
        VectorIndex,
        lambda directory: record(session, ground, count, directory),
    )
    for doubt in index.doubts(found):
        session.warn(STAGE, doubt)
    files = {path: directory / path for path in index.paths(found)}
    return {sharing.INDEX: index.text(found), **files}


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
            if one != own:
                yield one


def _affordable(session: Session, plan: Plan, ground: Ground, count: int) -> int:
    signatures = [_signature(plan.signature.name, one) for one in ground.built]
    if size.files(signatures) > size.MOST_FILES:
        session.warn(STAGE, "no vectors: the files have too many inputs and outputs for a bundle")
        return 0
    pairs = list(zip(signatures, ground.answers, strict=True))
    fits = size.affordable(count, size.per_sample(ground.split, ground.source, pairs))
    if fits < count:
        most = size.MOST_BYTES >> 20
        session.warn(STAGE, f"{fits} of {count} samples are recorded: more would exceed {most} MiB")
    return fits


def _signature(name: str, built: Built) -> Signature:
    found = built.facts.signatures
    return next((one for one in found if one.name == name), found[0])


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


def record(session: Session, ground: Ground, count: int, directory: Path) -> VectorIndex:
    """Leave the vectors' files below `directory`, under their names in the bundle.

    Raises:
        ModelError: a file that ran before fails now.
    """
    session.tell(STAGE, f"recording {count} samples with the answers of {len(ground.built)} files")
    submit = session.general.submit
    split, models = ground.split, {one.evidence.variant: one.model for one in ground.built}
    chosen = submit(
        selection.select, ground.built[0].model, split, ground.source, ground.answers, count
    ).result()
    source = submit(recording.record_source, ground.source, chosen, directory)
    recorded = {
        variant: submit(recording.record, model, variant, split, chosen, directory)
        for variant, model in models.items()
    }
    found = {variant: call.result() for variant, call in recorded.items()}
    moved = sharing.share(directory, _in_order(source.result(), found))
    runs = {
        variant: VectorRun(
            model=models[variant],
            root=str(directory),
            count=len(chosen.rows) // chosen.batch,
            inputs=sharing.moved_to(one.inputs, moved),
            outputs=sharing.moved_to(one.outputs, moved),
        )
        for variant, one in found.items()
    }
    return VectorIndex(
        count=len(chosen.rows) // chosen.batch,
        batch=chosen.batch,
        rows=chosen.rows,
        factor=FACTOR,
        float_floor=FLOAT_FLOOR,
        source=sharing.moved_to(source.result(), moved),
        variants=tuple(_entry(session, one, runs, ground) for one in ground.built),
    )


def _in_order(
    source: Sequence[VectorTensor], found: Mapping[str, Recorded]
) -> Iterator[VectorTensor]:
    for one in found.values():
        yield from one.inputs
    yield from source
    for one in found.values():
        yield from one.outputs


def _entry(
    session: Session, built: Built, runs: Mapping[str, VectorRun], ground: Ground
) -> VariantVectors:
    """One file's part of the index."""
    variant = built.evidence.variant
    run = runs[variant]
    sane = _spread(session, variant, run, ground.configurations)
    peaks = session.general.submit(recording.peaks, run).result()
    entry = index.judged(variant, run, sane, peaks, _grades(built, run.model.signature))
    others = {name: other for name, other in runs.items() if name != variant}
    apart = session.general.submit(recording.distances, run, others).result()
    return index.told_apart(entry, apart)


def _grades(built: Built, signature: str) -> dict[str, float]:
    """One step of each output that is graded: 1 where it is stored as integers of a scale."""
    behind = float_steps(Path(built.model.path))
    found = {}
    for tensor in _signature(signature, built).outputs:
        quantized = tensor.quantization is not None and bool(tensor.quantization.scales)
        found[tensor.name] = 1.0 if quantized else behind.get(tensor.tensor, 0.0)
    return found


def _spread(
    session: Session, variant: str, run: VectorRun, configurations: Sequence[Configuration]
) -> list[tuple[Configuration, Differences]]:
    """How far each configuration's answers are from the recorded ones, the recorded one first.

    One that cannot run the file, or whose answers are nearer to another sample's than to their own,
    is no measure of rounding, and is left out with a warning.
    """
    own, *others = configurations
    calls = [(one, session.general.submit(recording.compare, _by(run, one))) for one in others]
    found = [(own, session.general.submit(recording.compare, run).result())]
    remarks = []
    for one, call in calls:
        try:
            differences = call.result()
        except ModelError as error:
            remarks.append(f"{one.runtime} {one.version} cannot run it: {error.message}")
            continue
        if differences.recognised:
            found.append((one, differences))
        else:
            remarks.append(
                f"{one.runtime} {one.version} answers otherwise than the build, {variant}"
            )
    for remark in dict.fromkeys(remarks):
        session.warn(STAGE, remark)
    return found


def _by(run: VectorRun, one: Configuration) -> VectorRun:
    changed = {"runtime": one.runtime, "threads": one.threads, "kernels": one.kernels}
    return run.model_copy(update={"model": run.model.model_copy(update=changed)})
