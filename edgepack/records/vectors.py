"""Golden vectors: real inputs with the answers to them, and what replaying them found."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.stages import Kernels, Runtime, TFLiteModel


class VectorTensor(Record):
    """One tensor of every invocation, in a file: `count` times the bytes of `shape`."""

    name: str = Field(description="in the signature")
    dtype: str = Field(description="NumPy's name of what is stored, or string")
    shape: tuple[int, ...] = Field(
        description="of one invocation, the batch first where it has one"
    )
    path: str = Field(description="member of the bundle")
    place: int | None = Field(
        None, description="among the interpreter's inputs or outputs, for APIs that count"
    )


class VectorOutput(VectorTensor):
    """An output, and how far from it another runtime's may be."""

    tolerance: float = Field(ge=0, description="largest difference, in units of what is stored")
    spread: float = Field(description="largest difference found among the configurations")
    between_samples: float | None = Field(
        None, description="least largest difference between two invocations; None of one alone"
    )
    between_variants: float | None = Field(
        None, description="least largest difference to another file that takes these inputs"
    )


class Configuration(Record):
    """One way of running a file."""

    runtime: Runtime
    version: str = ""
    threads: int = Field(1, ge=1)
    kernels: Kernels = Field(
        "default",
        description="default: with XNNPACK where the runtime has it; builtin: without; "
        "reference: the plain kernels",
    )


class VariantVectors(Record):
    """What one file is to be fed, and what it answers."""

    variant: str
    signature: str = Field(description="SignatureDef that was run; empty where the file has none")
    inputs: tuple[VectorTensor, ...] = Field(description="as the file takes them, quantized too")
    outputs: tuple[VectorOutput, ...] = Field(description="as the file gives them")
    configurations: tuple[Configuration, ...] = Field(
        description="that the spread is taken over; the first one's answers are recorded"
    )
    alike_samples: tuple[tuple[int, int], ...] = Field(
        (), description="invocations whose answers would pass for each other's"
    )
    alike_variants: tuple[str, ...] = Field(
        (), description="other variants whose answers would pass for this one's"
    )


class VectorIndex(Record):
    """`vectors/index.json`, format version 1."""

    schema_version: Literal[1] = 1
    count: int = Field(ge=1, le=1000, description="invocations; the first axis of every file")
    batch: int = Field(1, ge=1, description="samples that one invocation takes")
    rows: tuple[int, ...] = Field(description="of the samples in the evaluate split, in order")
    byte_order: Literal["little"] = "little"
    factor: float = Field(description="tolerance over spread")
    float_floor: float = Field(
        description="least tolerance of a float output: so many machine epsilons of its largest "
        "absolute value"
    )
    source: tuple[VectorTensor, ...] = Field(description="the source model's outputs, real values")
    variants: tuple[VariantVectors, ...]


class VectorRun(Record):
    """One file to be fed with vectors, and how it is run."""

    model: TFLiteModel
    root: str = Field(description="directory that paths start at")
    count: int
    inputs: tuple[VectorTensor, ...]
    outputs: tuple[VectorTensor, ...]


class Recorded(Record):
    """What one file was fed and answered."""

    inputs: tuple[VectorTensor, ...]
    outputs: tuple[VectorTensor, ...]


class Differences(Record):
    """How far one configuration's answers are from the recorded ones."""

    largest: tuple[float, ...] = Field(
        description="by output; infinite where shape, NaN or infinity differ"
    )
    invocations: tuple[int, ...] = Field(description="where that is, by output")
    recognised: bool = Field(
        description="each answer is nearer to its own recorded one than to any other"
    )


class Selection(Record):
    """Which samples are taken, and how many go into one invocation."""

    rows: tuple[int, ...]
    batch: int


class Distances(Record):
    """How far answers are from each other: the largest absolute difference, by output."""

    samples: tuple[tuple[int, int, tuple[float, ...]], ...]
    variants: dict[str, tuple[float, ...]]


class ReplayedOutput(Record):
    """One output of one file, replayed here."""

    variant: str
    output: str
    difference: float | None = Field(description="largest; None where the file could not be run")
    tolerance: float
    invocation: int | None = Field(None, description="where the difference is largest")
    holds: bool
    reason: str = Field("", description="why the file could not be run")


class SelfTest(Record):
    """What `edgepack selftest` found. Passed only if every output of every file held."""

    path: str
    sha256: str = Field(description="of the bundle")
    name: str
    version: str
    configuration: Configuration
    count: int = Field(description="invocations of each file")
    outputs: tuple[ReplayedOutput, ...]
    cannot_tell: tuple[str, ...] = Field((), description="what these vectors would not notice")

    @property
    def passed(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(one.holds for one in self.outputs)
