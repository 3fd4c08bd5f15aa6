"""Small float32 files that are hard to quantize, with TensorFlow's own int8. Runs in a worker."""

from pathlib import Path

import numpy as np

from edgepack.engines.importing import import_tensorflow

STEPS, UNITS = 6, 8
RNG = np.random.default_rng(7)


def save_all(directory):
    """Write NAME.tflite for each; NAME.stock.tflite where TensorFlow makes int8 of it, too."""
    tf = import_tensorflow()
    directory = Path(directory)
    for make in (lookup, several_types, open_batch, loop, branch, dead_channels):
        _write(directory, make.__name__, _module(tf, make(tf)))
    _write(directory, "four_bits", _module(tf, _few_bits(tf)))
    for make in (trained, half_trained):
        _write(directory, make.__name__, _module(tf, make(tf)), stock=True)
    _write(directory, "lstm", _lstm(tf, looping=False), stock=True)
    _write(directory, "lstm_and_loop", _lstm(tf, looping=True))
    _write(directory, "signatures", _signatures(tf), keys=["first", "second"])


def samples(name, count):
    """Of one model, [count, ...] by input name; always the same."""
    rng = np.random.default_rng(3)
    shapes = {
        "lookup": (4,),
        "several_types": (3,),
        "signatures": (3,),
        "branch": (3,),
        "four_bits": (3,),
    }
    steps = dict.fromkeys(("loop", "lstm", "lstm_and_loop"), (STEPS, 3))
    shape = (count, *(shapes | steps).get(name, (8, 8, 3)))
    if name == "lookup":
        return {"x": rng.integers(0, 20, shape, np.int32)}
    values = {"x": rng.normal(size=shape).astype(np.float32)}
    if name == "several_types":
        values["k"] = rng.integers(0, 9, (count, 1), np.int32)
    return values


def save_keywords(saved_model, features, directory):
    """The keyword model as float32, and as int8 by TensorFlow's guide with 100 samples."""
    import shutil

    from tensorflow.core.protobuf import saved_model_pb2

    copy = Path(directory) / "keywords"
    shutil.copytree(saved_model, copy, copy_function=shutil.copyfile)
    parsed = saved_model_pb2.SavedModel.FromString((copy / "saved_model.pb").read_bytes())
    for meta in parsed.meta_graphs:
        for node in meta.object_graph_def.nodes:
            del node.slot_variables[:]
    (copy / "saved_model.pb").write_bytes(parsed.SerializeToString())
    _convert(copy, copy.with_suffix(".tflite"))
    calibration = lambda: ([one[None]] for one in features[:100])  # noqa: E731
    _convert(copy, copy.with_suffix(".stock.tflite"), calibration)


def _write(directory, name, module, keys=("serving_default",), stock=False):
    tf = import_tensorflow()
    saved = directory / name
    functions = {key: getattr(module, key).get_concrete_function() for key in keys}
    tf.saved_model.save(module, str(saved), signatures=functions)
    _convert(saved, saved.with_suffix(".tflite"), keys=list(keys))
    if stock:
        calibration = lambda: ([one[None]] for one in samples(name, 40)["x"])  # noqa: E731
        _convert(saved, saved.with_suffix(".stock.tflite"), calibration)


def _convert(saved, target, calibration=None, keys=None):
    tf = import_tensorflow()
    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved), signature_keys=keys)
    if calibration:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    target.write_bytes(converter.convert())


def _module(tf, function):
    module = tf.Module()
    module.serving_default = function
    return module


def _weights(tf, *shape):
    return tf.constant(RNG.normal(size=shape).astype(np.float32) * 0.5)


def _taking(tf, *shape, dtype="float32", **others):
    specs = [tf.TensorSpec(shape, dtype, "x")]
    specs += [tf.TensorSpec(other, "int32", name) for name, other in others.items()]
    return tf.function(input_signature=specs)


def lookup(tf):
    """Whole numbers in: rows of a table."""
    table, w = _weights(tf, 20, 6), _weights(tf, 6, 3)

    @_taking(tf, 1, 4, dtype="int32")
    def call(x):
        return {"y": tf.nn.softmax(tf.reduce_mean(tf.gather(table, x), 1) @ w)}

    return call


def several_types(tf):
    """Float and whole numbers in, float and whole numbers out."""
    w, v = _weights(tf, 3, 4), _weights(tf, 4, 4)

    @_taking(tf, 1, 3, k=(1, 1))
    def call(x, k):
        hidden = tf.nn.relu(x @ w)
        return {"y": hidden @ v, "next": k + 1}

    return call


def open_batch(tf):
    """Any number of samples, and a shape computed from it."""
    k, w = _weights(tf, 3, 3, 3, 4), _weights(tf, 8 * 8 * 4, 3)

    @_taking(tf, None, 8, 8, 3)
    def call(x):
        y = tf.nn.relu(tf.nn.conv2d(x, k, 1, "SAME"))
        return {"y": tf.reshape(y, [tf.shape(x)[0], -1]) @ w}

    return call


def loop(tf):
    """A recurrent layer in a WHILE, between two others."""
    e, k, r, w = (_weights(tf, *s) for s in ((3, 4), (4, UNITS), (UNITS, UNITS), (UNITS, 3)))

    @_taking(tf, 1, STEPS, 3)
    def call(x):
        x = tf.reshape(tf.nn.relu(tf.reshape(x, [STEPS, 3]) @ e), [1, STEPS, 4])

        def step(index, state):
            return index + 1, tf.tanh(x[:, index] @ k + state @ r)

        start = [0, tf.zeros([1, UNITS])]
        _, state = tf.while_loop(lambda index, _: index < STEPS, step, start)
        return {"y": tf.nn.softmax(state @ w)}

    return call


def branch(tf):
    """Two ways, by the sign of the first number."""
    w, v = _weights(tf, 3, 4), _weights(tf, 3, 4)

    @_taking(tf, 1, 3)
    def call(x):
        return {"y": tf.cond(x[0, 0] > 0, lambda: x @ w, lambda: tf.nn.relu(x @ v))}

    return call


def dead_channels(tf):
    """Channels that are always 0, and others whose weights nearly are."""
    k, d = (np.array(_weights(tf, *shape)) for shape in ((3, 3, 3, 8), (3, 3, 8, 1)))
    k[..., 2:4], d[:, :, 3], d[:, :, 4] = 0, 1e-30, 0
    b, w = np.array([0, 0, 0, 5, -9, 0, 0, 0], np.float32), _weights(tf, 8, 3)

    @_taking(tf, 1, 8, 8, 3)
    def call(x):
        y = tf.nn.relu(tf.nn.conv2d(x, k, 1, "SAME"))
        y = tf.nn.relu6(tf.nn.depthwise_conv2d(y, d, [1, 1, 1, 1], "SAME") + b)
        return {"y": tf.reduce_mean(y, [1, 2]) @ w}

    return call


def trained(tf, whole=True):
    """Trained with quantization in mind: every range is in the model."""
    k, b, d, w = (_weights(tf, *s) for s in ((3, 3, 3, 8), (8,), (3, 3, 8, 1), (8, 4)))
    fake = tf.quantization.fake_quant_with_min_max_vars
    by_channel = tf.quantization.fake_quant_with_min_max_vars_per_channel
    limit = tf.reduce_max(tf.abs(k), [0, 1, 2])

    @_taking(tf, 1, 8, 8, 3)
    def call(x):
        narrow = by_channel(k, -limit, limit, narrow_range=True)
        y = tf.nn.relu(tf.nn.conv2d(fake(x, -3.0, 3.0), narrow, 1, "SAME") + b)
        y = tf.nn.relu(tf.nn.depthwise_conv2d(fake(y, 0.0, 6.0), d, [1, 1, 1, 1], "SAME"))
        if not whole:
            return {"y": tf.reduce_mean(y, [1, 2]) @ w}
        y = tf.reduce_mean(fake(y, 0.0, 8.0), [1, 2])
        return {"y": fake(y @ fake(w, -1.5, 1.5, narrow_range=True), -5.0, 5.0)}

    return call


def half_trained(tf):
    """The same without the ranges of its second half."""
    return trained(tf, whole=False)


def _few_bits(tf):
    fake, w = tf.quantization.fake_quant_with_min_max_vars, _weights(tf, 3, 4)

    @_taking(tf, 1, 3)
    def call(x):
        return {"y": fake(x, -3.0, 3.0, num_bits=4) @ w}

    return call


def _lstm(tf, looping):
    """A layer that the converter fuses into one kernel, as it does with those of Keras 2."""
    marks = {"api_implements": "lstm_1", "time_major": False, "go_backwards": False}

    @tf.function(experimental_attributes=marks)
    def layer(x, hidden, cell, kernel, recurrent, bias):
        outputs = []
        for index in range(STEPS):
            gates = tf.split(x[:, index] @ kernel + hidden @ recurrent + bias, 4, 1)
            cell = tf.sigmoid(gates[1]) * cell + tf.sigmoid(gates[0]) * tf.tanh(gates[2])
            hidden = tf.sigmoid(gates[3]) * tf.tanh(cell)
            outputs.append(hidden)
        return hidden, tf.stack(outputs, 1), hidden, cell, tf.constant(0.0)

    shapes = ((3, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,), (UNITS, UNITS), (UNITS, 2))
    variables = [tf.Variable(_weights(tf, *shape)) for shape in shapes]

    @_taking(tf, 1, STEPS, 3)
    def call(x):
        *cell, r, w = (tf.identity(one) for one in variables)
        zeros = tf.zeros([1, UNITS])
        y = layer(x, zeros, zeros, *cell)[1][:, -1]
        if looping:

            def step(index, state):
                return index + 1, tf.tanh(y + state @ r)

            _, y = tf.while_loop(lambda index, _: index < 3, step, [0, zeros])
        return {"y": y @ w}

    module = _module(tf, call)
    module.held = variables
    return module


def _signatures(tf):
    module = tf.Module()
    module.w, module.v = tf.Variable(_weights(tf, 3, 4)), tf.Variable(_weights(tf, 4, 3))

    @_taking(tf, 1, 3)
    def first(x):
        return {"y": tf.nn.relu(x @ module.w)}

    @_taking(tf, 1, 3)
    def second(x):
        return {"y": tf.nn.relu(x @ module.w) @ module.v}

    module.first, module.second = first, second
    return module
