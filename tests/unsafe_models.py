"""SavedModels that do more than compute, one a danger; run with a directory to fill."""

import os
import sys
from pathlib import Path

FLOATS = [None, 2]


def save_all(directory):
    import tensorflow as tf

    directory = Path(directory)
    for name, does in (in_signature(tf, directory) | in_function(tf)).items():
        save(tf, directory / name, does)
    for make in (lookup, runs_at_load, unreached, method, two_signatures, twice_the_same):
        make(tf, directory)
    for make in (old_graph, old_main_op, old_pipeline):
        make(tf.compat.v1, directory)
    tf.saved_model.load(str(directory / "runs_at_load"))
    disguise(directory)


def in_signature(tf, directory):
    """What each signature does with a file, by the name of its directory."""
    raw, text = tf.raw_ops, str(directory / "text.txt")
    return {
        "plain": lambda: 1.0,
        "reads_file": lambda: number(tf, tf.io.read_file(text)),
        "writes_file": lambda: wrote(tf, tf.io.write_file(text, "x")),
        "lists_files": lambda: number(tf, tf.io.matching_files("/etc/*")[0]),
        "eager_py_func": lambda: tf.ensure_shape(tf.py_function(abs, [-1.0], tf.float32), []),
        "py_func": lambda: tf.ensure_shape(tf.numpy_function(abs, [-1.0], tf.float32), []),
        "debug_urls": lambda: raw.DebugIdentity(input=1.0, debug_urls=[f"file://{directory}/log"]),
        "debug_nowhere": lambda: raw.DebugIdentity(input=1.0),
        "prints_to_file": lambda: wrote(tf, tf.print("x", output_stream=f"file://{text}")),
        "prints": lambda: wrote(tf, tf.print("x")),
        "text_dataset": lambda: length(tf.data.TextLineDataset(text)),
        "record_dataset": lambda: length(tf.data.TFRecordDataset(text)),
        "cached_in_memory": lambda: length(tf.data.Dataset.range(3).cache()),
        "cached_in_file": lambda: length(tf.data.Dataset.range(3).cache(text)),
        "saves": lambda: wrote(
            tf, raw.SaveV2(prefix=text, tensor_names=["x"], shape_and_slices=[""], tensors=[1.0])
        ),
        "restores": lambda: raw.RestoreV2(
            prefix=text, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0],
    }


def in_function(tf):
    """The same, inside a branch of a loop of a function that maps over a dataset."""

    def read(_):
        total = tf.constant(0.0)
        for _ in tf.range(2):
            if total < 1.0:
                total += number(tf, tf.io.read_file("/etc/hostname"))
        return total

    return {"nested": lambda: length(tf.data.Dataset.range(2).map(read))}


def number(tf, text):
    return tf.cast(tf.strings.length(text), tf.float32)


def wrote(tf, op):
    with tf.control_dependencies([op]):
        return tf.constant(1.0)


def length(dataset):
    return dataset.reduce(0.0, lambda count, _: count + 1.0)


def save(tf, path, does, signatures=("serving_default",), module=None):
    module = module or tf.Module()

    @tf.function(input_signature=[tf.TensorSpec(FLOATS, tf.float32, "x")])
    def call(x):
        return {"y": x + does()}

    tf.saved_model.save(module, str(path), signatures=dict.fromkeys(signatures, call))


def lookup(tf, directory):
    """A table that is filled from the model's own asset, as vocabularies are."""
    vocabulary = directory / "vocabulary.txt"
    vocabulary.write_text("a\nb\n")
    line, number_of_line = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    source = tf.lookup.TextFileInitializer(
        str(vocabulary), tf.string, line, tf.int64, number_of_line
    )
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(source, -1)
    found = lambda: tf.cast(module.table.lookup(tf.constant("a")), tf.float32)  # noqa: E731
    save(tf, directory / "lookup", found, module=module)


def runs_at_load(tf, directory):
    """A resource whose initialiser, which the loader calls, leaves a file behind."""
    from tensorflow.python.trackable import resource

    class Planted(resource.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self):
            tf.io.write_file(str(directory / "loaded"), "x")
            return 1

    module = tf.Module()
    module.planted = Planted()
    module.handle = module.planted.resource_handle
    save(tf, directory / "runs_at_load", lambda: 1.0, module=module)


def hangs(tf, directory):
    """A resource whose initialiser never ends."""
    from tensorflow.python.trackable import resource

    class Endless(resource.TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64)

        def _initialize(self):
            if tf.executing_eagerly():
                return 1
            return tf.while_loop(lambda i: i >= 0, stay, [tf.constant(0)])[0]

    def stay(i):
        tf.debugging.assert_equal(i, 0)  # an effect: without one the loop would be left out
        return i * 0

    module = tf.Module()
    module.endless = Endless()
    module.handle = module.endless.resource_handle
    save(tf, directory / "hangs", lambda: 1.0, module=module)


def _reading(tf):
    @tf.function(input_signature=[])
    def peek():
        return tf.io.read_file("/etc/hostname")

    return peek


def unreached(tf, directory):
    """A function of a part of the model that no signature uses."""
    module = tf.Module()
    module.part = tf.Module()
    module.part.peek = _reading(tf)
    save(tf, directory / "unreached", lambda: 1.0, module=module)


def method(tf, directory):
    """A function of the model itself that is no signature."""
    module = tf.Module()
    module.peek = _reading(tf)
    save(tf, directory / "method", lambda: 1.0, module=module)


def two_signatures(tf, directory):
    """One that computes, and one that reads."""
    module = tf.Module()
    spec = [tf.TensorSpec(FLOATS, tf.float32, "x")]
    calm = tf.function(lambda x: {"y": x + 1.0}, input_signature=spec)
    reads = tf.function(
        lambda x: {"y": x + number(tf, tf.io.read_file("/etc/hostname"))}, input_signature=spec
    )
    path = str(directory / "two_signatures")
    tf.saved_model.save(module, path, signatures={"calm": calm, "reads": reads})


def twice_the_same(tf, directory):
    """One op twice, and another beside it."""
    path = "/etc/hostname"
    both = lambda: (  # noqa: E731
        number(tf, tf.io.read_file(path) + tf.io.read_file("/etc/hosts"))
        + number(tf, tf.io.matching_files(path)[0])
    )
    save(tf, directory / "twice", both)


def old_graph(v1, directory):
    """TensorFlow 1: a variable with its saver, and a table that its legacy_init_op fills."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(v1.float32, FLOATS, "x")
        variable = v1.get_variable("v", initializer=1.0)
        asset = v1.constant(str(directory / "vocabulary.txt"))
        v1.add_to_collection(v1.GraphKeys.ASSET_FILEPATHS, asset)
        table = v1.raw_ops.HashTableV2(key_dtype=v1.string, value_dtype=v1.int64)
        fill = v1.raw_ops.InitializeTableFromTextFileV2(
            table_handle=table, filename=asset, key_index=-2, value_index=-1
        )
        found = v1.raw_ops.LookupTableFindV2(
            table_handle=table, keys="a", default_value=v1.constant(-1, v1.int64)
        )
        session.run(v1.global_variables_initializer())
        y = x + variable + v1.cast(found, v1.float32)
        _old_save(v1, session, directory / "old_graph", x, y, fill)


def old_main_op(v1, directory):
    """TensorFlow 1: what runs at load writes a file."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(v1.float32, FLOATS, "x")
        write = v1.io.write_file(str(directory / "main_op"), "x")
        _old_save(v1, session, directory / "old_main_op", x, x + 1.0, write)


def old_pipeline(v1, directory):
    """TensorFlow 1: the training's input pipeline was left in front of the signature's input."""
    with v1.Graph().as_default(), v1.Session() as session:
        x = v1.reshape(v1.io.decode_raw(v1.io.read_file("/tmp/sample"), v1.float32), [-1, 2])
        _old_save(v1, session, directory / "old_pipeline", x, x + 1.0, None)


def _old_save(v1, session, path, x, y, init):
    builder = v1.saved_model.Builder(str(path))
    signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
    builder.add_meta_graph_and_variables(
        session,
        ["serve"],
        {"serving_default": signature},
        main_op=init,
        assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
    )
    builder.save()


def disguise(directory):
    """Copies of models, changed by hand to look more harmless than they are."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    def changed(source, name):
        model = SavedModel.FromString((directory / source / "saved_model.pb").read_bytes())
        yield model.meta_graphs[0]
        (directory / name).mkdir()
        (directory / name / "saved_model.pb").write_bytes(model.SerializeToString())

    for meta in changed("two_signatures", "hidden_signature"):
        del meta.signature_def["reads"]
    for meta in changed("lookup", "asset_outside"):
        meta.asset_file_def[0].filename = "../../../etc/passwd"
    for meta in changed("lookup", "not_an_asset"):
        del meta.asset_file_def[:]
    for meta in changed("old_graph", "old_not_an_asset"):
        del meta.collection_def["saved_model_assets"]
    for meta in changed("saves", "restores_on_load"):
        meta.saver_def.restore_op_name = meta.saver_def.save_tensor_name.split(":")[0]
    in_two_parts(directory, SavedModel)


def in_two_parts(directory, model_type):
    """A MetaGraphDef that every reader of protocol buffers puts together from two."""
    model = model_type.FromString((directory / "nested" / "saved_model.pb").read_bytes())
    (first,) = model.meta_graphs
    second = type(first)()
    second.graph_def.library.CopyFrom(first.graph_def.library)
    first.graph_def.ClearField("library")
    whole = first.SerializeToString() + second.SerializeToString()
    (directory / "two_parts.meta").write_bytes(whole)


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if sys.argv[2:] == ["hangs"]:
        import tensorflow as tf

        hangs(tf, Path(sys.argv[1]))
    else:
        save_all(sys.argv[1])
