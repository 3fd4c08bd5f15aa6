"""Configs that Keras 2 wrote, as Keras 3 reads them with the same meaning. Runs in a worker.

Keras 3.15 refuses arguments of layers that Keras 2 wrote down, also where they change nothing, and
computes `hard_sigmoid` otherwise without a word: clip(x / 6 + 0.5, 0, 1), and Keras 2
clip(0.2 x + 0.5, 0, 1). Found by saving layers with tf-keras 2.21, loading them with Keras 3.15,
and comparing what both answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ANY = object()  # whatever the value: it is used in training alone, or found again from the inputs
CONVOLUTIONS = (
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
)
RECURRENT = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN", "SimpleRNN")
RANDOM = (
    *("RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomHeight"),
    *("RandomRotation", "RandomTranslation", "RandomWidth", "RandomZoom"),
)
SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
SPATIAL = ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
# Layers, an argument, and the value with which it changes nothing.
INERT = (
    (CONVOLUTIONS, "groups", 1),
    (SEPARABLE, "kernel_initializer", ANY),
    (SEPARABLE, "kernel_regularizer", ANY),
    (SEPARABLE, "kernel_constraint", ANY),
    (RECURRENT, "time_major", False),
    (RANDOM, "rng_type", ANY),
    (SPATIAL, "trainable", ANY),
    (SPATIAL, "noise_shape", None),
)
ACTIVATIONS = ("activation", "recurrent_activation")
HARD_SIGMOID = "hard_sigmoid"
OLD = "hard_sigmoid_of_keras_2"
OLD_FUNCTION = {
    "module": "builtins",
    "class_name": "function",
    "config": OLD,
    "registered_name": "function",
}


@dataclass(frozen=True)
class Adapted:
    """A config for Keras 3, and what in it was changed, in words; nothing where that is empty."""

    config: Any
    changes: tuple[str, ...]

    @property
    def computes_otherwise(self) -> bool:
        """Whether Keras 3 would read the config as it was, and give other answers."""
        return any(HARD_SIGMOID in change for change in self.changes)


def adapt(config: Any) -> Adapted:
    """A copy of a model's config that means to Keras 3 what the config means to Keras 2."""
    changes: list[str] = []
    return Adapted(_adapt(config, changes), tuple(changes))


def functions(keras: Any) -> dict[str, Any]:
    """What an adapted config refers to, by name."""

    def hard_sigmoid_of_keras_2(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return {OLD: hard_sigmoid_of_keras_2}


def _adapt(value: Any, changes: list[str]) -> Any:
    if isinstance(value, list):
        return [_adapt(one, changes) for one in value]
    if not isinstance(value, dict):
        return value
    copied = {key: _adapt(one, changes) for key, one in value.items()}
    inner, kind = copied.get("config"), copied.get("class_name")
    if isinstance(inner, dict) and isinstance(kind, str):
        copied["config"] = _layer(kind, inner, changes)
    return copied


def _layer(kind: str, config: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    name = config.get("name", kind)
    inert = {argument: same for layers, argument, same in INERT if kind in layers}
    gone = [one for one in config if one in inert and inert[one] in (ANY, config[one])]
    old = [one for one in ACTIVATIONS if config.get(one) == HARD_SIGMOID]
    changes += [f"left out {one} of {name}" for one in gone]
    changes += [f"kept Keras 2's {HARD_SIGMOID} in {name}" for _ in old]
    kept = {one: value for one, value in config.items() if one not in gone}
    return kept | dict.fromkeys(old, OLD_FUNCTION) | _axis(kind, config, changes)


def _axis(kind: str, config: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """The one axis of a normalisation, which Keras 2 wrote as a list."""
    axis = config.get("axis")
    if kind != "BatchNormalization" or not isinstance(axis, list) or len(axis) != 1:
        return {}
    changes.append(f"wrote axis of {config.get('name', kind)} as a number")
    return {"axis": axis[0]}
