"""A dataset spec: where samples come from and how an app must prepare them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Kind = Literal["image-folder", "image-list", "arrays", "table", "audio", "function"]
Split = Literal["calibrate", "tune", "evaluate"]
SPLITS: tuple[Split, ...] = ("calibrate", "tune", "evaluate")
Task = Literal["classification", "regression", "binary", "segmentation", "none"]


class Resize(Record):
    """How an image becomes height x width pixels."""

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    method: Literal["nearest", "bilinear", "bicubic", "area", "lanczos"] = "bilinear"
    fit: Literal["stretch", "crop", "pad"] = Field(
        "stretch",
        description="stretch ignores the aspect; crop covers and cuts the centre; pad fits inside",
    )


class Window(Record):
    """How a WAV signal becomes an array: samples as they are, or a spectrogram."""

    sample_rate: int = Field(gt=0, description="Hz; other rates are resampled")
    duration_ms: int = Field(gt=0, description="length each clip is cut or zero-padded to")
    features: Literal["waveform", "spectrogram", "log-mel", "mfcc"] = "waveform"
    window_ms: float = Field(30.0, gt=0)
    stride_ms: float = Field(20.0, gt=0)
    bins: int = Field(40, gt=0, description="mel bins, or coefficients for mfcc")


class Preprocess(Record):
    """What turns a decoded sample into one model input. An app must do the same.

    In this order: resize or window, colour order, value = (value * scale + offset - mean) / std,
    layout, dtype.
    """

    resize: Resize | None = None
    audio: Window | None = None
    color: Literal["rgb", "bgr", "gray", "rgba"] = "rgb"
    scale: float = 1.0
    offset: float = 0.0
    mean: tuple[float, ...] = Field((), description="one value, or one a channel")
    std: tuple[float, ...] = Field((), description="one value, or one a channel")
    dtype: str = Field("float32", description="NumPy's name of the model input's element type")
    layout: Literal["nhwc", "nchw"] = "nhwc"
    columns: tuple[str, ...] = Field((), description="table columns that make this input, in order")
    array: str = Field("", description="name of the array in the .npz that makes this input")


class SplitSpec(Record):
    """Which samples serve one purpose. Splits of one path are disjoint parts of it."""

    path: str = Field("", description="relative to the spec; the dataset's own path by default")
    samples: int | float | None = Field(
        None, description="a count, a fraction of the path's samples (0 to 1), or all that remain"
    )


class Splits(Record):
    """Three purposes: set ranges, choose among candidates, judge the choice."""

    calibrate: SplitSpec = SplitSpec(samples=100)
    tune: SplitSpec = SplitSpec(samples=0)
    evaluate: SplitSpec = SplitSpec()


class DatasetSpec(Record):
    """A dataset, as `calibration/*.toml` declares it."""

    name: str
    kind: Kind
    path: str = Field("", description="folder, CSV, array file; relative to the spec")
    function: str = Field(
        "", description="module:function that yields (inputs, label), for kind function"
    )
    classes: tuple[str, ...] = Field(
        (), description="class names in the order of the model's outputs"
    )
    task: Task = Field("classification", description="what the labels mean; none without labels")
    metrics: tuple[str, ...] = Field(
        (), description="names of metrics or module:function; the task's standard ones by default"
    )
    labels: str = Field(
        "", description="array name or column that holds the labels; 'label' by default"
    )
    output: str = Field(
        "", description="signature output the labels speak of; the first by default"
    )
    image_column: str = Field(
        "path", description="column of a CSV that names the image or WAV file"
    )
    seed: int = 0
    on_unreadable: Literal["error", "skip"] = "error"
    on_overlap: Literal["error", "drop"] = Field(
        "error",
        description="the same content in two splits: refuse, or drop it from the lesser one",
    )
    inputs: dict[str, Preprocess] = Field(
        default_factory=dict, description="by signature input name; '*' serves a single-input model"
    )
    splits: Splits = Splits()

    def preprocess(self, name: str) -> Preprocess:
        """What makes the input `name` of the signature."""
        return self.inputs.get(name) or self.inputs.get("*") or Preprocess()


class Lint(Record):
    """Something about the samples that a person should know."""

    level: Literal["error", "warning"]
    code: str = Field(description="stable short name, such as constant-sample")
    message: str
    examples: tuple[str, ...] = ()


class ArrayRef(Record):
    """An array on disk (.npy, C order, little-endian), first dimension one a sample."""

    path: str
    dtype: str
    shape: tuple[int, ...]


class SplitData(Record):
    """One split, preprocessed: what goes into the model, in recorded order."""

    inputs: dict[str, ArrayRef] = Field(
        description="by signature input name, [n, ...] without batch"
    )
    labels: ArrayRef | None
    samples: int
    digest: str = Field(description="SHA-256 over the samples' content hashes and labels, in order")


class SampleSet(Record):
    """All splits of a dataset, decoded, preprocessed, disjoint by content."""

    spec_digest: str
    digest: str = Field(description="SHA-256 over the splits' digests and the spec's")
    seed: int
    classes: tuple[str, ...]
    splits: dict[Split, SplitData]
    lints: tuple[Lint, ...] = ()
    skipped: tuple[str, ...] = Field((), description="files left out because they cannot be read")


class Outputs(Record):
    """What one model answered to the samples of a split, dequantized, in the split's order."""

    arrays: dict[str, ArrayRef] = Field(description="by signature output name, [n, ...]")
    samples: int
