"""Small float32 .tflite files with weights, made by the generated schema."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_models import pack

NONE, RELU, RELU6 = 0, 1, 3  # ActivationFunctionType
CHANNELS, SIDE, CLASSES = 4, 6, 5


class Builder:
    """Collects tensors and operators of one graph."""

    def __init__(self):
        self.graph, self.model = schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.operatorCodes, self.model.buffers = [], [schema.BufferT()]

    def tensor(self, name, shape, values=None, like=None):
        """A tensor; a constant where there are values, of the same bytes as another's by `like`."""
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name.encode(), list(shape), 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.float32(values).tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if like is not None:
            made.buffer = self.graph.tensors[like].buffer
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, options, **fields):
        code, made = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = code.builtinCode, 1
        self.model.operatorCodes.append(code)
        made.opcodeIndex, made.inputs, made.outputs = len(self.graph.operators), inputs, outputs
        made.builtinOptions = getattr(schema, f"{options}T")()
        made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        for field, value in fields.items():
            assert hasattr(made.builtinOptions, field)
            setattr(made.builtinOptions, field, value)
        self.graph.operators.append(made)

    def finish(self, inputs, outputs):
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        self.graph.inputs, self.graph.outputs = inputs, outputs
        signature.inputs = [_port(f"x{n}", index) for n, index in enumerate(inputs)]
        signature.outputs = [_port(f"y{n}", index) for n, index in enumerate(outputs)]
        self.model.signatureDefs = [signature]
        return pack(self.model)


def _port(name, index):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), index
    return made


def classifier(
    names=("conv", "depthwise", "classes"),
    activation=RELU6,
    weights=None,
    bias=None,
    shared=False,
):
    """CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, whose outputs have these names.

    Args:
        names: of the outputs.
        activation: of the depthwise convolution.
        weights: of the same, [1, 3, 3, 4].
        bias: of the same, [4].
        shared: another depthwise convolution follows, of the same weights and four times the bias.
    """
    rng, built = np.random.default_rng(0), Builder()
    image = (1, SIDE, SIDE, CHANNELS)
    stride = {"padding": schema.Padding.SAME, "strideW": 1, "strideH": 1}
    stride |= {"dilationWFactor": 1, "dilationHFactor": 1}
    x = built.tensor("x", (1, SIDE, SIDE, 3))
    w = built.tensor("w1", (CHANNELS, 3, 3, 3), rng.normal(0, 0.3, (CHANNELS, 3, 3, 3)))
    b = built.tensor("b1", (CHANNELS,), rng.normal(0, 0.1, CHANNELS))
    y = built.tensor(names[0], image)
    built.operator(
        "CONV_2D", [x, w, b], [y], "Conv2DOptions", fusedActivationFunction=RELU, **stride
    )
    drawn = rng.normal(0, 0.3, (1, 3, 3, CHANNELS)), rng.normal(0, 0.1, CHANNELS)
    weights, bias = (d if g is None else g for g, d in zip((weights, bias), drawn, strict=True))
    d = built.tensor("w2", (1, 3, 3, CHANNELS), weights)
    for factor in (1, 4) if shared else (1,):
        second = factor != 1
        e = built.tensor("w2_again", (1, 3, 3, CHANNELS), like=d) if second else d
        b = built.tensor("b2_again" if second else "b2", (CHANNELS,), np.multiply(bias, factor))
        x, y = y, built.tensor("again" if second else names[1], image)
        built.operator(
            "DEPTHWISE_CONV_2D",
            [x, e, b],
            [y],
            "DepthwiseConv2DOptions",
            fusedActivationFunction=activation,
            depthMultiplier=1,
            **stride,
        )
    size = SIDE * SIDE * CHANNELS
    w = built.tensor("w3", (CLASSES, size), rng.normal(0, 0.1, (CLASSES, size)))
    b = built.tensor("b3", (CLASSES,), rng.normal(0, 0.3, CLASSES))
    classes = built.tensor(names[2], (1, CLASSES))
    built.operator("FULLY_CONNECTED", [y, w, b], [classes], "FullyConnectedOptions")
    return built.finish([0], [classes])


def splitter(names):
    """A SPLIT whose outputs have these names, in front of a FULLY_CONNECTED of the first."""
    built, size = Builder(), len(names) * 2
    x = built.tensor("x", (1, size))
    axis = built.tensor("axis", (), [0.0])
    built.graph.tensors[axis].type = schema.TensorType.INT32
    built.model.buffers[-1].data = np.frombuffer(np.int32(1).tobytes(), np.uint8)
    parts = [built.tensor(name, (1, 2)) for name in names]
    built.operator("SPLIT", [axis, x], parts, "SplitOptions", numSplits=len(names))
    w = built.tensor("w", (3, 2), np.random.default_rng(0).normal(size=(3, 2)))
    y = built.tensor("y", (1, 3))
    built.operator("FULLY_CONNECTED", [parts[0], w, -1], [y], "FullyConnectedOptions")
    return built.finish([x], [y])
