"""Vectors of one build from samples to index: recorded, replayed in other ways, judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import MissingExtraError, ModelError
from edgepack.records.vectors import VectorIndex, VectorRun
from edgepack.tflite.steps import float_steps
from edgepack.vectors import index, recording, selection, sharing
from edgepack.vectors.tolerance import FACTOR, FLOAT_FLOOR

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgepack.pipeline.session import Session
    from edgepack.pipeline.variants import Built
    from edgepack.records.dataset import Outputs, SplitData
    from edgepack.records.tensors import Signature, Tensor
    from edgepack.records.vectors import (
        Configuration,
        Differences,
        Recorded,
        Selection,
        VariantVectors,
        VectorTensor,
    )

STAGE = "vectors"
REFERENCE = "reference"
SLOW_TAKES = {REFERENCE: 2}  # invocations, the most telling ones: these kernels take minutes


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


def signature(name: str, built: Built) -> Signature:
    """What a file declares under a name, or all it has where it has no names."""
    found = built.facts.signatures
    return next((one for one in found if one.name == name), found[0])


def record(session: Session, ground: Ground, count: int, directory: Path) -> VectorIndex:
    """Leave the vectors' files below `directory`, under their names in the bundle.

    Raises:
        ModelError: a file that ran before fails now.
    """
    session.tell(STAGE, f"recording {count} samples with the answers of {len(ground.built)} files")
    submit = session.general.submit
    first, split = ground.built[0].model, ground.split
    wanted = submit(selection.select, first, split, ground.source, ground.answers, count)
    chosen = wanted.result()
    source = submit(recording.record_source, ground.source, chosen, directory).result()
    found = _recorded(session, ground, chosen, directory)
    moved = sharing.share(directory, _in_order(source, found))
    invocations = len(chosen.rows) // chosen.batch
    runs = {
        one.evidence.variant: _run(one, found[one.evidence.variant], moved, directory, invocations)
        for one in ground.built
    }
    return VectorIndex(
        count=invocations,
        batch=chosen.batch,
        rows=chosen.rows,
        factor=FACTOR,
        float_floor=FLOAT_FLOOR,
        source=sharing.moved_to(source, moved),
        variants=tuple(_entry(session, one, runs, ground) for one in ground.built),
    )


def _recorded(
    session: Session, ground: Ground, chosen: Selection, directory: Path
) -> dict[str, Recorded]:
    models = {one.evidence.variant: one.model for one in ground.built}
    calls = {
        variant: session.general.submit(
            recording.record, model, variant, ground.split, chosen, directory
        )
        for variant, model in models.items()
    }
    return {variant: call.result() for variant, call in calls.items()}


def _run(
    built: Built, found: Recorded, moved: Mapping[str, str], directory: Path, count: int
) -> VectorRun:
    declared = signature(built.model.signature, built)
    return VectorRun(
        model=built.model,
        root=str(directory),
        count=count,
        inputs=_placed(sharing.moved_to(found.inputs, moved), declared.inputs),
        outputs=_placed(sharing.moved_to(found.outputs, moved), declared.outputs),
    )


def _in_order(
    source: Sequence[VectorTensor], found: Mapping[str, Recorded]
) -> Iterator[VectorTensor]:
    for one in found.values():
        yield from one.inputs
    yield from source
    for one in found.values():
        yield from one.outputs


def _placed(
    tensors: Sequence[VectorTensor], declared: Sequence[Tensor]
) -> tuple[VectorTensor, ...]:
    """The tensors with their places in the file."""
    places = {one.name: one.subgraph_index for one in declared}
    return tuple(one.model_copy(update={"place": places.get(one.name)}) for one in tensors)


def _entry(
    session: Session, built: Built, runs: Mapping[str, VectorRun], ground: Ground
) -> VariantVectors:
    """One file's part of the index."""
    variant = built.evidence.variant
    run = runs[variant]
    sane = _spread(session, variant, run, ground.configurations)
    peaks = session.general.submit(recording.peaks, run).result()
    entry = index.judged(variant, run, sane, peaks, _grades(built))
    others = {name: other for name, other in runs.items() if other.model.sha256 != run.model.sha256}
    apart = session.general.submit(recording.distances, run, others).result()
    return index.told_apart(entry, apart)


def _grades(built: Built) -> dict[str, float]:
    """One step of each output that is graded: 1 where it is stored as integers of a scale."""
    behind = float_steps(Path(built.model.path))
    found = {}
    for tensor in signature(built.model.signature, built).outputs:
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
    calls = [
        (one, session.general.submit(recording.compare, _by(run, one), SLOW_TAKES.get(one.kernels)))
        for one in others
    ]
    found = [(own, session.general.submit(recording.compare, run).result())]
    remarks = []
    for one, call in calls:
        try:
            differences = call.result()
        except (ModelError, MissingExtraError) as error:
            if one.kernels != REFERENCE:  # those lack operators, and no app runs them
                remarks.append(f"{one.runtime} {one.version} cannot run it: {error.message}")
            continue
        if differences.recognised:
            found.append((one, differences))
        else:
            remarks.append(f"{one.runtime} {one.version} takes one sample for another")
    for remark in dict.fromkeys(remarks):
        session.warn(STAGE, f"{variant}: its tolerances do not cover every runtime: {remark}")
    return found


def _by(run: VectorRun, one: Configuration) -> VectorRun:
    changed = {"runtime": one.runtime, "threads": one.threads, "kernels": one.kernels}
    return run.model_copy(update={"model": run.model.model_copy(update=changed)})
