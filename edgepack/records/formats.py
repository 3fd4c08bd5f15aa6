"""What was found at a path that should be a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Kind = Literal[
    "saved-model",
    "saved-model-text",
    "saved-model-part",
    "saved-model-graph",
    "versions",
    "hub-module",
    "keras",
    "keras-directory",
    "keras-hdf5",
    "keras-config",
    "hdf5-weights",
    "hdf5",
    "checkpoint",
    "meta-graph",
    "graph-def",
    "graph-def-text",
    "tflite",
    "onnx",
    "pytorch",
    "torchscript",
    "pytorch-program",
    "pickle",
    "numpy",
    "safetensors",
    "gguf",
    "core-ml",
    "tensorflow-js",
    "openvino",
    "archive",
    "bundle",
    "lfs-pointer",
    "html",
    "empty-file",
    "empty-directory",
    "directory",
    "unknown",
]


class Remedy(Record):
    """How to make a SavedModel of what was found."""

    advice: str = Field("", description="one sentence")
    language: Literal["", "sh", "python"] = ""
    lines: str = Field("", description="what to run, exactly, in `language`")


class Format(Record):
    """What lies at a path, by its content and never by its name alone.

    Attributes say: `kind` what edgepack takes it for; `what` the same in words, after "is"; `sure`
    whether its content leaves no doubt; `missing` what a SavedModel has and this has not.
    """

    path: str
    kind: Kind
    what: str
    sure: bool = True
    missing: str = ""
    remedy: Remedy = Remedy()


class KerasExport(Record):
    """A Keras file to make a SavedModel of."""

    path: str
    imports: tuple[str, ...] = Field((), description="modules that register its custom objects")
    folder: str = Field("", description="where these modules may lie: the dataset spec's")
    allow_lambda: bool = Field(False, description="whether its Lambda layers' code may run")


class KerasExported(Record):
    """What a SavedModel was made of, and how."""

    loader: Literal["keras", "tf-keras"]
    loader_version: str
    saved_by: str = Field("", description="version of Keras that wrote the file, where it says so")
    imported: tuple[str, ...] = Field((), description="objects that the imports registered")
    adapted: tuple[str, ...] = Field(
        (), description="what of Keras 2's config was put in Keras 3's way, meaning the same"
    )
    inputs: tuple[str, ...] = Field(description="of the signature serving_default")
    outputs: tuple[str, ...] = Field(description="of the signature serving_default")
