"""What the readers learn from a file without running it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.compat import LeastRelease
from edgepack.records.metadata import ModelDescription
from edgepack.records.tensors import OpUse, Signature

Precision = Literal[
    "float32", "float16", "dynamic", "weight-only", "int8", "int16x8", "mixed", "other"
]


class Repair(Record):
    """A change made to a private copy of the source model before conversion."""

    what: str
    why: str


class Asset(Record):
    """A file that travels with a SavedModel, such as a vocabulary."""

    path: str = Field(description="relative to the SavedModel's directory")
    size_bytes: int


class Computation(Record):
    """What one signature, or one function that stands in for it, makes TensorFlow compute.

    Training ops, saving and restoring do not count, as no output depends on them.
    """

    name: str
    ops: tuple[OpUse, ...] = ()
    stateful: bool = Field(False, description="assigns to variables")
    parameters: int = Field(0, description="numbers in the variables that it reads, as declared")
    fixed_batch: int | None = Field(
        None, description="first dimension of every input, where an export baked it in"
    )
    open_dimensions: tuple[str, ...] = Field(
        (), description="dimensions beyond the batch that are unknown"
    )
    custom_ops: tuple[str, ...] = Field((), description="ops that are not TensorFlow's own")
    select_ops: tuple[str, ...] = Field(
        (), description="TensorFlow ops that TFLite runs only with its Flex delegate"
    )
    unconvertible_ops: tuple[str, ...] = Field((), description="ops that TFLite runs in no way")
    control_flow: tuple[str, ...] = Field((), description="ops of loops and branches")
    recurrent: tuple[str, ...] = Field((), description="signs of a recurrent structure")
    gradients: tuple[str, ...] = Field((), description="ops that compute gradients")
    strings: tuple[str, ...] = Field((), description="inputs that take strings")
    tables: int = Field(0, description="lookup tables that it reads")
    unknown_lengths: bool = Field(
        False, description="pads rows of text to the longest, so that no length is known before"
    )
    reference_variables: int = Field(0, description="variables of TensorFlow 1's reference types")
    devices: tuple[str, ...] = Field((), description="devices that ops are pinned to")


class UnsafeUse(Record):
    """An op of a SavedModel that does more than compute."""

    op: str
    count: int = Field(description="nodes of this op")
    does: str = Field(description="what it does, such as: reads files")
    reached_by: tuple[str, ...] = Field(
        description="loading, saving, signature NAME or function NAME; empty where nothing runs it"
    )


class SemanticIdentity(Record):
    """What a model computes, as digests that saving the same model again does not change."""

    digest: str = Field(description="SHA-256 over all signatures; equal ones compute the same")
    signatures: dict[str, str] = Field(description="SHA-256 of each signature by its name")
    left_out: tuple[str, ...] = Field(
        default=(), description="what could not be followed, and may differ unseen"
    )

    @property
    def complete(self) -> bool:
        """Whether everything was followed, so that equal digests mean equal models."""
        return not self.left_out


class Outlook(Record):
    """Whether a build in one precision is likely to work, foreseen from the facts alone."""

    precision: Literal["float32", "float16", "int8"]
    expected: Literal["likely", "unlikely", "no"]
    reason: str = ""


class SavedModelFacts(Record):
    """A SavedModel, as read from its files without TensorFlow."""

    kind: Literal["saved_model"] = "saved_model"
    path: str
    digest: str = Field(description="SHA-256 over the sorted (path, digest) pairs of all files")
    size_bytes: int
    tags: tuple[str, ...] = Field(description="tags of the meta graph described here")
    signatures: tuple[Signature, ...]
    functions: tuple[Signature, ...] = Field(
        (), description="functions of the object graph, where no signature can be used"
    )
    tensorflow_version: str = ""
    tensorflow_git_version: str = ""
    keras_version: str = ""
    fingerprint: dict[str, str] = Field(
        default_factory=dict, description="fields of fingerprint.pb; 64-bit values as decimals"
    )
    ops: tuple[OpUse, ...] = ()
    variables_bytes: int = 0
    assets: tuple[str, ...] = ()
    has_object_graph: bool = True
    slot_variables: int = Field(0, description="optimizer slot variables in the object graph")
    stateful: bool = Field(False, description="inference assigns to variables")
    version_directory: str = Field(
        "", description="where `path` is the highest of several version directories, its name"
    )
    versions: tuple[str, ...] = Field((), description="all version directories, ascending")
    meta_graphs: tuple[tuple[str, ...], ...] = Field(
        (), description="tags of every meta graph in the file"
    )
    computations: tuple[Computation, ...] = Field(
        (), description="of each signature that has outputs, and of each function"
    )
    asset_files: tuple[Asset, ...] = ()
    optimizers: int = Field(0, description="optimizers in the object graph")
    metrics: int = Field(0, description="metrics of training in the object graph")
    unknown_types: tuple[str, ...] = Field(
        (), description="TypeSpecs in the object graph that TensorFlow alone cannot read"
    )
    unsafe: tuple[UnsafeUse, ...] = Field(
        (), description="ops that read or write files, run code or reach the network"
    )
    identity: SemanticIdentity | None = None
    foreseen: tuple[Repair, ...] = Field((), description="what a build will repair")
    outlook: tuple[Outlook, ...] = ()

    def computation(self, signature: Signature) -> Computation | None:
        """What computing a signature involves; None where nothing was read about it."""
        return next((one for one in self.computations if one.name == signature.name), None)

    def is_stateful(self, signature: Signature) -> bool:
        """Whether computing this signature assigns to variables."""
        found = self.computation(signature)
        return found.stateful if found else self.stateful


class TFLiteFacts(Record):
    """A .tflite file, as read from the flatbuffer without an interpreter."""

    kind: Literal["tflite"] = "tflite"
    path: str
    sha256: str
    size_bytes: int
    precision: Precision
    signatures: tuple[Signature, ...] = Field(
        description="one without a name where the file has no SignatureDef"
    )
    ops: tuple[OpUse, ...]
    description: str = ""
    min_runtime_version: str = Field(
        "", description="the file's own word, advisory and sometimes wrong"
    )
    tensor_types: dict[str, int] = Field(
        default_factory=dict, description="tensors with data or activations, counted by dtype"
    )
    weight_types: dict[str, int] = Field(
        default_factory=dict, description="constant tensors, counted by dtype"
    )
    open_tensors: int = Field(0, description="tensors with a dimension that is not fixed")
    stateful: bool = Field(False, description="holds variable tensors or resource variables")
    float_ops: tuple[str, ...] = Field(
        (), description="operators that compute in float; none in a full integer file"
    )
    asked: tuple[OpUse, ...] = Field(
        (), description="operators by the version that their types ask for, where it is higher"
    )
    kernels: tuple[str, ...] = Field(
        (), description="what is asked of operators that their versions do not say"
    )
    least_releases: tuple[LeastRelease, ...] = Field(
        (), description="of each runtime, recomputed from the operators; read by inspect alone"
    )
    metadata: ModelDescription | None = Field(
        None, description="what the file says of itself; read by inspect alone"
    )
