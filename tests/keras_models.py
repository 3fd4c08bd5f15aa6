"""Keras files of many kinds, each with one difficulty. Runs in a worker."""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"

CUSTOM = """\
import keras

@keras.saving.register_keras_serializable("mine")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2.0 * x

@keras.saving.register_keras_serializable("mine")
class Whole(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)
    def call(self, measured):
        return self.dense(measured)
"""


def save_all(directory):
    import keras

    directory = Path(directory)
    keras.utils.set_random_seed(1)
    names = (simple, late, two, dictionaries, words, stateful, image, odd_names, optimized)
    answers = {}
    for make in names:
        model = make(keras)
        model.save(directory / f"{make.__name__}.keras")
        answers[make.__name__] = _answers(model, feed(model))
    for make in (simple, two, image):
        make(keras).save(directory / f"{make.__name__}.h5")
    unsafe(keras, directory)
    custom(keras, directory)
    simple(keras).save_weights(directory / "only.weights.h5")
    return answers


def feed(model):
    """Zeros and ones for every input of a symbolic model, by its flat order."""
    import numpy as np

    inputs = model.inputs
    arrays = []
    for tensor in inputs:
        shape = [1, *tensor.shape[1:]]
        text = tensor.dtype == "string"
        arrays.append(np.full(shape, "b" if text else 1, object if text else tensor.dtype))
    return arrays


def _answers(model, arrays):
    import tensorflow as tf

    structure = model.inputs[0] if type(model).__name__ == "Sequential" else model.input
    fed = tf.nest.pack_sequence_as(structure, [tf.constant(array) for array in arrays])
    return [answer.numpy() for answer in tf.nest.flatten(model(fed, training=False))]


def simple(keras):
    layers = [keras.Input((3,), name="features"), keras.layers.Dense(2, activation="softmax")]
    return keras.Sequential(layers)


def late(keras):
    """Built without an Input: Keras numbers its tensors."""
    model = keras.Sequential([keras.layers.Dense(2, name="first")], name="late")
    model.build((None, 4))
    return model


def two(keras):
    left, right = keras.Input((3,), name="zebra"), keras.Input((2,), name="apple")
    both = keras.layers.Concatenate(name="both")([left, right])
    return keras.Model([left, right], [both, keras.layers.Dense(1, name="one")(left)])


def dictionaries(keras):
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    return keras.Model({"x": x, "y": y}, {"sum": x + y, "difference": x - y})


def words(keras):
    vectors = keras.layers.TextVectorization(output_sequence_length=3, vocabulary=["a", "b"])
    x = keras.Input((), dtype="string", name="words")
    return keras.Model(x, keras.layers.Embedding(9, 2)(vectors(x)))


def stateful(keras):
    x = keras.Input((5, 3), batch_size=1, name="frames")
    return keras.Model(x, keras.layers.LSTM(2, stateful=True)(x))


def image(keras):
    x = keras.Input((8, 8, 1), name="image")
    y = keras.layers.BatchNormalization()(keras.layers.Conv2D(2, 3)(x))
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Flatten()(y)))


def odd_names(keras):
    x, y = keras.Input((3,), name="1st input"), keras.Input((3,), name="1st-input")
    return keras.Model([x, y], x + y)


def optimized(keras):
    """Compiled with a loss that nobody can load."""

    def private_loss(wanted, got):
        return keras.ops.mean(wanted - got)

    model = simple(keras)
    model.compile("adam", loss=private_loss)
    return model


def unsafe(keras, directory):
    x = keras.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Lambda(lambda t: 3.0 * t, name="thrice")(x))
    model.save(directory / "lambda.keras")
    model.save(directory / "lambda.h5")
    saved = directory / "elsewhere"
    simple(keras).export(saved)
    layer = keras.layers.TFSMLayer(str(saved), call_endpoint="serving_default", name="other")
    keras.Sequential([keras.Input((3,)), layer]).save(directory / "tfsm.keras")


def custom(keras, directory):
    space = {}
    exec(CUSTOM, space)
    (directory / "my_layers.py").write_text(CUSTOM)
    (directory / "broken_layers.py").write_text("import no_such_module_anywhere\n")
    x = keras.Input((3,), name="x")
    keras.Model(x, space["Twice"](name="double")(x)).save(directory / "custom.keras")
    keras.Model(x, space["Twice"](name="double")(x)).save(directory / "custom.h5")
    whole = space["Whole"]()
    whole(keras.ops.ones((1, 3)))
    whole.save(directory / "subclass.keras")
    for name in [*keras.saving.get_custom_objects()]:
        del keras.saving.get_custom_objects()[name]


def one_layer(kind, path):
    """A model of one layer, saved; what it answers to ones."""
    import keras

    shape = (6, 4) if kind == "LSTM" else (8, 8, 2)
    arguments = {
        "DepthwiseConv2D": {"kernel_size": 3, "padding": "valid"},
        "SeparableConv2D": {"filters": 2, "kernel_size": 3, "padding": "valid"},
        "LSTM": {"units": 2},
        "RandomFlip": {"mode": "horizontal"},
        "Activation": {"activation": "hard_sigmoid"},
    }
    kind = "Activation" if kind == "hard_sigmoid" else kind
    x = keras.Input(shape, name="x")
    model = keras.Model(x, getattr(keras.layers, kind)(**arguments.get(kind, {}), name="layer")(x))
    model.save(path)
    return _answers(model, feed(model))[0]


def by_keras_2(path):
    """A file with a call of TensorFlow's, which only Keras 2 writes; what it answers to ones."""
    import tensorflow as tf
    import tf_keras

    x = tf_keras.Input((3,), name="x")
    model = tf_keras.Model(x, tf.math.abs(tf_keras.layers.Dense(2)(x)) - 1.0)
    model.save(path)
    return model(tf.ones((1, 3))).numpy()


def edit_config(source, target, old, new):
    """A copy of a .h5 in whose config one text is replaced."""
    import shutil

    import h5py

    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        config = file.attrs["model_config"]
        config = config.decode() if isinstance(config, bytes) else config
        assert old in config
        file.attrs["model_config"] = json.dumps(json.loads(config.replace(old, new)))


def old_version(path, version):
    import h5py

    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version


def link_out(source, target, elsewhere):
    """A copy of a .h5 whose weights lie in another file."""
    import shutil

    import h5py

    shutil.copy(source, target)
    with h5py.File(target, "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink(str(elsewhere), "/model_weights")


def answers(directory, arrays):
    """What serving_default answers, by name."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(directory)).signatures["serving_default"]
    fed = {name: tf.constant(array) for name, array in arrays.items()}
    return {name: answer.numpy() for name, answer in signature(**fed).items()}
