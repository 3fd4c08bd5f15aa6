"""What Keras 2 would run or read beyond its own layers while it loads a file. Runs in a worker.

The safe mode of tf-keras 2.21 looks for lambdas and nothing else. It imports any module that a
config names, and calls any function of TensorFlow's with arguments from the config: a file that
names `io.write_file` wrote a file before there was a model. So what is let through is listed here.
Keras 3.15 has such a list of its own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgepack.engines.keras_files import OWN, parts
from edgepack.savedmodel.effects import UNSAFE_OPS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ACTIVATIONS = _words(
    "elu exponential gelu hard_sigmoid leaky_relu linear mish relu selu sigmoid silu softmax "
    "softplus softsign swish tanh"
)
# Namespaces of tf.* whose functions compute and do no more, and functions of tf itself that do.
NAMESPACES = (
    *("__operators__", "bitwise", "image", "linalg", "math", "nn", "quantization", "ragged"),
    *("random", "signal", "sparse", "strings"),
    *("keras.activations", "keras.backend", "keras.losses", "keras.metrics"),
)
FUNCTIONS = _words(
    "abs acos acosh add add_n argmax argmin argsort as_string asin asinh atan atan2 atanh "
    "batch_to_space bitcast boolean_mask broadcast_to cast clip_by_norm clip_by_value complex "
    "concat convert_to_tensor cos cosh cumsum divide eig eigvals einsum ensure_shape equal exp "
    "expand_dims eye fill floor gather gather_nd greater greater_equal identity less less_equal "
    "linspace logical_and logical_not logical_or matmul maximum meshgrid minimum multiply negative "
    "norm not_equal one_hot ones ones_like pad pow range rank realdiv reduce_all reduce_any "
    "reduce_logsumexp reduce_max reduce_mean reduce_min reduce_prod reduce_sum repeat reshape "
    "reverse reverse_sequence roll round saturate_cast scalar_mul scatter_nd searchsorted "
    "sequence_mask shape shape_n sigmoid sign sin sinh size slice sort space_to_batch split sqrt "
    "square squeeze stack stop_gradient strided_slice subtract tan tanh tensor_scatter_nd_add "
    "tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update "
    "tensordot tile transpose truncatediv truncatemod tuple unique unstack where zeros "
    "zeros_like"
)
# What ragged and sparse tensors have that Keras 2 writes down as a layer.
ATTRIBUTES = _words(
    "bounding_shape dense_shape flat_values indices merge_dims nested_row_lengths "
    "nested_row_splits nested_value_rowids nrows row_lengths row_limits row_splits row_starts "
    "to_sparse to_tensor value_rowids values with_flat_values with_row_splits_dtype "
    "with_values"
)
CLASSES = frozenset(("RaggedTensor", "SparseTensor", "sparse.SparseTensor"))
PATHS = ("ckpt_to_load_from", "vocabulary", "vocabulary_file")  # where a text is another file
CLASS = re.compile(r"[A-Z]\w*")  # a function of Keras' is written small, and may be get_file


def beyond(config: dict[str, Any], registered: Collection[str]) -> tuple[str, ...]:
    """What Keras 2 would take from elsewhere to load a config, in words; nothing where it is safe.

    Args:
        config: of a whole model.
        registered: names of custom objects that the user's own modules registered with Keras 2.
    """
    own = frozenset(registered)
    found = {f"{name} {what}" for name, part in parts(config) for what in _part(part, own)}
    return tuple(sorted(found))


def _part(part: dict[str, Any], registered: frozenset[str]) -> Iterator[str]:
    yield from (f"reads {part[key]}" for key in PATHS if isinstance(part.get(key), str))
    if "class_name" not in part:
        return
    kinds = {_plain(part.get("class_name")), _plain(part.get("registered_name"))}
    if "function" in kinds:
        yield from _function(part, registered)
    elif part.get("module") is not None and part.get("registered_name") not in registered:
        yield from _class(part)
    inner = part.get("config")
    if isinstance(inner, dict):
        yield from (what for kind in kinds for what in _call(kind, inner))


def _plain(name: Any) -> str:
    return str(name).rpartition(">")[2]


def _function(part: dict[str, Any], registered: frozenset[str]) -> Iterator[str]:
    name, module = str(part.get("config")), part.get("module")
    own = module in {None, "builtins"} or OWN.match(str(module))
    if not (name in registered or (own and name in ACTIVATIONS)):
        yield f"calls {module}.{name}"


def _class(part: dict[str, Any]) -> Iterator[str]:
    """A class that is looked up by its names in a module: nothing but a class of Keras' own."""
    module, names = str(part["module"]), [part["class_name"], part.get("registered_name")]
    plain = all(name is None or CLASS.fullmatch(_plain(name)) for name in names)
    if not (OWN.match(module) and plain):
        yield f"imports {module}.{part['class_name']}"


def _call(kind: str, config: dict[str, Any]) -> Iterator[str]:
    """What a layer calls that stands for a call of TensorFlow's."""
    if kind in {"TFOpLambda", "SlicingOpLambda"} and not _computes(str(config.get("function"))):
        yield f"calls tf.{config.get('function')}"
    if kind in {"InstanceMethod", "InstanceProperty"} and config.get("attr_name") not in ATTRIBUTES:
        yield f"uses {config.get('attr_name')} of a value"
    if kind == "ClassMethod":
        symbol, method = str(config.get("cls_symbol")), str(config.get("method_name"))
        if symbol not in CLASSES or method.startswith("_"):
            yield f"calls tf.{symbol}.{method}"
    if kind == "TensorFlowOpLayer":
        node = config.get("node_def")
        op = node.get("op") if isinstance(node, dict) else None
        if not isinstance(op, str) or op in UNSAFE_OPS:
            yield f"runs the op {op or 'in its node_def'}"


def _computes(function: str) -> bool:
    name = function.removeprefix("compat.v1.")
    return name in FUNCTIONS or name.startswith(tuple(f"{space}." for space in NAMESPACES))
