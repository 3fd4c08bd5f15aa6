"""Small models, each made both ways: with what decides a least release, and without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from kernel_files import SHAPES
from quantizer_models import Builder

from edgepack.engines.importing import import_tensorflow

RNG = np.random.default_rng(0)


def layer(operator):
    """One float32 layer, to be quantized."""
    from ai_edge_litert import schema_py_generated as schema

    fed, weights, made, _ = SHAPES[operator]
    built = Builder()
    x = built.tensor("x", fed)
    w = built.tensor("w", weights, RNG.normal(0, 0.3, weights))
    b = built.tensor("b", made[-1:], RNG.normal(0, 0.1, made[-1]))
    inputs = [x, w, b]
    if operator == "TRANSPOSE_CONV":
        shape = built.tensor("shape", (len(made),), made)
        built.graph.tensors[shape].type = schema.TensorType.INT32
        built.model.buffers[-1].data = np.frombuffer(np.int32(made).tobytes(), np.uint8)
        inputs = [shape, w, x, b]
    y = built.tensor("y", made)
    kind, fields = OPTIONS[operator]
    built.operator(operator, inputs, [y], kind, **fields)
    if operator == "TRANSPOSE_CONV":
        built.model.operatorCodes[-1].version = 3  # it has a bias
    return built.finish([x], [y])


VALID = {"padding": 1, "strideW": 1, "strideH": 1}
OPTIONS = {
    "FULLY_CONNECTED": ("FullyConnectedOptions", {}),
    "CONV_2D": ("Conv2DOptions", VALID),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", VALID | {"depthMultiplier": 1}),
    "TRANSPOSE_CONV": ("TransposeConvOptions", VALID),
}


def convert_all(directory):
    """BEFORE and AFTER of each case, converted by TensorFlow: NUMBER-0.tflite, NUMBER-1.tflite."""
    tf = import_tensorflow()
    for number, (_, *ways) in enumerate(cases(tf)):
        for way, (function, shape, dtype, fields) in enumerate(ways):
            content = _convert(tf, function, tf.TensorSpec(shape, dtype, "x"), fields)
            (Path(directory) / f"{number}-{way}.tflite").write_bytes(content)


def _convert(tf, function, spec, fields):
    import warnings

    warnings.simplefilter("ignore")
    concrete = tf.function(function, input_signature=[spec]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    for name, value in fields.items():
        setattr(converter, name, value)
    return converter.convert()


DECIDED = (  # what decides in each case, in their order; needs no TensorFlow
    "CONV_2D version 6",
    "GELU version 1",
    "FULLY_CONNECTED version 12",
    "ADD version 4",
    "MUL version 5",
    "SUB version 4",
    "RANGE version 2",
    "ADD version 5",
    "MUL version 7",
    "CAST version 2",
    "CAST version 3",
    "CAST version 4",
    "CAST version 5",
    "GATHER version 6",
    "GATHER_ND version 4",
    "GATHER_ND version 5",
    "ARG_MAX version 3",
    "ARG_MIN version 3",
    "WHERE version 2",
    "ABS version 5",
    "SIGN version 2",
    "SELECT version 3",
    "SUB version 3",
    "DIV version 2",
    "MAXIMUM version 3",
    "MINIMUM version 3",
    "PAD version 4",
    "PADV2 version 4",
    "FULLY_CONNECTED version 5",
    "RESIZE_BILINEAR version 3",
    "RESIZE_NEAREST_NEIGHBOR version 3",
)
FIVE, FOUR = [1, 2, 3, 4, 5], [1, 6, 4, 5]


def cases(tf):
    """(what decides, before, after); a way is a function, its input's shape and type, and what the
    converter is told.
    """
    grouped = tf.constant(_weights(3, 3, 2, 8))
    dense = tf.constant(_weights(8, 8))
    optimized = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    off = {"_experimental_disable_per_channel_quantization_for_dense_layers": True}
    picked, near = tf.constant([[0], [2]], tf.int16), tf.compat.v1.image
    flag = lambda x: tf.cast(x, tf.float32)  # noqa: E731
    image, vector, many = [1, 8, 8, 4], [4], [1, 8]

    def apart(function):
        """On five dimensions, and on four."""
        five, four = tf.ones([5]), tf.ones([5])
        return (
            (lambda x: function(x, tf.reshape(five, [1, 1, 1, 1, 5])), FIVE, tf.float32, {}),
            (lambda x: function(x, tf.reshape(four, [1, 1, 1, 5])), FOUR, tf.float32, {}),
        )

    def retyped(function, before, after):
        return tuple((function, vector, dtype, {}) for dtype in (before, after))

    def padded(value):
        def pad(x):
            return tf.pad(x, [[0, 0]] * (len(x.shape) - 1) + [[1, 1]], constant_values=value)

        return tuple((pad, shape, tf.float32, {}) for shape in (FIVE, FOUR))

    ways = (
        (
            (lambda x: tf.nn.conv2d(x, grouped, 1, "SAME"), image, tf.float32, {}),
            (lambda x: _each_group(tf, x, grouped), image, tf.float32, {}),
        ),
        (
            (lambda x: tf.nn.gelu(x @ dense), many, tf.float32, {}),
            (lambda x: (x @ dense) * tf.sigmoid(1.702 * (x @ dense)), many, tf.float32, {}),
        ),
        (
            (lambda x: x @ _large(tf), [1, 64], tf.float32, optimized),
            (lambda x: x @ _large(tf), [1, 64], tf.float32, optimized | off),
        ),
        retyped(lambda x: x + x, tf.int64, tf.int32),
        retyped(lambda x: x * x, tf.int64, tf.int32),
        retyped(lambda x: x - x[:1], tf.int64, tf.int32),
        tuple((tf.range, [], dtype, {}) for dtype in (tf.int64, tf.int32)),
        retyped(lambda x: x + x, tf.int16, tf.int32),
        retyped(lambda x: x * x, tf.uint32, tf.int32),
        retyped(flag, tf.uint32, tf.int32),
        retyped(flag, tf.int8, tf.uint8),
        retyped(flag, tf.uint16, tf.int32),
        retyped(lambda x: tf.cast(x, tf.float32) + 1.0, tf.float64, tf.float32),
        tuple(
            (lambda i: tf.gather(tf.ones([4]), i), vector, dtype, {})
            for dtype in (tf.int16, tf.int32)
        ),
        tuple(
            (lambda i: tf.gather_nd(tf.ones([4]), i), [2, 1], dtype, {})
            for dtype in (tf.int16, tf.int32)
        ),
        (
            (lambda x: tf.gather_nd(x, tf.cast(picked, tf.int32)), vector, tf.bool, {}),
            (lambda x: tf.gather_nd(flag(x), tf.cast(picked, tf.int32)), vector, tf.bool, {}),
        ),
        (
            (tf.argmax, vector, tf.bool, {}),
            (lambda x: tf.argmax(flag(x)), vector, tf.bool, {}),
        ),
        (
            (tf.argmin, vector, tf.bool, {}),
            (lambda x: tf.argmin(flag(x)), vector, tf.bool, {}),
        ),
        (
            (tf.where, vector, tf.int32, {}),
            (lambda x: tf.where(tf.not_equal(x, 0)), vector, tf.int32, {}),
        ),
        (
            (tf.abs, vector, tf.int32, {}),
            (lambda x: tf.maximum(x, -x), vector, tf.int32, {}),
        ),
        (
            (tf.sign, vector, tf.int32, {}),
            (lambda x: tf.clip_by_value(x, -1, 1), vector, tf.int32, {}),
        ),
        tuple(
            (lambda x: tf.where(x > 0.5, x, x * 2.0), shape, tf.float32, {})
            for shape in (FIVE, FOUR)
        ),
        apart(lambda x, y: x - y),
        apart(lambda x, y: y / x),
        apart(tf.maximum),
        apart(tf.minimum),
        padded(0),
        padded(2),
        (
            (lambda x: tf.tensordot(x, dense, 1), [1, 3, 8], tf.float32, {}),
            (lambda x: x @ dense, [3, 8], tf.float32, {}),
        ),
        (
            (lambda x: tf.image.resize(x, [16, 16]), image, tf.float32, {}),
            (lambda x: near.resize(x, [16, 16]), image, tf.float32, {}),
        ),
        (
            (lambda x: tf.image.resize(x, [16, 16], "nearest"), image, tf.float32, {}),
            (lambda x: near.resize_nearest_neighbor(x, [16, 16]), image, tf.float32, {}),
        ),
    )
    return [(name, *pair) for name, pair in zip(DECIDED, ways, strict=True)]


def _weights(*shape):
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _large(tf):
    return tf.constant(_weights(64, 64))  # fewer than 1,024 weights are not quantized


def _each_group(tf, x, weights):
    parts = zip(tf.split(x, 2, -1), tf.split(weights, 2, -1), strict=True)
    return tf.concat([tf.nn.conv2d(one, own, 1, "SAME") for one, own in parts], -1)


def save_open(directory):
    """A SavedModel of an open batch, whose shape it asks for."""
    tf = import_tensorflow()
    module = tf.Module()
    module.row = tf.Variable(tf.ones([1, 4]))

    def spread(x):
        shape = tf.broadcast_dynamic_shape(tf.shape(x), tf.constant([1, 4]))
        return {"y": x * 2.0 + tf.broadcast_to(module.row * 3.0, shape)}

    spec = tf.TensorSpec([None, 4], tf.float32, "x")
    module.call = tf.function(spread, input_signature=[spec])
    tf.saved_model.save(module, directory, signatures=module.call)
