"""SavedModels as people have them, each with one thing in the way. Runs in a worker."""

from pathlib import Path

import numpy as np

from edgepack.engines.importing import import_tensorflow

WORDS = [b"good", b"bad", b"film", b"boring"]


def save_all(directory):
    models = (text, picture, examples, function, two_functions, two_signatures, open_sides)
    for make in (*models, old, old_loop, sound, twins, volume):
        make(import_tensorflow(), str(Path(directory) / make.__name__))


def save_some(directory):
    keras(import_tensorflow(), str(Path(directory) / "model.keras"))
    for make in (text, nosy, two_signatures):
        make(import_tensorflow(), str(Path(directory) / make.__name__))


def keras(tf, path):
    """A whole Keras model in one file."""
    layers = [tf.keras.Input((3,), name="x"), tf.keras.layers.Dense(2, name="scores")]
    tf.keras.Sequential(layers).save(path)


def nosy(tf, path):
    """Looks which files there are."""
    spec = [tf.TensorSpec([None, 3], tf.float32, "x")]

    def call(x):
        count = tf.size(tf.io.matching_files("/etc/host*"))
        return {"y": x * 2.0, "files": tf.cast(count, tf.float32) + 0.0 * x[:, 0]}

    model = tf.Module()
    model.call = tf.function(call, input_signature=spec)
    tf.saved_model.save(model, path, signatures=model.call)


def text(tf, path):
    """Takes sentences; gives the sum of its first eight words' vectors."""

    class Model(tf.Module):
        def __init__(self):
            super().__init__()
            keys = tf.lookup.KeyValueTensorInitializer(WORDS, np.arange(1, 5), tf.string, tf.int64)
            self.table = tf.lookup.StaticHashTable(keys, 0)
            self.vectors = tf.Variable(np.arange(15, dtype=np.float32).reshape(5, 3))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "sentence")])
        def call(self, sentence):
            words = tf.strings.split(tf.strings.lower(sentence))
            ids = self.table.lookup(words.to_tensor(b"", shape=[None, 8]))
            return {"sum": tf.reduce_sum(tf.gather(self.vectors, ids), 1)}

    model = Model()
    tf.saved_model.save(model, path, signatures=model.call)


def picture(tf, path):
    """Takes encoded pictures, which it decodes in a loop."""
    model = tf.Module()
    model.w = tf.Variable(np.linspace(-1, 1, 54, dtype=np.float32).reshape(3, 3, 3, 2))

    def decoded(data):
        return tf.image.resize(tf.io.decode_png(data, 3), [8, 8]) / 255.0

    def call(data):
        images = tf.map_fn(decoded, data, fn_output_signature=tf.float32)
        images = tf.ensure_shape(images, [None, 8, 8, 3])
        return {"y": tf.reduce_mean(tf.nn.conv2d(images, model.w, 1, "SAME"), [1, 2])}

    model.call = tf.function(call, input_signature=[tf.TensorSpec([None], tf.string, "data")])
    tf.saved_model.save(model, path, signatures=model.call)


def examples(tf, path):
    """As Estimators were exported: parses tf.Example messages, names classes beside scores."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        serialized = v1.placeholder(tf.string, [None], "serialized")
        kinds = {
            "size": tf.io.FixedLenFeature([3], tf.float32),
            "age": tf.io.FixedLenFeature([], tf.int64, default_value=1),
        }
        features = v1.io.parse_example(serialized, kinds)
        w = v1.get_variable("w", initializer=np.float32([[1, 0], [0, 1], [1, 1]]))
        scores = tf.matmul(features["size"], w) + tf.cast(features["age"], tf.float32)[:, None]
        named = tf.strings.as_string(tf.argmax(scores, 1))
        session.run(v1.global_variables_initializer())
        outputs = {"scores": scores, "classes": named}
        definition = v1.saved_model.predict_signature_def({"examples": serialized}, outputs)
        _save_v1(tf, session, path, {"serving_default": definition})


def sound(tf, path):
    """Takes one waveform of any length; scores each of its frames, and all of it."""
    model = tf.Module()
    model.w = tf.Variable(np.linspace(-1, 1, 64, dtype=np.float32).reshape(16, 4))

    def call(waveform):
        scores = tf.nn.softmax(tf.signal.frame(waveform, 16, 8) @ model.w)
        return {"scores": scores, "mean": tf.reduce_mean(waveform)}

    spec = [tf.TensorSpec([None], tf.float32, "waveform")]
    model.call = tf.function(call, input_signature=spec)
    tf.saved_model.save(model, path, signatures=model.call)


def twins(tf, path):
    """Two names for one input, and two for one output."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 2], "x")
        y = x * 2.0
        definition = v1.saved_model.predict_signature_def({"a": x, "b": x}, {"y": y, "z": y})
        _save_v1(tf, session, path, {"serving_default": definition})


def _save_v1(tf, session, path, signatures):
    builder = tf.compat.v1.saved_model.Builder(path)
    builder.add_meta_graph_and_variables(session, ["serve"], signatures)
    builder.save()


def example(size, age):
    """A serialized tf.Example."""
    tf = import_tensorflow()
    features = {
        "size": tf.train.Feature(float_list=tf.train.FloatList(value=size)),
        "age": tf.train.Feature(int64_list=tf.train.Int64List(value=[age])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def function(tf, path):
    """Has a function and no signature."""
    model = tf.Module()
    model.w = tf.Variable(np.eye(3, dtype=np.float32) * 2)
    spec = tf.TensorSpec([None, 3], tf.float32, "x")
    model.double = tf.function(lambda x: x @ model.w, input_signature=[spec])
    tf.saved_model.save(model, path)


def two_functions(tf, path):
    """Has two, and no signature."""
    model = tf.Module()
    spec = [tf.TensorSpec([None, 3], tf.float32, "x")]
    model.double = tf.function(lambda x: x * 2.0, input_signature=spec)
    model.triple = tf.function(lambda x: x * 3.0, input_signature=spec)
    tf.saved_model.save(model, path)


def two_signatures(tf, path):
    """Two heads over the same input, and one that takes something else."""
    model = tf.Module()
    model.w = tf.Variable(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))
    four = [tf.TensorSpec([None, 4], tf.float32, "x")]
    logits = tf.function(lambda x: {"logits": x @ model.w}, input_signature=four)
    scores = tf.function(lambda x: {"scores": tf.nn.softmax(x @ model.w)}, input_signature=four)
    spec = [tf.TensorSpec([None, 2], tf.float32, "y")]
    other = tf.function(lambda y: {"sum": tf.reduce_sum(y, 1)}, input_signature=spec)
    signatures = {"serving_default": logits, "scores": scores, "other": other}
    tf.saved_model.save(model, path, signatures=signatures)


def open_sides(tf, path):
    """An image of any size."""
    model = tf.Module()
    model.w = tf.Variable(np.ones((3, 3, 1, 2), np.float32) / 9)
    spec = tf.TensorSpec([None, None, None, 1], tf.float32, "image")
    call = tf.function(lambda image: tf.nn.conv2d(image, model.w, 1, "SAME"), [spec])
    tf.saved_model.save(model, path, signatures=call)


def old(tf, path):
    """Of TensorFlow 1: a reference variable, a pinned device, a tag and names of its own."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 2], "x")
        with tf.device("/device:GPU:0"):
            w = v1.get_variable("w", initializer=np.float32([[1], [2]]), use_resource=False)
            y = tf.matmul(x, w)
        session_options = v1.ConfigProto(allow_soft_placement=True)
        with v1.Session(config=session_options) as session:
            session.run(v1.global_variables_initializer())
            definition = v1.saved_model.predict_signature_def({"in:0": x}, {"out/y": y})
            builder = v1.saved_model.Builder(path)
            builder.add_meta_graph_and_variables(session, ["edge"], {"predict": definition})
            builder.save()


def old_loop(tf, path):
    """TensorFlow 1's while loop over a tensor array: running sums of five steps."""
    v1 = tf.compat.v1
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default(), v1.Session() as session:
            x = v1.placeholder(tf.float32, [None, 5, 3], "x")
            steps = tf.transpose(x, [1, 0, 2])
            fed = tf.TensorArray(tf.float32, 5).unstack(steps)
            sums = tf.TensorArray(tf.float32, 5)

            def body(index, total, sums):
                total = total + fed.read(index)
                return index + 1, total, sums.write(index, total)

            loop = v1.while_loop(lambda i, *_: i < 5, body, [0, tf.zeros_like(steps[0]), sums])
            y = tf.transpose(loop[2].stack(), [1, 0, 2])
            definition = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
            builder = v1.saved_model.Builder(path)
            signatures = {"serving_default": definition}
            builder.add_meta_graph_and_variables(session, ["serve"], signatures)
            builder.save()
    finally:
        v1.enable_control_flow_v2()


def volume(tf, path):
    """Pools over three dimensions, once with and once without padding."""
    spec = tf.TensorSpec([None, 5, 7, 6, 2], tf.float32, "x")

    def call(x):
        same = tf.nn.max_pool3d(x, [2, 3, 2], [2, 2, 1], "SAME")
        return {"y": tf.nn.max_pool3d(same, [2, 2, 3], [1, 1, 1], "VALID")}

    model = tf.Module()
    model.call = tf.function(call, input_signature=[spec])
    tf.saved_model.save(model, path, signatures=model.call)
