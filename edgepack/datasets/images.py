"""Image files as arrays, by Pillow. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from edgepack.datasets.unreadable import UnreadableError, require_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import Preprocess, Resize

MODES = {"rgb": "RGB", "bgr": "RGB", "gray": "L", "rgba": "RGBA"}
METHODS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
WIDE = 65535
WIDE_TO_BYTE = WIDE / 255  # sixteen-bit gray on the scale of eight bits


def decode_image(path: Path, preprocess: Preprocess) -> NDArray[Any]:
    """Decode, turn upright (EXIF), resize, and put the channels in order: [height, width, c].

    Values are 0 to 255, uint8, whatever the file's depth.

    Raises:
        UnreadableError: the file is no image, cut short, or a decompression bomb.
    """
    try:
        require_regular(path)
        with Image.open(path) as image:
            pixels = np.asarray(_fitted(_converted(image, preprocess), preprocess.resize))
    except Image.DecompressionBombError as error:
        raise UnreadableError("it would decode to too many pixels") from error
    except Exception as error:  # decoders of some formats fail in their own ways
        raise UnreadableError(_reason(error)) from error
    channels = pixels if pixels.ndim > 2 else pixels[..., None]  # noqa: PLR2004 - gray is 2-D
    return channels[..., ::-1] if preprocess.color == "bgr" else channels


def _converted(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F" or (image.mode == "I" and np.asarray(image).max() > WIDE):
        raise UnreadableError("its pixels are floats or 32-bit integers, of no known range")
    if image.mode.startswith("I"):
        wide = np.asarray(image, np.float32) / WIDE_TO_BYTE
        return Image.fromarray(wide.round().clip(0, 255).astype(np.uint8)).convert(
            MODES[preprocess.color]
        )
    mode = MODES[preprocess.color]
    return image if image.mode == mode else image.convert(mode)


def _fitted(image: Image.Image, resize: Resize | None) -> Image.Image:
    if resize is None:
        return image
    size, method = (resize.width, resize.height), METHODS[resize.method]
    if resize.fit == "crop":
        return ImageOps.fit(image, size, method)
    if resize.fit == "pad":
        return ImageOps.pad(image, size, method)
    return image if image.size == size else image.resize(size, method)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is no image that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n", 1)[0] or type(error).__name__
