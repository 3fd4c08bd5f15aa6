"""A first `edgepack.toml` and dataset spec for a model: they load, and say what to fill in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.tomlfile.shapes import dotted, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.tensors import Signature, Tensor

GENERIC = {"saved_model", "savedmodel", "saved-model", "export", "exported", "model", "."}
COLORS = {1: "gray", 3: "rgb", 4: "rgba"}  # by number of channels
IMAGE_RANK = 4  # batch, height, width, channels


@dataclass(frozen=True)
class Start:
    """What a first configuration is made of."""

    facts: SavedModelFacts
    signature: Signature
    name: str
    model: str
    dataset: str


def settings(start: Start) -> str:
    """A commented `edgepack.toml`."""
    inputs = "\n".join(_comment("input", tensor) for tensor in start.signature.inputs)
    outputs = "\n".join(_comment("output", tensor) for tensor in start.signature.outputs)
    usable = [s.name for s in start.facts.signatures if s.inputs and s.outputs]
    others = [name for name in usable if name != start.signature.name]
    known = f"\n# Others: {', '.join(map(quoted, others))}" if others else ""
    return _SETTINGS.format(
        dataset=quoted(start.dataset),
        path=quoted(start.model),
        name=quoted(start.name),
        signature=quoted(start.signature.name),
        tensors=f"{inputs}\n{outputs}{known}",
    )


def dataset(start: Start) -> str:
    """A commented dataset spec for the model's inputs."""
    inputs = start.signature.inputs
    images = len(inputs) == 1 and _is_image(inputs[0])
    text = _IMAGES if images else _ARRAYS
    tables = "\n".join(_input(tensor, images=images) for tensor in inputs)
    return text.format(name=quoted(start.name), inputs=tables)


def model_name(path: Path) -> str:
    """A name for a model, of its folder: version numbers and names that say nothing are passed."""
    parts = [part for part in reversed(path.absolute().parts) if part != path.anchor]
    telling = [p for p in parts if not p.isdecimal() and p.lower() not in GENERIC]
    first = telling[0] if telling else "model"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", first).strip("._-")[:100] or "model"


def _comment(role: str, tensor: Tensor) -> str:
    return f"#   {role} {quoted(tensor.name)}: {tensor.dtype} {shape(tensor)}"


def shape(tensor: Tensor) -> str:
    """Dimensions for people: `?` for each that is not fixed."""
    if tensor.dims is None:
        return "of unknown rank"
    return "[" + ", ".join("?" if size < 0 else str(size) for size in tensor.dims) + "]"


def _is_image(tensor: Tensor) -> bool:
    dims = tensor.dims or ()
    kinds = {"float32", "uint8", "int8", "float16"}
    return len(dims) == IMAGE_RANK and dims[-1] in COLORS and tensor.dtype in kinds


def _input(tensor: Tensor, *, images: bool) -> str:
    lines = [f"# {tensor.dtype} {shape(tensor)}", f"[{dotted(('inputs', tensor.name))}]"]
    if images:
        return "\n".join([*lines, *_image(tensor)])
    return "\n".join([*lines, f"array = {quoted(tensor.name)}", _dtype(tensor)]) + "\n"


def _image(tensor: Tensor) -> list[str]:
    _, height, width, channels = tensor.dims or ()
    fixed = height > 0 and width > 0
    size = f"height = {height}, width = {width}" if fixed else "height = 224, width = 224"
    return [
        ("" if fixed else "# The model takes any size: choose the one that the app will use.\n")
        + f"resize = {{ {size} }}",
        f'color = "{COLORS[channels]}"',
        *(_SCALE if tensor.dtype.startswith("float") else ()),
        _dtype(tensor),
    ]


def _dtype(tensor: Tensor) -> str:
    return f"dtype = {quoted(tensor.dtype)}"


_SCALE = (
    "# As in training: value = (pixel * scale + offset - mean) / std, where a pixel is 0 to 255.",
    "# Below to 0..1; to -1..1 it would be scale = 0.00784313725490196 and offset = -1.0.",
    "scale = 0.00392156862745098",
)

_SETTINGS = """\
# What `edgepack build` does with this model. Paths are relative to this file.
# docs/config.md explains every key; each has a flag that overrides it.
dataset = {dataset}
# float32, float16, dynamic, weight-only, int8 (integer inputs and outputs), int8-float-io (float
# ones), int16x8, and auto: int8 but for layers that it ruins, found by a search on the tune split.
variants = ["float32", "float16", "int8"]
# Devices that must find a variant they can take: `edgepack targets` lists them.
targets = ["android", "ios"]
output = "dist"

[model]
path = {path}
name = {name}
version = "0.1.0"
# The signature that is built:
{tensors}
signature = {signature}
# The accuracy that training reported on the evaluation samples. Fill it in: a wrong model or wrong
# preprocessing is caught by it.
# expected_accuracy = 0.9
# accuracy_tolerance = 0.02

# What a variant may cost. A limit that is not set is not checked.
[budgets.all]
max_accuracy_drop = 0.01 # against the source model, absolute: one point
# min_accuracy = 0.85
# min_agreement = 0.98 # share of samples answered like the source; needs no labels
# max_latency_ratio = 1.1 # p50 over float32's
# max_size_bytes = 10_000_000

# For one variant, in place of the common limits:
# [budgets.variants.int8]
# max_accuracy_drop = 0.02

# How the variant auto is found:
# [search]
# objective = "latency" # or "size"
# seconds = 180

# What the bundle says as a release; docs/signing.md and docs/bundle.md tell what it is good for.
# [release]
# sequence = 1 # greater for each later release, or "baseline", "ci-run", "commits"
# license = "Apache-2.0"
# vectors = 3 # evaluation samples that go along, with all answers to them

# Against the last release, with --baseline its-bundle.zip:
# [budgets.baseline]
# max_accuracy_drop = 0.01
# max_size_ratio = 1.1
"""

_SPLITS = """
# Disjoint by content. calibrate sets the ranges of int8; tune is what the variant auto is chosen by
# (400 samples tell two points apart); evaluate judges every variant.
[splits.calibrate]
samples = 100

[splits.tune]
samples = 0

# All that remain. Better: images that training never saw, in a folder of their own.
[splits.evaluate]
# path = "test"
"""

_IMAGES = (
    """\
# What the model is calibrated with and judged on, and how an app must prepare an image for it.
name = {name}
kind = "image-folder" # one folder a class; others: image-list, arrays, table, audio, function
path = "images"
task = "classification"
# Class names in the order of the model's outputs; without it the folders' names, sorted.
# classes = ["cat", "dog"]
seed = 0

{inputs}
"""
    + _SPLITS
)

_ARRAYS = (
    """\
# What the model is calibrated with and judged on, and how an app must prepare its data.
name = {name}
kind = "arrays" # others: image-folder, image-list, table, audio, function
path = "samples.npz" # one array for each input below, first dimension one a sample
task = "none" # with labels: classification, binary, regression, segmentation
# labels = "label" # the array that holds them
seed = 0

{inputs}"""
    + _SPLITS
)
