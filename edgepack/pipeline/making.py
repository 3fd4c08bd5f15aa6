"""Stages that make files: samples, the float32 model, calibration statistics, variants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgepack.datasets.digest import digest
from edgepack.datasets.prepare import Workshop, prepare, resolve
from edgepack.engines import quantizer, tensorflow
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
    from concurrent.futures import Future
    from pathlib import Path

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.dataset import SplitData

FLOAT32 = "float32"


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
