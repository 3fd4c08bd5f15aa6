"""Samples that suit a model's graph: ids within their table, words it knows, images, lengths."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from examples import example
from uses import Use, uses

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.tensors import Signature, Tensor

    Array = NDArray[Any]

IMAGE_RANK = 4
SOUND = 16_000
SIDE, DETECTOR_SIDE, STEPS, FEATURES = 64, 320, 16, 8
WORDS = b"a good bad film about old new red houses with two small dogs and one boring day".split()


def generate(
    path: Path, facts: SavedModelFacts, signature: Signature, count: int, seed: int = 0
) -> dict[str, Array]:
    """Arrays [count, ...] by input name."""
    rng = np.random.default_rng(seed)
    found = uses(path, facts, signature)
    return {
        tensor.name: _values(rng, signature, tensor, found.get(tensor.name, Use()), count)
        for tensor in signature.inputs
    }


def is_batched(signature: Signature) -> bool:
    """Whether inputs begin with a batch; a lone row of numbers is rather a sound of any length."""
    return not (
        len(signature.inputs) == 1
        and signature.inputs[0].dims == (-1,)
        and signature.inputs[0].dtype.startswith("float")
    )


def _values(
    rng: np.random.Generator, signature: Signature, tensor: Tensor, use: Use, count: int
) -> Array:
    shape = (count, *_sample_shape(tensor, use))
    if not is_batched(signature):
        shape = (count, SOUND)
    if tensor.dtype == "string":
        return _strings(rng, use, shape)
    if len(shape) == 1 and tensor.dims == ():  # a rate: the share of what is kept
        return np.ones(shape, tensor.dtype)
    low, high = _range(tensor, use)
    if high:
        return rng.integers(low, high, shape).astype(tensor.dtype)
    if len(shape) == IMAGE_RANK and {shape[-1], shape[1]} & {1, 3}:
        return rng.random(shape).astype(tensor.dtype)
    return rng.normal(size=shape).astype(tensor.dtype)


def _range(tensor: Tensor, use: Use) -> tuple[int, int]:
    """Whole numbers that fit, the second one excluded; (0, 0) for what takes any number."""
    if use.rows:  # also where ids come as floats
        return 0, use.rows
    if use.length:
        return 1, STEPS + 1
    if tensor.dtype == "bool":
        return 0, 2
    if "int" in tensor.dtype:
        return 0, 256 if tensor.dtype == "uint8" else 10
    return 0, 0


def _sample_shape(tensor: Tensor, use: Use) -> tuple[int, ...]:
    """Dimensions of one sample; those that the model leaves open are guessed."""
    dims = tensor.dims
    if dims is None:
        return use.guess
    if len(dims) == IMAGE_RANK:
        side = DETECTOR_SIDE if tensor.dtype == "uint8" else SIDE
        channels_first = dims[1] in {1, 3} and dims[3] not in {1, 3}
        guesses = (0, 3, side, side) if channels_first else (0, side, side, 3)
    else:
        guesses = (0, *(STEPS for _ in dims[1:-1]), STEPS if use.rows else _last(dims))
    return tuple(
        guess if size < 0 else size for size, guess in zip(dims[1:], guesses[1:], strict=False)
    )


def _last(dims: tuple[int, ...]) -> int:
    return STEPS if len(dims) == 2 else FEATURES  # noqa: PLR2004 - [batch, steps]


def _strings(rng: np.random.Generator, use: Use, shape: tuple[int, ...]) -> Array:
    if use.decodes:
        flat = [_picture(rng) for _ in range(int(np.prod(shape)))]
    elif use.parses:
        flat = [example(rng, use.features) for _ in range(int(np.prod(shape)))]
    else:
        words = list(use.words) or WORDS
        flat = [_text(rng, words, several=not use.words) for _ in range(int(np.prod(shape)))]
    return np.array(flat).reshape(shape)


def _text(rng: np.random.Generator, words: list[bytes], *, several: bool) -> bytes:
    length = int(rng.integers(3, 12)) if several else 1
    return b" ".join(words[int(i)] for i in rng.integers(0, len(words), length))


def _picture(rng: np.random.Generator) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()
