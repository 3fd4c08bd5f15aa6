"""Small SavedModels whose inputs are no float arrays, and their .tflite. Runs in a worker."""

from pathlib import Path

import numpy as np

from edgepack.engines.importing import import_tensorflow

NUMBERS = ("int8", "uint8", "int16", "int32", "int64", "uint32", "bool", "float16", "float64")
WORDS = ("a", "bb", "dé")


def save_all(directory):
    """A SavedModel and a .tflite of builtin ops for each, converted by TensorFlow alone."""
    tf = import_tensorflow()
    models = {
        make.__name__: make(tf)
        for make in (words, word_pairs, echo, embedding, settings, rankless, several)
    }
    models |= {dtype: numbers(tf, dtype) for dtype in NUMBERS}
    for name, (module, function) in models.items():
        path = str(Path(directory) / name)
        tf.saved_model.save(module, path, signatures=function)
        keys = list(function) if isinstance(function, dict) else None
        converter = tf.lite.TFLiteConverter.from_saved_model(path, signature_keys=keys)
        Path(f"{path}.tflite").write_bytes(converter.convert())


def answer(path, signature="serving_default", **inputs):
    """The source model's own answers, a sample at a time; scalars go in as such."""
    tf = import_tensorflow()
    function = tf.saved_model.load(str(path)).signatures[signature]
    specs = function.structured_input_signature[1]
    answers = []
    for row in range(len(next(iter(inputs.values())))):
        single = {
            n: v[row] if specs[n].shape.rank == 0 else v[row : row + 1] for n, v in inputs.items()
        }
        feed = {name: tf.constant(value, specs[name].dtype) for name, value in single.items()}
        answers.append({name: value.numpy() for name, value in function(**feed).items()})
    return {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}


def _table(tf):
    keys = tf.constant(WORDS)
    values = tf.constant(np.arange(1, len(WORDS) + 1))
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0)


class _Words:
    """Embeddings of words looked up in a table; unknown words have that of none."""

    def __new__(cls, tf, shape, function):
        module = tf.Module()
        module.table = _table(tf)
        module.weights = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3))
        signature = [tf.TensorSpec(shape, tf.string, "x")]
        module.call = tf.function(lambda x: function(module, x), input_signature=signature)
        return module, module.call


def words(tf):
    def call(module, x):
        return {"y": tf.gather(module.weights, module.table.lookup(x))}

    return _Words(tf, [None], call)


def word_pairs(tf):
    def call(module, x):
        return {"y": tf.reduce_sum(tf.gather(module.weights, module.table.lookup(x)), 1)}

    return _Words(tf, [None, 2], call)


def echo(tf):
    """Answers with strings too."""

    def call(module, x):
        return {"y": tf.gather(module.weights, module.table.lookup(x)), "said": tf.identity(x)}

    return _Words(tf, [None], call)


def embedding(tf):
    """Knows four token ids; TFLite fails on others."""
    module = tf.Module()
    module.weights = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3))
    module.call = tf.function(
        lambda x: {"y": tf.gather(module.weights, x)},
        input_signature=[tf.TensorSpec([None, 2], tf.int32, "x")],
    )
    return module, module.call


def settings(tf):
    """Takes a flag and a rate for the whole invocation beside its samples."""
    signature = [
        tf.TensorSpec([None, 2], tf.float32, "x"),
        tf.TensorSpec([], tf.bool, "training"),
        tf.TensorSpec([], tf.float32, "rate"),
    ]
    module = tf.Module()
    module.call = tf.function(
        lambda x, training, rate: {"y": tf.where(training, x * rate, x)},
        input_signature=signature,
    )
    return module, module.call


def rankless(tf):
    module = tf.Module()
    signature = [tf.TensorSpec(None, tf.float32, "x")]
    module.call = tf.function(lambda x: {"y": x * 2.0}, input_signature=signature)
    return module, module.call


def several(tf):
    """Four signatures; one takes another input, one counts its calls."""
    module = tf.Module()
    module.weights = tf.Variable(np.arange(12, dtype=np.float32).reshape(4, 3))
    module.calls = tf.Variable(0.0)
    four, three = (tf.TensorSpec([None, n], tf.float32, name) for n, name in ((4, "x"), (3, "z")))
    module.calls_of = {
        "serving_default": tf.function(lambda x: {"y": x @ module.weights}, [four]),
        "doubled": tf.function(lambda x: {"d": x @ module.weights * 2.0}, [four]),
        "back": tf.function(lambda z: {"b": z @ tf.transpose(module.weights)}, [three]),
        "counted": tf.function(lambda x: {"c": x + module.calls.assign_add(1.0)}, [four]),
    }
    return module, dict(module.calls_of)


def numbers(tf, dtype):
    """One number a sample, and three."""
    kind = getattr(tf, dtype)
    signature = [tf.TensorSpec([None], kind, "one"), tf.TensorSpec([None, 3], kind, "three")]
    module = tf.Module()
    module.call = tf.function(
        lambda one, three: {
            "y": tf.cast(one, tf.float32)[:, None] + tf.cast(three, tf.float32),
            "same": tf.identity(three),
        },
        input_signature=signature,
    )
    return module, module.call
