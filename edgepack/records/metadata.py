"""What a .tflite file says of itself in TFLite's standard metadata."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.dataset import Kind, Preprocess


class Normalization(Record):
    """Real value = (x - mean) / std, x being what the app has: a pixel from 0 to 255, a figure."""

    mean: tuple[float, ...] = Field(description="one value, or one a channel; as many as std")
    std: tuple[float, ...] = Field(description="one value, or one a channel; none is 0")


class ImageContent(Record):
    """An input that takes images: height, width and channels in this order."""

    kind: Literal["image"] = "image"
    color: Literal["rgb", "grayscale"]
    width: int | None = None
    height: int | None = None


class AudioContent(Record):
    """An input that takes samples of a waveform."""

    kind: Literal["audio"] = "audio"
    sample_rate: int = Field(description="Hz")
    channels: int = 1


class TensorDescription(Record):
    """One input or output, as the metadata tell of it."""

    name: str = Field(description="name in the signature")
    description: str = ""
    tensor: str = Field("", description="name of the tensor in the graph; empty: not compared")
    content: ImageContent | AudioContent | None = Field(
        None, discriminator="kind", description="None: numbers (FeatureProperties)"
    )
    normalization: Normalization | None = None
    least: tuple[float, ...] = Field((), description="smallest real value, if known")
    greatest: tuple[float, ...] = Field((), description="greatest real value, if known")
    labels: tuple[str, ...] = Field((), description="of the last axis, in order")


class About(Record):
    """What people want to know of a model, whatever its tensors are."""

    name: str
    version: str = ""
    description: str = ""
    author: str = ""
    license: str = Field("", description="SPDX licence expression")


class ModelDescription(About):
    """The metadata of a file, whose first subgraph has these inputs and outputs in this order."""

    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]


class AppData(Record):
    """What an app feeds to a model, and what the answers are about."""

    kind: Kind | None = Field(None, description="of the dataset; None: not known")
    preprocessing: dict[str, Preprocess] = Field(
        default_factory=dict, description="by signature input name"
    )
    classes: tuple[str, ...] = ()
    output: str = Field("", description="the one that classes speak of; the first by default")
