"""Stages that run models: outputs over a split, memory, latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.engines import interpreter, smoke, tensorflow
from edgepack.measure.latency import measure_latency, measure_source_latency
from edgepack.measure.machine import machine
from edgepack.measure.memory import measure_memory
from edgepack.pipeline import making
from edgepack.records.dataset import Outputs
from edgepack.records.evidence import Latency
from edgepack.records.stages import (
    Latencies,
    MemoryResult,
    ModelFile,
    TFLiteModel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import SplitData
    from edgepack.records.evidence import Memory

SHARD = 2000  # samples a shard; below it, starting another interpreter costs more than it saves


def runnable(plan: Plan, file: ModelFile, signature: str, *, stateful: bool) -> TFLiteModel:
    """How this build runs a .tflite file."""
    return TFLiteModel(
        path=file.path,
        sha256=file.sha256,
        signature=signature,
        stateful=stateful,
        threads=plan.settings.latency.threads,
        runtime=plan.settings.latency.runtime,
    )


def run_key(plan: Plan, model: TFLiteModel) -> dict[str, str]:
    """What decides how a file runs: itself, how it is run, the runtime's version."""
    return {"model": model.model_dump_json(exclude={"path"}), "runtime": plan.versions.runtime}


def source_outputs(session: Session, plan: Plan, split: SplitData) -> Outputs:
    """The source model's answers to a split, by TensorFlow."""
    key = {
        **making.source_key(plan),
        "samples": split.digest,
        "tensorflow": plan.versions.tensorflow,
    }

    def make(directory: Path) -> Outputs:
        session.tell("source", f"running the source model on {split.samples} samples")
        call = session.tensorflow.submit(tensorflow.predict, plan.source, split, directory)
        return relative(call.result())

    found, directory = session.cache.stage("source", key, Outputs, make)
    return located(found, directory)


def outputs(session: Session, plan: Plan, model: TFLiteModel, split: SplitData) -> Outputs:
    """A .tflite file's answers to a split, sharded over the workers.

    Raises:
        ModelError: the runtime cannot load or run the file.
    """
    key = {**run_key(plan, model), "samples": split.digest}

    def make(directory: Path) -> Outputs:
        session.tell("run", f"running {Path(model.path).stem} on {split.samples} samples")
        made = session.general.submit(interpreter.smoke, model, split, directory).result()
        shards = [
            session.general.submit(interpreter.predict, model, split, made, start, stop)
            for start, stop in making.spans(split.samples, session.cores, SHARD)
        ]
        for shard in shards:
            shard.result()
        return relative(made)

    found, directory = session.cache.stage("run", key, Outputs, make)
    return located(found, directory)


def smoke_others(session: Session, plan: Plan, model: TFLiteModel, split: SplitData) -> None:
    """Run each further signature of a file once.

    Raises:
        ModelError: the runtime cannot run one.
    """
    if plan.source.others:
        session.general.submit(smoke.smoke_others, model, plan.source.others, split).result()


def memory(session: Session, plan: Plan, model: TFLiteModel, split: SplitData) -> Memory | None:
    """Peak memory of one inference, in a process of its own; None where it cannot be told."""
    key = {
        **run_key(plan, model),
        "samples": split.digest,  # their shapes decide where the model leaves its own open
        "machine": machine().model_dump_json(),
    }

    def make(_: Path) -> MemoryResult:
        with session.pool("memory", 1) as alone:
            return MemoryResult(memory=alone.submit(measure_memory, model, split).result())

    return session.cache.stage("memory", key, MemoryResult, make)[0].memory


def latencies(
    session: Session,
    plan: Plan,
    models: Mapping[str, TFLiteModel],
    pairs: tuple[tuple[str, str], ...],
    split: SplitData,
) -> Latencies:
    """Latency of every model in interleaved rounds; call it when nothing else runs."""
    rounds = plan.settings.latency.rounds
    key = {
        "models": ",".join(f"{name}={model.sha256}" for name, model in models.items()),
        "pairs": ",".join("/".join(pair) for pair in pairs),
        "rounds": str(rounds),
        "threads": str(plan.settings.latency.threads),
        "runtime": plan.versions.runtime,
        "samples": split.digest,
        "machine": machine().model_dump_json(),
    }

    def make(_: Path) -> Latencies:
        session.tell("latency", f"timing {len(models)} files in {rounds} interleaved rounds")
        call = session.general.submit(measure_latency, models, split, pairs, rounds)
        return call.result()

    return session.cache.stage("latency", key, Latencies, make)[0]


def source_latency(session: Session, plan: Plan, split: SplitData) -> Latency:
    """Latency of the source model in TensorFlow; call it when nothing else runs."""
    rounds = plan.settings.latency.rounds
    key = {
        **making.source_key(plan),
        "rounds": str(rounds),
        "samples": split.digest,
        "tensorflow": plan.versions.tensorflow,
        "machine": machine().model_dump_json(),
    }

    def make(_: Path) -> Latency:
        session.tell("latency", "timing the source model in TensorFlow")
        call = session.tensorflow.submit(measure_source_latency, plan.source, split, rounds)
        return call.result()

    return session.cache.stage("source-latency", key, Latency, make)[0]


def located(found: Outputs, directory: Path) -> Outputs:
    """Outputs of a cache entry, with the paths they have there."""
    arrays = {
        name: ref.model_copy(update={"path": str(directory / ref.path)})
        for name, ref in found.arrays.items()
    }
    return found.model_copy(update={"arrays": arrays})


def relative(made: Outputs) -> Outputs:
    """Outputs with file names only, as a cache entry that may move keeps them."""
    arrays = {
        name: ref.model_copy(update={"path": Path(ref.path).name})
        for name, ref in made.arrays.items()
    }
    return made.model_copy(update={"arrays": arrays})
