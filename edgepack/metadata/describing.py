"""A `ModelDescription` from what a build knows: the file's signature and the dataset's spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.metadata import scale
from edgepack.records.metadata import (
    AudioContent,
    ImageContent,
    ModelDescription,
    TensorDescription,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.dataset import Preprocess
    from edgepack.records.metadata import About, AppData, Normalization
    from edgepack.records.tensors import Signature, Tensor

IMAGE_RANK = 4
PIXELS = (0.0, 255.0)


def describe(about: About, signature: Signature, data: AppData) -> ModelDescription:
    """Describe a .tflite file of one signature.

    What the standard's fields cannot say, such as layouts, resizing or BGR, is said in the
    tensors' descriptions only.

    Args:
        about: the model's name and so on.
        signature: as read from the .tflite file.
        data: what the app feeds.
    """
    labelled = data.output or next((tensor.name for tensor in signature.outputs), "")
    return ModelDescription(
        **about.model_dump(include=set(type(about).model_fields)),
        inputs=tuple(_input(tensor, data) for tensor in _ordered(signature.inputs)),
        outputs=tuple(
            _output(tensor, data.classes if tensor.name == labelled else ())
            for tensor in _ordered(signature.outputs)
        ),
    )


def _ordered(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """In the subgraph's order; of two names for one tensor the first."""
    by_place: dict[int, Tensor] = {}
    for tensor in tensors:
        if tensor.subgraph_index is not None:
            by_place.setdefault(tensor.subgraph_index, tensor)
    return tuple(by_place[place] for place in sorted(by_place))


def _output(tensor: Tensor, classes: tuple[str, ...]) -> TensorDescription:
    last = tensor.dims[-1] if tensor.dims else 0
    labels = classes if last == len(classes) else ()
    return TensorDescription(name=tensor.name, tensor=tensor.tensor, labels=labels)


def _input(tensor: Tensor, data: AppData) -> TensorDescription:
    preprocess = data.preprocessing.get(tensor.name)
    if preprocess is None or tensor.dtype == "string":
        return TensorDescription(name=tensor.name, tensor=tensor.tensor)
    pictured = preprocess.resize is not None or (data.kind or "").startswith("image-")
    content = _image(tensor, preprocess) if pictured else _audio(preprocess)
    said = scale.normalization(preprocess, tensor)
    if content is None and said and said.mean == (0.0,) and said.std == (1.0,):
        said = None  # images need one to be said, numbers do not
    least, greatest = _range(tensor, content, said)
    return TensorDescription(
        name=tensor.name,
        tensor=tensor.tensor,
        description="; ".join(_steps(preprocess, pictured=pictured)),
        content=content,
        normalization=said,
        least=least,
        greatest=greatest,
    )


def _image(tensor: Tensor, preprocess: Preprocess) -> ImageContent | None:
    """None where the tensor holds images in a way that the standard has no word for."""
    colors = {("rgb", 3): "rgb", ("gray", 1): "grayscale"}
    dims = tensor.dims or ()
    color = colors.get((preprocess.color, dims[-1] if len(dims) == IMAGE_RANK else 0))
    if color is None or preprocess.layout != "nhwc":
        return None
    size = preprocess.resize
    return ImageContent.model_validate(
        {
            "color": color,
            "width": size.width if size else None,
            "height": size.height if size else None,
        }
    )


def _audio(preprocess: Preprocess) -> AudioContent | None:
    """None for spectrograms, which the standard has no word for."""
    window = preprocess.audio
    if window is None or window.features != "waveform":
        return None
    return AudioContent(sample_rate=window.sample_rate)


def _range(
    tensor: Tensor, content: object, said: Normalization | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Least and greatest value of each channel of a float image; nothing of other tensors."""
    if said is None or not isinstance(content, ImageContent) or tensor.dtype != "float32":
        return (), ()
    ends = [
        sorted((pixel - mean) / std for pixel in PIXELS)
        for mean, std in zip(said.mean, said.std, strict=True)
    ]
    return tuple(low for low, _ in ends), tuple(high for _, high in ends)


def _steps(preprocess: Preprocess, *, pictured: bool) -> Iterator[str]:
    """What the app does, in order, in words."""
    if preprocess.columns:
        yield f"columns {', '.join(preprocess.columns)}"
    if size := preprocess.resize:
        yield f"resize to {size.height} x {size.width} (height x width, {size.method}, {size.fit})"
    if window := preprocess.audio:
        yield f"{window.features} of {window.duration_ms} ms at {window.sample_rate} Hz"
    if pictured:
        yield f"colours {preprocess.color}, pixels from 0 to 255"
    if formula := scale.words(preprocess):
        yield formula
    if preprocess.layout != "nhwc":
        yield "layout nchw"
    yield f"as {preprocess.dtype}"
