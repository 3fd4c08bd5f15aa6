"""What passes between the stages of one build and its workers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.dataset import SplitData
from edgepack.records.evidence import Drop, Interval, Latency, Memory
from edgepack.records.facts import Repair
from edgepack.records.recipe import Recipe

Kernels = Literal["default", "builtin", "reference"]
Runtime = Literal["ai-edge-litert", "tflite-runtime"]


class FunctionPorts(Record):
    """Names of a function's tensors, in the order it takes and gives them."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class SourceModel(Record):
    """The prepared copy of a SavedModel that TensorFlow may load."""

    path: str
    origin: str = Field("", description="the user's own directory, as messages name it")
    tags: tuple[str, ...]
    signature: str = Field(description="the signature that samples are for")
    others: tuple[str, ...] = Field((), description="signatures converted along with it")
    function: FunctionPorts | None = Field(
        None, description="where the signature stands for a function of the object graph"
    )
    objects: bool = Field(True, description="whether it was saved with an object graph")
    stateful: bool = False
    fixed_batch: int | None = Field(None, description="batch size baked into the inputs, if any")
    scalars: tuple[str, ...] = Field((), description="inputs of one number, without a batch")
    left_out: tuple[str, ...] = Field((), description="outputs that are text, beside numbers")
    select_tf_ops: bool = Field(False, description="whether Select-TF ops are allowed")
    repairs: tuple[Repair, ...] = ()

    @property
    def signatures(self) -> tuple[str, ...]:
        """Every signature that is built, the one that samples are for first."""
        return (self.signature, *self.others)


class DeviceInput(Record):
    """An input of the file that stands for inputs of the source: the app prepares it."""

    name: str
    tensor: str = Field(description="name in the frozen graph, where the source computes it")
    dtype: str
    shape: tuple[int, ...] = Field(description="one sample at a time")
    sources: tuple[str, ...] = Field(description="inputs of the source that it is prepared from")


class Conversion(Record):
    """How the float32 .tflite came to be."""

    engine: str
    tensorflow_version: str
    tensorflow_git_version: str
    repairs: tuple[Repair, ...] = Field((), description="beyond those of the private copy")
    select_ops: tuple[str, ...] = Field((), description="TensorFlow ops that the app must link")
    prepared: tuple[DeviceInput, ...] = Field(
        (), description="inputs of the file in place of the source's own"
    )
    shapes: dict[str, tuple[int, ...]] = Field(
        default_factory=dict, description="what the source's inputs were pinned to"
    )


class QuantizeJob(Record):
    """One quantized file to make of the float32 .tflite."""

    recipe: Recipe
    float_model: str
    signature: str
    statistics: str = Field("", description="path of the calibration statistics; static modes only")
    samples: SplitData | None = Field(
        None, description="the calibration split, for kernels whose inner ranges none else can see"
    )
    target: str


class TFLiteModel(Record):
    """One .tflite file to run, and how."""

    path: str
    sha256: str
    signature: str = Field(description="SignatureDef to run; empty where the file has none")
    stateful: bool = False
    threads: int = 1
    runtime: Runtime = "ai-edge-litert"
    kernels: Kernels = Field(
        "default",
        description="default: with XNNPACK where the runtime has it; builtin: without; "
        "reference: the plain kernels",
    )


class Statistics(Record):
    """Calibration statistics in `statistics.npz`, of how many samples."""

    samples: int


class ModelFile(Record):
    """A .tflite that a stage made."""

    variant: str
    path: str
    sha256: str
    notes: tuple[str, ...] = Field((), description="what was done for the file to work")


class Ratio(Record):
    """How long one model takes over another, in the same rounds."""

    name: str
    reference: str
    value: float
    interval: Interval


class Latencies(Record):
    """What one interleaved measurement found."""

    latencies: dict[str, Latency]
    ratios: tuple[Ratio, ...]


class MemoryResult(Record):
    """Peak memory of one model, as the cache keeps it."""

    memory: Memory | None = Field(description="None where the system does not tell")


class Chance(Record):
    """What a model that knows nothing would reach, as the cache keeps it."""

    value: float | None


class Diagnosis(Record):
    """What is likely wrong with the source's accuracy, as the cache keeps it."""

    text: str


class Drops(Record):
    """How much worse a model is than another, as the cache keeps it."""

    drops: tuple[Drop, ...]
