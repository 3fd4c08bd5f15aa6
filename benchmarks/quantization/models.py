"""Models that full int8 ruins, trained here from a seed: `python models.py DIR [NAME ...]`.

Each is something that people do: a spectrogram inside the graph, inputs that nobody normalized,
recurrent layers; or, set by hand, what training can end in: channels that died. What is left is
common layers that int8 suits.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import data

if TYPE_CHECKING:
    from collections.abc import Callable

    from data import Array, Labels

TRAIN, HELD_OUT = 2400, 1700
SPLITS = {"calibrate": (0, 100), "tune": (100, 700), "evaluate": (700, 1700)}
FRAME = 256  # samples of one frame of the spectrogram; every second half overlaps

DATASET = """\
name = "{name}"
kind = "arrays"
labels = "y"
on_overlap = "drop"
[inputs."*"]
array = "x"
[splits.calibrate]
path = "calibrate.npz"
[splits.tune]
path = "tune.npz"
[splits.evaluate]
path = "evaluate.npz"
"""
CONFIG = """\
dataset = "dataset.toml"
variants = ["float32", "auto"]
output = "out"
[model]
path = "model"
name = "{name}"
version = "1.0.0"
[budgets.all]
max_accuracy_drop = 0.01
"""


def spectrogram(folder: Path) -> None:
    """A waveform in, a logarithmic power spectrum in the graph, a CNN over it."""
    import tensorflow as tf

    length = 6144
    x, y = data.sounds(TRAIN + HELD_OUT, length, 0, spread=1.2)
    angles = 2 * np.pi * np.outer(np.arange(FRAME), np.arange(FRAME // 2)) / FRAME
    window = np.hanning(FRAME)[:, None]
    parts = [tf.constant((window * part(angles)).astype(np.float32)) for part in (np.cos, np.sin)]

    @tf.keras.utils.register_keras_serializable("bench")
    class Spectrum(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, signal: Any) -> Any:
            halves = tf.reshape(signal, [-1, 2 * length // FRAME, FRAME // 2])
            frames = tf.concat([halves[:, :-1], halves[:, 1:]], -1)
            power = sum(tf.square(tf.matmul(frames, part)) for part in parts)
            return tf.expand_dims(tf.math.log(power + 1e-5), -1)

    keras = tf.keras.layers
    layers: list[Any] = [tf.keras.Input((length,)), Spectrum()]
    layers += _convolutions((16, 1), (48, 2), (64, 2), (64, 1))
    layers += [keras.AveragePooling2D((6, 4)), keras.Flatten()]
    layers += [keras.Dense(data.KINDS, activation="softmax")]
    _save(_trained(layers, x, y, epochs=6), x, y, folder)


def dead_channels(folder: Path) -> None:
    """A CNN in which some channels are dead at a large constant value.

    They are set so once it is trained: they carry nothing, and the next layer is made to subtract
    them; but a range that holds them leaves the living channels a few steps of eight bits.
    """
    import tensorflow as tf

    x, y = data.sounds(TRAIN + HELD_OUT, 2048, 1, spread=0.0)
    x = x.reshape(-1, 32, 64, 1)
    keras = tf.keras.layers
    layers: list[Any] = [tf.keras.Input(x.shape[1:]), *_convolutions((24, 1), (48, 2))]
    layers += [keras.DepthwiseConv2D(3, padding="same", use_bias=False)]
    layers += [keras.Conv2D(64, 1, activation="relu", name="widened")]
    layers += [
        keras.Conv2D(64, 1, activation="relu", name="next"),
        *_convolutions((64, 1), (64, 1)),
    ]
    layers += [keras.GlobalAveragePooling2D(), keras.Dense(data.KINDS, activation="softmax")]
    model = _trained(layers, x, y)
    _kill(model, channels=6, value=400.0)
    _save(model, x, y, folder)


def _kill(model: Any, channels: int, value: float) -> None:
    """Set channels of one layer to a constant that the next one subtracts again."""
    first, second = model.get_layer("widened"), model.get_layer("next")
    weights, bias = first.get_weights()
    after, after_bias = second.get_weights()
    dying = np.argsort(np.abs(weights).sum((0, 1, 2)))[:channels]
    weights[..., dying], bias[dying] = 0.0, value
    after[:, :, dying] = np.random.default_rng(0).normal(0, 0.02, after[:, :, dying].shape)
    after_bias = after_bias - (after[0, 0, dying] * value).sum(0)
    first.set_weights([weights, bias])
    second.set_weights([after, after_bias])


def heavy_tails(folder: Path) -> None:
    """A sensor's raw signal of any strength, filtered first and normalized only then."""
    import tensorflow as tf

    x, y = data.sounds(TRAIN + HELD_OUT, 4096, 2, spread=2.0)
    x = x[..., None]

    @tf.keras.utils.register_keras_serializable("bench")
    class Normalize(tf.keras.layers.Layer):  # type: ignore[misc]
        def call(self, signal: Any) -> Any:
            power = tf.reduce_mean(tf.square(signal), [1, 2], keepdims=True)
            return signal * tf.math.rsqrt(power + 1e-12)

    keras = tf.keras.layers
    layers: list[Any] = [tf.keras.Input(x.shape[1:])]
    layers += [keras.Conv1D(16, 9, strides=4, padding="same", use_bias=False), Normalize()]
    for width, stride in ((48, 2), (64, 2), (64, 1), (64, 2)):
        layers += [keras.Conv1D(width, 9, strides=stride, padding="same", use_bias=False)]
        layers += [keras.BatchNormalization(), keras.ReLU()]
    layers += [keras.GlobalAveragePooling1D(), keras.Dense(data.KINDS, activation="softmax")]
    _save(_trained(layers, x, y), x, y, folder)


def gru(folder: Path) -> None:
    """Sensors of different units, normalized in the graph, and a recurrent layer."""
    import tensorflow as tf

    _recurrent(folder, tf.keras.layers.GRU(48))


def lstm(folder: Path) -> None:
    """The same with the other recurrent layer."""
    import tensorflow as tf

    _recurrent(folder, tf.keras.layers.LSTM(48))


def _recurrent(folder: Path, layer: Any) -> None:
    import tensorflow as tf

    x, y = data.series(TRAIN + HELD_OUT, 48, 12, 3)
    keras = tf.keras.layers
    units = keras.Normalization(mean=x.mean((0, 1)), variance=x.var((0, 1)))
    layers: list[Any] = [tf.keras.Input(x.shape[1:]), units]
    layers += [keras.Conv1D(96, 5, padding="same", activation="relu")]
    layers += [keras.Conv1D(96, 5, padding="same", activation="relu"), layer]
    layers += [keras.Dense(data.KINDS, activation="softmax")]
    _save(_trained(layers, x, y, epochs=12), x, y, folder)


def _convolutions(*shapes: tuple[int, int]) -> list[Any]:
    """Layers of so many filters at such strides, each normalized over the batch."""
    import tensorflow as tf

    keras = tf.keras.layers
    layers: list[Any] = []
    for width, stride in shapes:
        layers += [keras.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)]
        layers += [keras.BatchNormalization(), keras.ReLU()]
    return layers


def _trained(layers: list[Any], x: Array, y: Labels, epochs: int = 8) -> Any:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential(layers)
    model.compile(tf.keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    model.fit(x[:TRAIN], y[:TRAIN], epochs=epochs, batch_size=32, verbose=0)
    return model


def _save(model: Any, x: Array, y: Labels, folder: Path) -> None:
    """The model, samples that it was not trained on, and a project around both."""
    folder.mkdir(parents=True, exist_ok=True)
    model.export(folder / "model", verbose=False)
    held_out = x[TRAIN:], y[TRAIN:]
    project(folder, {name: tuple(a[slice(*at)] for a in held_out) for name, at in SPLITS.items()})
    right = (model.predict(held_out[0], verbose=0).argmax(1) == held_out[1]).mean()
    print(f"{folder.name}: top-1 {right:.3f} of {HELD_OUT} samples", flush=True)


def project(folder: Path, splits: dict[str, tuple[Any, ...]]) -> None:
    """Write samples (x, y) by split, and the files that make a project of a folder."""
    for name, (x, y) in splits.items():
        np.savez(folder / f"{name}.npz", x=x, y=y)
    (folder / "dataset.toml").write_text(DATASET.format(name=folder.name))
    (folder / "edgepack.toml").write_text(CONFIG.format(name=folder.name))


MODELS: dict[str, Callable[[Path], None]] = {
    "spectrogram": spectrogram,
    "dead-channels": dead_channels,
    "heavy-tails": heavy_tails,
    "gru": gru,
    "lstm": lstm,
}


if __name__ == "__main__":
    for wanted in sys.argv[2:] or MODELS:
        MODELS[wanted](Path(sys.argv[1]) / wanted)
