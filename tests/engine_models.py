"""Small SavedModels for the tests of the engines, each with one difficulty. Runs in a worker."""

from pathlib import Path

import numpy as np

from edgepack.engines.importing import import_tensorflow


def save_all(directory):
    tf = import_tensorflow()
    for make in (two_inputs, counter, fixed_batch, needs_select, recurrent):
        module, function = make(tf)
        tf.saved_model.save(module, str(Path(directory) / make.__name__), signatures=function)


def two_inputs(tf):
    """Inputs whose order by name is not the order they are used in."""

    class Model(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None, 3], tf.float32, "zebra"),
                tf.TensorSpec([None, 3], tf.float32, "apple"),
            ]
        )
        def call(self, zebra, apple):
            return {"difference": zebra - 2.0 * apple, "sum": zebra + apple}

    model = Model()
    return model, model.call


def counter(tf):
    """Answers x + 1, and would answer x + 2 if it were not reset."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.calls = tf.Variable(0.0)

        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
        def call(self, x):
            return {"y": x + self.calls.assign_add(1.0)}

    model = Model()
    return model, model.call


def fixed_batch(tf):
    """Takes four samples at a time, and no other number."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2))

        @tf.function(input_signature=[tf.TensorSpec([4, 3], tf.float32, "x")])
        def call(self, x):
            return {"y": x @ self.w}

    model = Model()
    return model, model.call


def needs_select(tf):
    """Uses an op that TFLite has no builtin for."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
        def call(self, x):
            return {"y": tf.math.betainc(x, x, 0.5 * tf.ones_like(x))}

    model = Model()
    return model, model.call


def recurrent(tf):
    """Sums steps that it collects in a TensorList, whose element shape depends on the batch."""

    class Model(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 5, 3], tf.float32, "x")])
        def call(self, x):
            total = tf.zeros_like(x[:, 0])
            steps = tf.TensorArray(tf.float32, 5, element_shape=[None, 3])
            for index in tf.range(5):
                total = total + x[:, index]
                steps = steps.write(index, total)
            return {"y": tf.transpose(steps.stack(), [1, 0, 2])}

    model = Model()
    return model, model.call
