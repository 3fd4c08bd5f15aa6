"""Small models in every format that TensorFlow here can write. Runs in a worker."""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"


def save_all(directory):
    directory = Path(directory)
    _keras(directory)
    _graphs(directory)


def mlp(keras, name="mlp"):
    layers = [keras.Input((3,), name="features"), keras.layers.Dense(2, name="dense")]
    return keras.Sequential(layers, name=name)


def _keras(directory):
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    model = mlp(keras)
    model.save(directory / "whole.keras")
    model.save(directory / "whole.h5")
    keras.saving.save_model(model, str(directory / "unpacked"), zipped=False)
    model.save_weights(directory / "only.weights.h5")
    (directory / "architecture.json").write_text(model.to_json())
    tf.train.Checkpoint(model=model).save(directory / "objects/ckpt")
    model.export(directory / "saved")
    functional = keras.Model(model.inputs, model.outputs)
    functional.save(directory / "functional.keras")


def save_by_keras_2(directory):
    """Weights as Keras 2 saves them; what the model answers to ones."""
    import tf_keras

    model = mlp(tf_keras)
    model.save_weights(str(directory / "ckpt"))
    import tensorflow as tf

    return model(tf.ones((1, 3))).numpy()


def load_by_keras_2(lines):
    import tf_keras

    run(lines, model=mlp(tf_keras))


def _graphs(directory):
    import tensorflow as tf
    from google.protobuf import text_format

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="in/x")
        weight = v1.get_variable("weight", initializer=[1.0, 2.0, 3.0], use_resource=False)
        y = tf.multiply(x, weight, name="out/y")
        session.run(v1.global_variables_initializer())
        saver = v1.train.Saver()
        saver.save(session, str(directory / "old" / "model.ckpt"))
        v1.train.Saver(write_version=1).save(session, str(directory / "oldest" / "model.ckpt"))
        frozen = v1.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), ["out/y"]
        )
        (directory / "frozen.pb").write_bytes(frozen.SerializeToString())
        (directory / "frozen.pbtxt").write_text(text_format.MessageToString(frozen))
        _module(v1, session, x, y, directory / "module")


def _module(v1, session, x, y, path):
    """What tensorflow_hub 0.12 wrote of a hub.Module: no tags, and a signature called default."""
    signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
    builder = v1.saved_model.Builder(str(path))
    builder.add_meta_graph_and_variables(session, [], signature_def_map={"default": signature})
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")


def run(lines, **names):
    """Run the lines of a remedy; `model` in them is what the user's own code makes."""
    import keras

    names = {"model": mlp(keras)} | names
    exec(compile(lines, "remedy", "exec"), names)


def answers(directory, x):
    """What the signature of a SavedModel answers to x, whatever its names."""
    import tensorflow as tf

    signature = tf.saved_model.load(str(directory)).signatures["serving_default"]
    [name] = signature.structured_input_signature[1]
    [answer] = signature(**{name: tf.constant(x, tf.float32)}).values()
    return answer.numpy()
