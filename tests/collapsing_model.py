"""A SavedModel that full int8 ruins, with its data; run with a directory to fill.

The front end takes the logarithm of an exponential: of what lies between them, eight bits keep
the largest values only. The layers after it quantize well.
"""

import os
import sys
from pathlib import Path

import numpy as np

INPUTS, WIDTH, CLASSES = 16, 96, 4
DATASET = """\
name = "collapsing"
kind = "arrays"
path = "data.npz"
labels = "y"
[inputs."*"]
array = "x"
[splits.calibrate]
samples = 60
[splits.tune]
samples = 200
[splits.evaluate]
path = "evaluate.npz"
"""
CONFIG = """\
dataset = "dataset.toml"
variants = ["float32", "auto"]
output = "out"
[model]
path = "model"
name = "collapsing"
version = "1.0.0"
[budgets.all]
max_accuracy_drop = 0.05
"""


def save(directory):
    import tensorflow as tf

    random = np.random.default_rng(0)

    def weights(*shape):
        return tf.Variable(random.normal(0, shape[0] ** -0.5, shape).astype(np.float32))

    first, second, last = weights(INPUTS, WIDTH), weights(WIDTH, WIDTH), weights(WIDTH, CLASSES)

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, INPUTS], tf.float32, "x")])
        def call(self, x):
            seen = tf.math.log(tf.exp(6.0 * x) + 1e-3)
            hidden = tf.nn.relu(tf.nn.relu(seen @ first) @ second)
            return {"y": tf.nn.softmax(hidden @ last)}

    model, directory = Model(), Path(directory)
    model.held = [first, second, last]
    tf.saved_model.save(model, str(directory / "model"), signatures=model.call)
    for name, count, wide in (
        ("data", 260, 1),
        ("evaluate", 300, 1),
        ("other", 300, 1),
        ("harder", 300, 4),  # than what it was calibrated and chosen on
    ):
        x = random.normal(0, wide, (count, INPUTS)).astype(np.float32)
        y = model.call(tf.constant(x))["y"].numpy().argmax(1)
        np.savez(directory / f"{name}.npz", x=x, y=y)
    (directory / "dataset.toml").write_text(DATASET)
    (directory / "edgepack.toml").write_text(CONFIG)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    save(sys.argv[1])
