"""SavedModels of every kind, to be saved twice and compared; run with a directory to fill."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np

X = [None, 4]


def save_all(directory):
    import tensorflow as tf

    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # What a process did before it saves must not show: other names, other numbers.
    for _ in range(int(os.environ.get("BEFOREHAND", "0"))):
        tf.function(lambda x: x + 1.0).get_concrete_function(tf.constant(1.0))
        tf.keras.Sequential([tf.keras.layers.Input([2]), tf.keras.layers.Dense(1)])
    for name, make in {"dense": dense, "recurrent": recurrent, "trained": trained}.items():
        make(tf).export(str(directory / name), verbose=False)
    keras_saved(tf, directory)
    for name, (module, signatures) in modules(tf, directory).items():
        tf.saved_model.save(module, str(directory / name), signatures=signatures)
    old(tf.compat.v1, directory)
    for name in ("branches", "old", "recurrent", "vocabulary"):
        shuffle(directory / name, directory / f"{name}_shuffled")


def shuffle(source, target):
    """The same model: nodes and functions in another order, and without what tools noted."""
    from tensorflow.core.protobuf import saved_model_pb2

    shutil.copytree(source, target)
    model = saved_model_pb2.SavedModel.FromString((source / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0].graph_def
    for listed in (
        graph.node,
        graph.library.function,
        *(f.node_def for f in graph.library.function),
    ):
        turned = [type(one).FromString(one.SerializeToString()) for one in reversed(listed)]
        del listed[:]
        listed.extend(turned)
    for node in (*graph.node, *(node for f in graph.library.function for node in f.node_def)):
        node.attr.pop("_output_shapes", None)
        node.ClearField("experimental_debug_info")
        node.device = "/device:GPU:0"
    (target / "saved_model.pb").write_bytes(model.SerializeToString())


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def set_weights(model):
    model.set_weights([values(*w.shape, seed=i) for i, w in enumerate(model.get_weights())])
    return model


def dense(tf):
    layers = tf.keras.layers
    return set_weights(
        tf.keras.Sequential(
            [
                layers.Input([4], name="x"),
                layers.Dense(3, "relu"),
                layers.Dropout(0.5),
                layers.Dense(2),
            ]
        )
    )


def recurrent(tf):
    layers = tf.keras.layers
    return set_weights(tf.keras.Sequential([layers.Input([5, 4], name="x"), layers.LSTM(3)]))


def trained(tf):
    """`dense` after a step of training that changes nothing."""
    model = dense(tf)
    model.compile(tf.keras.optimizers.Adam(0.0), "mse")
    model.fit(values(4, 4), values(4, 2), verbose=0)
    return model


def keras_saved(tf, directory):
    """The same model with and without its optimizer, saved as TensorFlow saves any object."""
    tf.saved_model.save(dense(tf), str(directory / "without_optimizer"))
    tf.saved_model.save(trained(tf), str(directory / "with_optimizer"))


def modules(tf, directory):
    def model(*functions, **held):
        module = tf.Module()
        for name, value in held.items():
            setattr(module, name, value)
        specs = [tf.TensorSpec(X, tf.float32, "x")]
        names = ("serving_default", "second")
        traced = [tf.function(f, input_signature=specs) for f in functions]
        return module, dict(zip(names, traced, strict=False))

    w, v = (tf.Variable(values(4, 4, seed=seed)) for seed in (1, 2))
    same = [tf.Variable(values(4, 4, seed=3)) for _ in range(2)]
    state = tf.Variable(np.zeros((4, 4), np.float32))
    table = vocabulary(tf, directory, "a\nb\n")
    other = vocabulary(tf, directory, "b\na\n", "other.txt")
    keyed = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([3, 4], tf.int64)), -1
    )
    both = {"w": w, "v": v}
    return {
        "plain": model(lambda x: {"y": x @ w @ v}, **both),
        "swapped": model(lambda x: {"y": x @ v @ w}, **both),
        "another_constant": model(lambda x: {"y": x @ w @ v + 1.0}, **both),
        "another_output": model(lambda x: {"z": x @ w @ v}, **both),
        "same_values": model(lambda x: {"y": x @ same[0] @ same[1]}, same=same),
        "same_values_swapped": model(lambda x: {"y": x @ same[1] @ same[0]}, same=same),
        "two_signatures": model(lambda x: {"y": x @ w}, lambda x: {"z": x @ v}, **both),
        "vocabulary": model(lambda x: {"y": x * found(tf, table)}, table=table),
        "another_vocabulary": model(lambda x: {"y": x * found(tf, other)}, table=other),
        "keyed": model(lambda x: {"y": x * found(tf, keyed)}, table=keyed),
        "branches": model(
            lambda x: {"y": tf.cond(tf.reduce_sum(x) > 0.0, lambda: x @ w, lambda: x @ v)}, **both
        ),
        "branches_swapped": model(
            lambda x: {"y": tf.cond(tf.reduce_sum(x) > 0.0, lambda: x @ v, lambda: x @ w)}, **both
        ),
        "loop": model(lambda x: {"y": loop(tf, x, w, 3)}, w=w),
        "longer_loop": model(lambda x: {"y": loop(tf, x, w, 4)}, w=w),
        "counts": model(lambda x: {"y": x @ state.assign_add(w)}, w=w, state=state),
        "reads_file": model(lambda x: {"y": x * tf.strings.to_number(tf.io.read_file("one"))}),
    }


def vocabulary(tf, directory, text, name="vocabulary.txt"):
    path = directory / name
    path.write_text(text)
    line, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    source = tf.lookup.TextFileInitializer(str(path), tf.string, line, tf.int64, number)
    return tf.lookup.StaticHashTable(source, -1)


def found(tf, table):
    return tf.cast(table.lookup(tf.constant(["a"])), tf.float32)


def loop(tf, x, w, times):
    return tf.while_loop(lambda i, _: i < times, lambda i, y: (i + 1, y @ w), [0, x])[1]


def old(tf, directory):
    """TensorFlow 1: reference variables, and loops that run in circles through the graph."""
    for name, times, step in (("old", 3, 1), ("old_longer", 4, 1), ("old_wider", 3, 2)):
        scope = "run" + os.environ.get("BEFOREHAND", "0")
        with tf.Graph().as_default(), tf.Session() as session, tf.variable_scope(scope):
            tf.disable_control_flow_v2()
            x = tf.placeholder(tf.float32, X)
            w = tf.get_variable("w", initializer=values(4, 4), use_resource=False)
            y = tf.while_loop(
                lambda i, _: i < times,  # noqa: B023
                lambda i, y: (i + step, tf.matmul(y, w)),  # noqa: B023
                [0, x],
            )[1]
            session.run(tf.global_variables_initializer())
            tf.saved_model.simple_save(session, str(directory / name), {"x": x}, {"y": y})


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    save_all(sys.argv[1])
