"""Stages that make files: samples, the float32 model, calibration statistics, variants."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from edgepack.datasets.digest import digest
from edgepack.datasets.prepare import Workshop, prepare, resolve
from edgepack.engines import converter, observing, quantizer, tensorflow
from edgepack.engines import statistics as merging
from edgepack.errors import ModelError
from edgepack.files import sha256_file
from edgepack.pipeline import sources
from edgepack.records.dataset import SampleSet
from edgepack.records.facts import SemanticIdentity
from edgepack.records.stages import (
    Conversion,
    ModelFile,
    QuantizeJob,
    Statistics,
)
from edgepack.savedmodel.identity import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from pathlib import Path

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import SplitData
    from edgepack.records.recipe import Recipe

FLOAT32 = "float32"
STATISTICS = "statistics.npz"
CALIBRATION_SHARD = 25  # samples; below it, starting another interpreter costs more than it saves


@dataclass(frozen=True)
class Quantizable:
    """The float32 file, and what static recipes need beside it."""

    float_model: ModelFile
    calibration: SplitData | None = None
    statistics: Path | None = None


def samples(session: Session, plan: Plan) -> SampleSet:
    """Decode, preprocess and split the dataset."""
    key = {
        "dataset": digest(plan.spec, plan.root),
        "inputs": "".join(tensor.model_dump_json() for tensor in plan.signature.inputs),
        "numpy": plan.versions.numpy,
        "pillow": plan.versions.pillow,
        "scipy": plan.versions.scipy,
    }

    def make(directory: Path) -> SampleSet:
        session.tell("samples", f"decoding {plan.spec.name}")
        shards = max(1, session.cores - 1)  # one core is TensorFlow's: all else waits for it
        workshop = Workshop(session.general, directory, shards)
        return prepare(plan.spec, plan.root, plan.signature.inputs, workshop)

    found, directory = session.cache.stage("samples", key, SampleSet, make)
    return resolve(found, directory)


def convert(
    session: Session, plan: Plan, samples: Future[SampleSet]
) -> tuple[Conversion, ModelFile]:
    """One float32 conversion by TensorFlow, from which every variant is made."""
    shapes = _shapes(plan, samples)
    key = {
        **source_key(plan),
        "others": ",".join(plan.source.others),
        "shapes": json.dumps(shapes, sort_keys=True),
        "select": str(plan.source.select_tf_ops),
        "tensorflow": plan.versions.tensorflow,
    }

    def make(directory: Path) -> Conversion:
        session.tell("convert", "converting to float32 with TensorFlow")
        path = directory / "float32.tflite"
        return session.tensorflow.submit(tensorflow.convert, plan.source, path, shapes).result()

    found, directory = session.cache.stage("convert", key, Conversion, make)
    path = directory / "float32.tflite"
    return found, ModelFile(variant=FLOAT32, path=str(path), sha256=sha256_file(path))


def _shapes(plan: Plan, samples: Future[SampleSet]) -> sources.Shapes:
    """Pinned shapes; only where the model leaves more than the batch open, samples decide."""
    wanted = plan.settings.model
    known = sources.known_shapes(plan.signature, wanted)
    if known is not None:
        return known
    return sources.shapes_of(plan.signature, wanted, samples.result().splits["evaluate"])


def identity(session: Session, plan: Plan) -> SemanticIdentity:
    """What the model computes, as digests that saving it again does not change."""

    def make(_: Path) -> SemanticIdentity:
        call = session.general.submit(identify, plan.found.directory, tags=plan.facts.tags)
        return call.result()

    key = {"source": plan.facts.digest, "tags": ",".join(plan.facts.tags)}
    return session.cache.stage("identity", key, SemanticIdentity, make)[0]


def source_key(plan: Plan) -> dict[str, str]:
    """What identifies the source model: its files and the signature that is built."""
    tags = ",".join(plan.source.tags)
    return {"source": plan.facts.digest, "signature": plan.signature.name, "tags": tags}


def statistics(session: Session, plan: Plan, float_model: ModelFile, split: SplitData) -> Path:
    """What every tensor holds over the calibration samples, for all static files."""
    key = {
        "model": float_model.sha256,
        "samples": split.digest,
        "runtime": plan.versions.runtime,
    }

    def make(directory: Path) -> Statistics:
        session.tell("calibrate", f"calibrating on {split.samples} samples")
        observe, name = observing.observe, plan.signature.name
        parts = {
            directory / f"{start}.npz": (start, stop)
            for start, stop in spans(split.samples, session.cores, CALIBRATION_SHARD)
        }
        shards = [
            session.general.submit(observe, float_model.path, name, split, path, start, stop)
            for path, (start, stop) in parts.items()
        ]
        for shard in shards:
            shard.result()
        session.general.submit(merging.merge, tuple(parts), directory / STATISTICS).result()
        for part in parts:
            part.unlink()
        return Statistics(samples=split.samples)

    _, directory = session.cache.stage("calibrate", key, Statistics, make)
    return directory / STATISTICS


def quantize(session: Session, plan: Plan, recipe: Recipe, source: Quantizable) -> ModelFile:
    """Make one quantized file of the float32 one.

    Raises:
        ModelError: the engine refuses the model, or dies of it.
    """
    key = {
        "model": source.float_model.sha256,
        "recipe": recipe.model_dump_json(),
        "statistics": sha256_file(source.statistics) if source.statistics else "",
        "engine": engine_version(plan, recipe),
    }

    def make(directory: Path) -> ModelFile:
        path = directory / "quantized.tflite"
        notes = write_quantized(session, plan, recipe, source, path)
        digest = sha256_file(path)
        return ModelFile(variant=recipe.mode, path=path.name, sha256=digest, notes=notes)

    return stored(session, "quantize", key, make)


def stored(
    session: Session, stage: str, key: Mapping[str, str], make: Callable[[Path], ModelFile]
) -> ModelFile:
    """A file from the cache, or made there; `make` names it relative to its directory.

    Raises:
        ModelError: it is not what was put into the cache.
    """
    found, directory = session.cache.stage(stage, key, ModelFile, make)
    path = directory / found.path
    if sha256_file(path) != found.sha256:
        raise ModelError(
            "the cached file is damaged", where=path, hint="Delete it, or build with --no-cache."
        )
    return found.model_copy(update={"path": str(path)})


def write_quantized(
    session: Session, plan: Plan, recipe: Recipe, source: Quantizable, target: Path
) -> tuple[str, ...]:
    """Let an engine write a file: litert-quantizer in any worker, the converter in TensorFlow's.

    Returns:
        What was done to ranges or scales for the file to work.

    Raises:
        ModelError: the engine refuses the model, or dies of it.
    """
    job = QuantizeJob(
        recipe=recipe,
        float_model=source.float_model.path,
        signature=plan.signature.name,
        statistics=str(source.statistics or ""),
        samples=source.calibration,
        target=str(target),
    )
    if recipe.engine == "converter":
        session.tensorflow.submit(converter.quantize, job).result()
        return ()
    return session.general.submit(quantizer.quantize, job).result()


def engine_version(plan: Plan, recipe: Recipe) -> str:
    """The tool that makes a file, with its version."""
    if recipe.engine == "converter":
        return f"TFLiteConverter {plan.versions.tensorflow}"
    return plan.versions.quantizer


def spans(count: int, workers: int, least: int) -> list[tuple[int, int]]:
    """Rows that each worker takes, where a share of fewer than `least` is not worth one."""
    parts = max(1, min(workers, count // least))
    bounds = [count * part // parts for part in range(parts + 1)]
    return list(pairwise(bounds))
