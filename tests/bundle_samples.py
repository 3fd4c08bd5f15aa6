"""A model of a few hundred bytes, and small bundles of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from edgepack.bundle.contents import write_bundle
from edgepack.records.dataset import Preprocess, Resize
from edgepack.records.evidence import Accuracy, Agreement, Drop, Interval, Metric, OutputHealth
from edgepack.records.manifest import (
    DatasetEntry,
    DigestSet,
    Manifest,
    ModelEntry,
    SourceEntry,
    TargetEntry,
    ToolVersions,
)
from edgepack.records.verdict import Check, Verdict
from edgepack.tflite import reader

if TYPE_CHECKING:
    from pathlib import Path

EPOCH = 1_700_000_000
CLASSES = ("cat", "dog", "Äffchen")


@cache
def tiny_model(description: str = "tiny") -> bytes:
    """One RELU from x to y, with a signature and a minimum runtime version."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT()
    model.version, model.description = 3, description
    model.operatorCodes = [schema.OperatorCodeT()]
    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    model.subgraphs = [_subgraph(schema)]
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = list(b"1.5.0".ljust(16, b"\0"))
    model.metadata = [schema.MetadataT()]
    model.metadata[0].name, model.metadata[0].buffer = "min_runtime_version", 1
    model.signatureDefs = [_signature(schema)]
    builder = flatbuffers.Builder(512)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _subgraph(schema):
    graph = schema.SubGraphT()
    graph.name = "main"
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for name, tensor in zip("xy", graph.tensors, strict=True):
        tensor.name, tensor.shape, tensor.type = name, [1, 3], schema.TensorType.FLOAT32
    graph.operators = [schema.OperatorT()]
    graph.inputs, graph.outputs = [0], [1]
    graph.operators[0].inputs, graph.operators[0].outputs = [0], [1]
    return graph


def _signature(schema):
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = "serving_default", 0
    signature.inputs, signature.outputs = [schema.TensorMapT()], [schema.TensorMapT()]
    signature.inputs[0].name, signature.inputs[0].tensorIndex = "image", 0
    signature.outputs[0].name, signature.outputs[0].tensorIndex = "scores", 1
    return signature


def accuracy() -> Accuracy:
    interval = Interval(low=-0.00731, high=0.0211, method="newcombe-paired")
    return Accuracy(
        samples=300,
        metrics=(Metric(name="top1", value=0.9133333333333333, samples=300),),
        drops=(Drop(metric="top1", value=1 / 300, interval=interval, samples=300, lost=2, won=1),),
        agreement=(
            Agreement(
                output="scores",
                samples=300,
                top1=1.0,
                cosine=0.99999,
                snr_db=41.5,
                max_abs_error=1e-7,
                mean_abs_error=0.0,
            ),
        ),
        health=(OutputHealth(output="scores"),),
    )


def model_entry(variant: str, data: bytes) -> ModelEntry:
    facts = reader.parse(data, variant)
    return ModelEntry(
        variant=variant,
        path=f"models/{variant}.tflite",
        precision=facts.precision,
        size_bytes=facts.size_bytes,
        digest=DigestSet(sha256=facts.sha256),
        signatures=facts.signatures,
        ops=facts.ops,
        min_runtime_version=facts.min_runtime_version,
        stateful=facts.stateful,
        conversion={"engine": "by hand"},
        accuracy=accuracy(),
    )


def manifest_of(models: dict[str, bytes], classes: tuple[str, ...] = CLASSES) -> Manifest:
    """A manifest as a build writes it, of these variants."""
    checks = (Check(subject="float32", name="min_accuracy", value=0.9, budget=0.8, outcome="pass"),)
    return Manifest(
        name="pets",
        version="1.2.3",
        failed=False,
        source=SourceEntry(
            digest=DigestSet(sha256="ab" * 32),
            size_bytes=1234,
            tags=("serve",),
            signature="serving_default",
            tensorflow_version="2.21.0",
            tensorflow_git_version="v2.21.0-rc1",
            keras_version="",
            fingerprint={"saved_model_checksum": "18446744073709551615"},
            repairs=(),
            accuracy=accuracy(),
        ),
        dataset=DatasetEntry(
            name="pets",
            digest=DigestSet(sha256="cd" * 32),
            seed=7,
            samples={"calibrate": 100, "tune": 0, "evaluate": 300},
            skipped=0,
        ),
        preprocessing={"image": Preprocess(resize=Resize(height=1, width=1), scale=1 / 255)},
        classes=classes,
        models=tuple(model_entry(variant, data) for variant, data in models.items()),
        targets=(TargetEntry(name="android", variants=tuple(models)),),
        skipped=(),
        verdict=Verdict(passed=True, checks=checks),
        tools=ToolVersions(
            edgepack="0.1.0",
            python="3.11.9",
            tensorflow="2.21.0",
            tensorflow_git_version="v2.21.0-rc1",
            quantizer="0.11.0",
            runtime="ai-edge-litert 2.3.0",
        ),
    )


def write_models(models: dict[str, bytes], directory: Path) -> dict[str, Path]:
    paths = {variant: directory / f"{variant}.in" for variant in models}
    for variant, data in models.items():
        paths[variant].write_bytes(data)
    return paths


def sample_bundle(
    directory: Path, models: dict[str, bytes] | None = None, name: str = "pets-1.2.3.zip"
) -> Path:
    """A bundle in `directory`, of one tiny float32 model unless told otherwise."""
    models = models or {"float32": tiny_model()}
    paths = write_models(models, directory)
    write_bundle(manifest_of(models), paths, directory / name, epoch=EPOCH)
    return directory / name
