"""Each stage of a build: its cache key, and the calls that do the work in workers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.datasets.digest import digest
from edgepack.datasets.prepare import Workshop, prepare, resolve
from edgepack.engines import interpreter, quantizer, tensorflow
from edgepack.errors import ModelError
from edgepack.files import sha256_file
from edgepack.measure import accuracy
from edgepack.measure.chance import measure_chance
from edgepack.measure.diagnosis import permuted_classes, try_alternatives
from edgepack.measure.latency import measure_latency, measure_source_latency
from edgepack.measure.machine import machine
from edgepack.measure.memory import measure_memory
from edgepack.records.dataset import Outputs, SampleSet
from edgepack.records.evidence import Accuracy, Latency
from edgepack.records.stages import (
    Chance,
    Conversion,
    Drops,
    Latencies,
    MemoryResult,
    ModelFile,
    QuantizeJob,
    Statistics,
    TFLiteModel,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import SplitData
    from edgepack.records.evidence import Drop, Memory

FLOAT32 = "float32"
SHARD = 2000  # samples a shard; below it, starting another interpreter costs more than it saves


def samples(session: Session, plan: Plan) -> SampleSet:
    """Decode, preprocess and split the dataset."""
    key = {
        "dataset": digest(plan.spec, plan.root),
        "inputs": "".join(tensor.model_dump_json() for tensor in plan.signature.inputs),
        "numpy": plan.versions.numpy,
        "pillow": plan.versions.pillow,
    }

    def make(directory: Path) -> SampleSet:
        session.tell("samples", f"decoding {plan.spec.name}")
        shards = max(1, session.cores - 1)  # one core is TensorFlow's: all else waits for it
        workshop = Workshop(session.general, directory, shards)
        return prepare(plan.spec, plan.root, plan.signature.inputs, workshop)

    found, directory = session.cache.stage("samples", key, SampleSet, make)
    return resolve(found, directory)


def convert(session: Session, plan: Plan) -> tuple[Conversion, ModelFile]:
    """One float32 conversion by TensorFlow, from which every variant is made."""
    key = {**source_key(plan), "tensorflow": plan.versions.tensorflow}

    def make(directory: Path) -> Conversion:
        session.tell("convert", "converting to float32 with TensorFlow")
        path = directory / "float32.tflite"
        return session.tensorflow.submit(tensorflow.convert, plan.source, path).result()

    found, directory = session.cache.stage("convert", key, Conversion, make)
    path = directory / "float32.tflite"
    return found, ModelFile(variant=FLOAT32, path=str(path), sha256=sha256_file(path))


def source_key(plan: Plan) -> dict[str, str]:
    """What identifies the source model: its files and the signature that is built."""
    tags = ",".join(plan.source.tags)
    return {"source": plan.facts.digest, "signature": plan.signature.name, "tags": tags}


def statistics(session: Session, plan: Plan, float_model: ModelFile, split: SplitData) -> Path:
    """Ranges of every tensor over the calibration samples, for all static variants."""
    key = {
        "model": float_model.sha256,
        "samples": split.digest,
        "quantizer": plan.versions.quantizer,
    }

    def make(directory: Path) -> Statistics:
        session.tell("calibrate", f"calibrating on {split.samples} samples")
        call = session.general.submit(
            quantizer.calibrate,
            float_model.path,
            plan.signature.name,
            split,
            directory / "statistics.json",
        )
        return call.result()

    _, directory = session.cache.stage("calibrate", key, Statistics, make)
    return directory / "statistics.json"


def quantize(
    session: Session, plan: Plan, variant: str, float_model: ModelFile, ranges: Path | None
) -> ModelFile:
    """Make one variant of the float32 file.

    Raises:
        ModelError: the quantizer refuses the model.
    """
    key = {
        "model": float_model.sha256,
        "variant": variant,
        "ranges": sha256_file(ranges) if ranges else "",
        "quantizer": plan.versions.quantizer,
    }

    def make(directory: Path) -> ModelFile:
        session.tell("quantize", f"quantizing to {variant}")
        path = directory / f"{variant}.tflite"
        job = QuantizeJob(
            variant=variant,
            float_model=float_model.path,
            signature=plan.signature.name,
            statistics=str(ranges or ""),
            target=str(path),
        )
        session.general.submit(quantizer.quantize, job).result()
        return ModelFile(variant=variant, path=path.name, sha256=sha256_file(path))

    found, directory = session.cache.stage("quantize", key, ModelFile, make)
    path = directory / found.path
    if sha256_file(path) != found.sha256:
        raise ModelError(
            "the cached file is damaged", where=path, hint="Delete it, or build with --no-cache."
        )
    return found.model_copy(update={"path": str(path)})


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


def _run_key(plan: Plan, model: TFLiteModel) -> dict[str, str]:
    return {"model": model.model_dump_json(exclude={"path"}), "runtime": plan.versions.runtime}


def source_outputs(session: Session, plan: Plan, split: SplitData) -> Outputs:
    """The source model's answers to a split, by TensorFlow."""
    key = {
        **source_key(plan),
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
    key = {**_run_key(plan, model), "samples": split.digest}

    def make(directory: Path) -> Outputs:
        session.tell("run", f"running {Path(model.path).stem} on {split.samples} samples")
        made = session.general.submit(interpreter.smoke, model, split, directory).result()
        shards = [
            session.general.submit(interpreter.predict, model, split, made, start, stop)
            for start, stop in _shards(split.samples, session.cores)
        ]
        for shard in shards:
            shard.result()
        return relative(made)

    found, directory = session.cache.stage("run", key, Outputs, make)
    return located(found, directory)


def _judge_key(plan: Plan, split: SplitData, *runs: Outputs | None) -> dict[str, str]:
    """What decides a comparison: both runs (their cache entries), the labels, the metrics."""
    return {
        "runs": ",".join(_entry(run) for run in runs if run),
        "samples": split.digest,
        "spec": plan.spec.model_dump_json(include={"task", "metrics", "output"}),
        "classes": ",".join(plan.spec.classes),
        "scikit-learn": plan.versions.scikit_learn,
        "numpy": plan.versions.numpy,
    }


def _entry(run: Outputs) -> str:
    return Path(next(iter(run.arrays.values())).path).parent.name


def _uncached(plan: Plan) -> bool:
    """A user's own metric may change without any file that is known here."""
    return any(":" in metric for metric in plan.spec.metrics)


def evaluate(
    session: Session, plan: Plan, split: SplitData, candidate: Outputs, reference: Outputs | None
) -> Accuracy:
    """Accuracy of one model, and its agreement with the source unless it is the source."""

    def make(_: Path) -> Accuracy:
        call = session.general.submit(
            accuracy.evaluate, candidate, reference, split.labels, plan.spec, plan.root
        )
        return call.result()

    if _uncached(plan):
        return make(session.work)
    key = _judge_key(plan, split, candidate, reference)
    return session.cache.stage("evaluate", key, Accuracy, make)[0]


def compare(
    session: Session, plan: Plan, split: SplitData, candidate: Outputs, reference: Outputs
) -> tuple[Drop, ...]:
    """How much worse one model is than another on the labels."""

    def make(_: Path) -> Drops:
        call = session.general.submit(
            accuracy.compare, candidate, reference, split.labels, plan.spec, plan.root
        )
        return Drops(drops=call.result())

    if _uncached(plan):
        return make(session.work).drops
    key = _judge_key(plan, split, candidate, reference)
    return session.cache.stage("compare", key, Drops, make)[0].drops


def chance(session: Session, plan: Plan, split: SplitData) -> float | None:
    """What a model that knows nothing would reach."""

    def make(_: Path) -> Chance:
        return session.general.submit(measure_chance, split.labels, plan.spec).result()

    return session.cache.stage("chance", _judge_key(plan, split), Chance, make)[0].value


def diagnosis(session: Session, plan: Plan, samples: SampleSet, outputs: Outputs) -> str:
    """What is likely wrong where the source's accuracy is off; empty where nothing is found."""
    split = samples.splits["evaluate"]
    if split.labels is None:
        return ""
    session.tell("diagnose", "the source's accuracy is off: looking for the reason")
    if plan.spec.task == "classification":
        call = session.general.submit(
            permuted_classes, outputs, split.labels, plan.spec, samples.classes
        )
        if found := call.result():
            return found
    tried = session.tensorflow.submit(try_alternatives, plan.source, split, plan.spec, plan.root)
    return tried.result()


def memory(session: Session, plan: Plan, model: TFLiteModel, split: SplitData) -> Memory | None:
    """Peak memory of one inference, in a process of its own; None where it cannot be told."""
    key = _run_key(plan, model)

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
        **source_key(plan),
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


def _shards(count: int, workers: int) -> list[tuple[int, int]]:
    parts = max(1, min(workers, count // SHARD))
    bounds = [count * part // parts for part in range(parts + 1)]
    return list(pairwise(bounds))
