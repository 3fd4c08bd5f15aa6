"""Small SavedModels, each with something that trips a packager; run with a directory to fill."""

import os
import sys
from pathlib import Path

import numpy as np


def save_all(directory):
    import tensorflow as tf

    random = np.random.default_rng(0)

    def weights(shape):
        return tf.Variable(random.normal(0, 0.3, shape).astype(np.float32))

    def x(shape, dtype=tf.float32):
        return tf.TensorSpec(shape, dtype, "x")

    six, three = weights([6, 3]), weights([3, 3])
    mask, images = weights([3, 3, 3, 3]), weights([3, 3, 3, 2])
    a, b = tf.TensorSpec([None, 2], tf.float32, "a"), tf.TensorSpec([None, 1], tf.float32, "b")
    models = {
        "plain": ([x([None, 6])], lambda x: x @ six),
        "renamed": ([x([None, 6])], lambda x: {"other": x @ six}),
        "two_inputs": ([a, b], lambda a, b: tf.concat([a, b], 1) @ three[:, :1]),
        "segments": ([x([None, 8, 8, 3])], lambda x: tf.nn.conv2d(x, mask, 1, "SAME")),
        "weightless": ([x([None, 6])], lambda x: tf.nn.softmax(x * 2.0)),
        "conditional": ([x([None, 6])], lambda x: tf.where(x > 0.0, x * 2.0, x)),
        "not_a_number": ([x([None, 6])], lambda x: tf.math.log(x @ six)),
        "looks_up": ([x([None, 2], tf.int32)], lambda x: tf.reduce_sum(tf.gather(six, x), 1)),
        "reads": ([x([None, 1], tf.string)], tf.strings.length),
        "half_dead": (
            [x([None, 6])],
            lambda x: x @ six + tf.nn.relu(x @ six - 50.0) @ three,
        ),
        "scalar": ([x([None, 6])], lambda x: tf.reduce_sum(x @ six)),
        "widening": ([x([1, 6])], lambda x: tf.boolean_mask(x, x[0] > 0.0, axis=1)),
        "pooled": (
            [x([None, None, None, 3])],
            lambda x: tf.reduce_mean(tf.nn.conv2d(x, images, 1, "SAME"), [1, 2]),
        ),
        "bytes": (
            [x([None, 4, 3], tf.uint8)],
            lambda x: tf.reshape(tf.cast(x, tf.float32), [-1, 12])[:, :6] @ six,
        ),
    }
    for name, (inputs, function) in models.items():
        _save(tf, Path(directory) / name, inputs, function, [six, three, mask, images])


def _save(tf, path, inputs, function, variables):
    def call(*given):
        answer = function(*given)
        return answer if isinstance(answer, dict) else {"y": answer}

    module = tf.Module()
    module.held = variables
    module.call = tf.function(call, input_signature=inputs)
    tf.saved_model.save(module, str(path), signatures=module.call.get_concrete_function())


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    save_all(sys.argv[1])
