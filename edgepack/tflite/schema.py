"""Names of the numbers in a .tflite file, in the order of TFLite's schema (schema.fbs, v3).

Held against `ai_edge_litert.schema_py_generated` by a test.
"""

from __future__ import annotations

IDENTIFIER = b"TFL3"

TENSOR_TYPES = (
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8_e4m3fn",
    "float8_e5m2",
)

CUSTOM = 32
OPERATORS = (
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EMBEDDING_LOOKUP",
    "FLOOR",
    "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP",
    "L2_NORMALIZATION",
    "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOGISTIC",
    "LSH_PROJECTION",
    "LSTM",
    "MAX_POOL_2D",
    "MUL",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RNN",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SVDF",
    "TANH",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "CALL",
    "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE",
    "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "GATHER",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TRANSPOSE",
    "MEAN",
    "SUB",
    "DIV",
    "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "STRIDED_SLICE",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "EXP",
    "TOPK_V2",
    "SPLIT",
    "LOG_SOFTMAX",
    "DELEGATE",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "CAST",
    "PRELU",
    "MAXIMUM",
    "ARG_MAX",
    "MINIMUM",
    "LESS",
    "NEG",
    "PADV2",
    "GREATER",
    "GREATER_EQUAL",
    "LESS_EQUAL",
    "SELECT",
    "SLICE",
    "SIN",
    "TRANSPOSE_CONV",
    "SPARSE_TO_DENSE",
    "TILE",
    "EXPAND_DIMS",
    "EQUAL",
    "NOT_EQUAL",
    "LOG",
    "SUM",
    "SQRT",
    "RSQRT",
    "SHAPE",
    "POW",
    "ARG_MIN",
    "FAKE_QUANT",
    "REDUCE_PROD",
    "REDUCE_MAX",
    "PACK",
    "LOGICAL_OR",
    "ONE_HOT",
    "LOGICAL_AND",
    "LOGICAL_NOT",
    "UNPACK",
    "REDUCE_MIN",
    "FLOOR_DIV",
    "REDUCE_ANY",
    "SQUARE",
    "ZEROS_LIKE",
    "FILL",
    "FLOOR_MOD",
    "RANGE",
    "RESIZE_NEAREST_NEIGHBOR",
    "LEAKY_RELU",
    "SQUARED_DIFFERENCE",
    "MIRROR_PAD",
    "ABS",
    "SPLIT_V",
    "UNIQUE",
    "CEIL",
    "REVERSE_V2",
    "ADD_N",
    "GATHER_ND",
    "COS",
    "WHERE",
    "RANK",
    "ELU",
    "REVERSE_SEQUENCE",
    "MATRIX_DIAG",
    "QUANTIZE",
    "MATRIX_SET_DIAG",
    "ROUND",
    "HARD_SWISH",
    "IF",
    "WHILE",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "SCATTER_ND",
    "SELECT_V2",
    "DENSIFY",
    "SEGMENT_SUM",
    "BATCH_MATMUL",
    "PLACEHOLDER_FOR_GREATER_OP_CODES",
    "CUMSUM",
    "CALL_ONCE",
    "BROADCAST_TO",
    "RFFT2D",
    "CONV_3D",
    "IMAG",
    "REAL",
    "COMPLEX_ABS",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE",
    "REDUCE_ALL",
    "CONV_3D_TRANSPOSE",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE",
    "RANDOM_UNIFORM",
    "MULTINOMIAL",
    "GELU",
    "DYNAMIC_UPDATE_SLICE",
    "RELU_0_TO_1",
    "UNSORTED_SEGMENT_PROD",
    "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_SUM",
    "ATAN2",
    "UNSORTED_SEGMENT_MIN",
    "SIGN",
    "BITCAST",
    "BITWISE_XOR",
    "RIGHT_SHIFT",
    "STABLEHLO_LOGISTIC",
    "STABLEHLO_ADD",
    "STABLEHLO_DIVIDE",
    "STABLEHLO_MULTIPLY",
    "STABLEHLO_MAXIMUM",
    "STABLEHLO_RESHAPE",
    "STABLEHLO_CLAMP",
    "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM",
    "STABLEHLO_CONVOLUTION",
    "STABLEHLO_SLICE",
    "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE",
    "STABLEHLO_ABS",
    "STABLEHLO_AND",
    "STABLEHLO_COSINE",
    "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR",
    "STABLEHLO_LOG",
    "STABLEHLO_MINIMUM",
    "STABLEHLO_NEGATE",
    "STABLEHLO_OR",
    "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER",
    "STABLEHLO_RSQRT",
    "STABLEHLO_SELECT",
    "STABLEHLO_SUBTRACT",
    "STABLEHLO_TANH",
    "STABLEHLO_SCATTER",
    "STABLEHLO_COMPARE",
    "STABLEHLO_CONVERT",
    "STABLEHLO_DYNAMIC_SLICE",
    "STABLEHLO_DYNAMIC_UPDATE_SLICE",
    "STABLEHLO_PAD",
    "STABLEHLO_IOTA",
    "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_REDUCE_WINDOW",
    "STABLEHLO_SORT",
    "STABLEHLO_WHILE",
    "STABLEHLO_GATHER",
    "STABLEHLO_TRANSPOSE",
    "DILATE",
    "STABLEHLO_RNG_BIT_GENERATOR",
    "REDUCE_WINDOW",
    "STABLEHLO_COMPOSITE",
    "STABLEHLO_SHIFT_LEFT",
    "STABLEHLO_CBRT",
    "STABLEHLO_CASE",
)


def tensor_type(number: int) -> str:
    """The element type's name, as NumPy or ml_dtypes would say it."""
    return TENSOR_TYPES[number] if 0 <= number < len(TENSOR_TYPES) else f"type{number}"


def operator(number: int) -> str:
    """The builtin operator's name."""
    return OPERATORS[number] if 0 <= number < len(OPERATORS) else f"BUILTIN_{number}"


class Model:
    """Fields of Model, by their number in the schema, as in all classes below."""

    OPERATOR_CODES, SUBGRAPHS, DESCRIPTION, BUFFERS = 1, 2, 3, 4
    METADATA, SIGNATURES = 6, 7


class OperatorCode:
    """Fields of OperatorCode."""

    SMALL_CODE, CUSTOM, VERSION, CODE = range(4)


class SubGraph:
    """Fields of SubGraph."""

    TENSORS, INPUTS, OUTPUTS, OPERATORS = range(4)


class Tensor:
    """Fields of Tensor."""

    SHAPE, TYPE, BUFFER, NAME, QUANTIZATION, IS_VARIABLE = range(6)
    SPARSITY, SHAPE_SIGNATURE, HAS_RANK = 6, 7, 8


class Quantization:
    """Fields of QuantizationParameters."""

    SCALE, ZERO_POINT, DIMENSION = 2, 3, 6


class Operator:
    """Fields of Operator."""

    CODE, INPUTS, OUTPUTS, OPTIONS_TYPE, OPTIONS, CUSTOM_OPTIONS = range(6)
    OPTIONS_2_TYPE, OPTIONS_2 = 11, 12


class Buffer:
    """Fields of Buffer: data in the table, or behind the flatbuffer."""

    DATA, OFFSET, SIZE = range(3)


class Metadata:
    """Fields of Metadata."""

    NAME, BUFFER = range(2)


class Signature:
    """Fields of SignatureDef."""

    INPUTS, OUTPUTS, KEY = range(3)
    SUBGRAPH = 4


class TensorMap:
    """Fields of TensorMap."""

    NAME, TENSOR = range(2)


Option = tuple[int, str, int]  # field of the operator's options, struct's code, default

# Options that the version of an operator depends on (op_versions.txt).
OPTIONS: dict[str, dict[str, Option]] = {
    "ADD": {"pot_scale_int16": (1, "?", 1)},
    "BATCH_MATMUL": {"asymmetric_quantize_inputs": (2, "?", 0)},
    "BIDIRECTIONAL_SEQUENCE_LSTM": {"asymmetric_quantize_inputs": (5, "?", 0)},
    "BIDIRECTIONAL_SEQUENCE_RNN": {"asymmetric_quantize_inputs": (3, "?", 0)},
    "CONV_2D": {"quantized_bias_type": (6, "b", 0)},
    "DEPTHWISE_CONV_2D": {"dilation_w_factor": (5, "i", 1), "dilation_h_factor": (6, "i", 1)},
    "FAKE_QUANT": {"narrow_range": (3, "?", 0)},
    "FULLY_CONNECTED": {
        "weights_format": (1, "b", 0),
        "keep_num_dims": (2, "?", 0),
        "asymmetric_quantize_inputs": (3, "?", 0),
        "quantized_bias_type": (4, "b", 0),
    },
    "GATHER": {"batch_dims": (1, "i", 0)},
    "LSTM": {"kernel_type": (3, "b", 0), "asymmetric_quantize_inputs": (4, "?", 0)},
    "RESIZE_BILINEAR": {"half_pixel_centers": (3, "?", 0)},
    "RESIZE_NEAREST_NEIGHBOR": {"align_corners": (0, "?", 0), "half_pixel_centers": (1, "?", 0)},
    "RNN": {"asymmetric_quantize_inputs": (1, "?", 0)},
    "STRIDED_SLICE": {
        "ellipsis_mask": (2, "i", 0),
        "new_axis_mask": (3, "i", 0),
        "offset": (5, "?", 0),
    },
    "SUB": {"pot_scale_int16": (1, "?", 1)},
    "SVDF": {"asymmetric_quantize_inputs": (2, "?", 0)},
    "TRANSPOSE_CONV": {
        "fused_activation_function": (3, "b", 0),
        "quantized_bias_type": (4, "b", 0),
    },
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {
        "asymmetric_quantize_inputs": (4, "?", 0),
        "diagonal_recurrent_tensors": (5, "?", 0),
    },
    "UNIDIRECTIONAL_SEQUENCE_RNN": {"asymmetric_quantize_inputs": (2, "?", 0)},
}
