"""Saves a Keras model with one signature, whose names are the model's own. Runs in a worker."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

from edgepack.engines.importing import import_tensorflow
from edgepack.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Names = tuple[str, ...]

GENERATED = re.compile(r"keras_tensor(_\d+)?")  # numbered by process, not by model
ENDPOINT = "serve"
ANSWER = "output_0"  # what Keras' own export calls the one output of a model
UNBUILT = "Call the model once before it is saved, or export it where it was made."


def save(keras: Any, model: Any, target: Path) -> tuple[Names, Names]:
    """Save a model below `target`, with the one signature serving_default.

    An input is called as the model calls it: by the key of a dictionary, by its tensor or layer,
    by the argument of `call`. One output is `output_0`; several go by their keys or layers.

    Args:
        keras: the module that loaded the model, Keras 3 or tf-keras.
        model: loaded from a file.
        target: the directory that is made.

    Returns:
        Names of the signature's inputs and outputs.

    Raises:
        ExportError: the model does not say what it takes.
    """
    tf = import_tensorflow()
    specs, call = _symbolic(tf, model) if _is_symbolic(model) else _called(tf, model)
    names: list[str] = []

    def serve(**feed: Any) -> dict[str, Any]:
        answers = _named(tf, model, call(feed))
        names[:] = sorted(answers)
        return answers

    function = tf.function(serve, autograph=False)
    function.get_concrete_function(**specs)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(ENDPOINT, function)
    archive.write_out(str(target))
    return tuple(sorted(specs)), tuple(names)


def _is_symbolic(model: Any) -> bool:
    """Whether its graph of layers is known: functional, or sequential and built."""
    try:
        return bool(model.inputs)
    except AttributeError:
        return False


def _symbolic(tf: Any, model: Any) -> tuple[dict[str, Any], Callable[[Mapping[str, Any]], Any]]:
    structure = _structure(model)
    tensors = tf.nest.flatten(structure)
    for tensor in tensors:
        if getattr(tensor, "sparse", False) or getattr(tensor, "ragged", False):
            raise ExportError(
                f"its input {tensor.name} is sparse or ragged, and TFLite takes neither",
                hint="Let the model take dense tensors, padded, and save it again.",
            )
    keys = sorted(structure) if isinstance(structure, dict) else []
    given = keys if len(keys) == len(tensors) else [_name_of(tensor) for tensor in tensors]
    names = _distinct(given)
    specs = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name)
        for name, tensor in zip(names, tensors, strict=True)
    }

    def call(feed: Mapping[str, Any]) -> Any:
        fed = tf.nest.pack_sequence_as(structure, [feed[name] for name in names])
        return model(fed, training=False)

    return specs, call


def _structure(model: Any) -> Any:
    """What a model takes: a tensor, or several in a list or dictionary."""
    try:
        return model.input
    except AttributeError:  # a sequential model that was loaded, and not called yet
        return model.inputs[0]


def _name_of(tensor: Any) -> str:
    """A tensor's name; where that is only numbered, the name of its layer, which is in the file."""
    if not GENERATED.fullmatch(tensor.name):
        return str(tensor.name)
    history = getattr(tensor, "_keras_history", None)
    return str(history.operation.name) if history else "input"


def _called(tf: Any, model: Any) -> tuple[dict[str, Any], Callable[[Mapping[str, Any]], Any]]:
    """A model that is a class: what it was built for, by the arguments of its `call`."""
    shapes = _built_shapes(model)
    dtype = getattr(model, "input_dtype", None) or "float32"
    specs = {
        name: tf.TensorSpec((None, *tuple(shape)[1:]), dtype, name)
        for name, shape in shapes.items()
    }
    return specs, lambda feed: model(**feed, training=False)


def _built_shapes(model: Any) -> dict[str, Any]:
    arguments = list(inspect.signature(model.call).parameters)
    config = getattr(model, "get_build_config", lambda: None)() or {}
    shapes = config.get("shapes_dict") or {}
    if shape := config.get("input_shape"):
        shapes = {f"{arguments[0]}_shape": shape}
    named = {name.removesuffix("_shape"): shape for name, shape in shapes.items()}
    plain = all(isinstance(shape, list | tuple) and _is_shape(shape) for shape in named.values())
    if not named or not plain or not named.keys() <= set(arguments):
        raise ExportError(
            f"it is a class, {type(model).__name__}, and its file does not say what it takes",
            hint=UNBUILT,
        )
    return named


def _is_shape(value: Any) -> bool:
    return all(size is None or isinstance(size, int) for size in value)


def _named(tf: Any, model: Any, answers: Any) -> dict[str, Any]:
    """Outputs by name: a dictionary's keys, else what the model calls them."""
    tensors = tf.nest.flatten(answers)
    if isinstance(answers, dict) and len(answers) == len(tensors):
        return dict(zip(_distinct(sorted(answers)), tensors, strict=True))
    if len(tensors) == 1:
        return {ANSWER: tensors[0]}
    given = list(getattr(model, "output_names", None) or ())
    if len(given) != len(tensors):
        given = [f"output_{number}" for number in range(len(tensors))]
    return dict(zip(_distinct(given), tensors, strict=True))


def _distinct(names: list[str]) -> list[str]:
    """Names that a signature may have: identifiers that begin with a letter, no two alike."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"\W", "_", name)
        plain = plain if plain[:1].isalpha() else f"tensor_{plain}"
        alike = sum(one == plain or one.startswith(f"{plain}__") for one in found)
        found.append(f"{plain}__{alike}" if alike else plain)
    return found
