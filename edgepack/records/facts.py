"""What the readers learn from a file without running it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.tensors import OpUse, Signature

Precision = Literal[
    "float32", "float16", "dynamic", "weight-only", "int8", "int16x8", "mixed", "other"
]


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
    stateful: bool = Field(False, description="holds variable tensors or resource variables")


class UnsafeUse(Record):
    """An op of a SavedModel that does more than compute."""

    op: str
    count: int = Field(description="nodes of this op")
    does: str = Field(description="what it does, such as: reads files")
    reached_by: tuple[str, ...] = Field(
        description="loading, saving, signature NAME or function NAME; empty where nothing runs it"
    )


class Repair(Record):
    """A change made to a private copy of the source model before conversion."""

    what: str
    why: str
