"""Functions of a loaded model that stand in for the signature it lacks. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.engines.importing import import_tensorflow
from edgepack.savedmodel.functions import ROOT

if TYPE_CHECKING:
    from edgepack.records.stages import FunctionPorts


def traced(root: Any, name: str) -> Any:
    """The concrete function that `savedmodel.functions` calls `name`: an attribute, and a trace."""
    attribute, _, trace = name.partition("#")
    found = root if attribute == ROOT and hasattr(root, "inputs") else getattr(root, attribute)
    traces = getattr(found, "concrete_functions", [found])
    return traces[int(trace or 0)]


def as_signature(function: Any, ports: FunctionPorts) -> Any:
    """The function with its tensors by keyword, answering with a dictionary."""
    tf = import_tensorflow()
    given = function.structured_input_signature
    leaves = tf.nest.flatten(given)
    tensors = [leaf for leaf in leaves if isinstance(leaf, tf.TensorSpec)]

    def call(**feed: Any) -> dict[str, Any]:
        fed = iter([feed[name] for name in ports.inputs])
        filled = [next(fed) if isinstance(leaf, tf.TensorSpec) else leaf for leaf in leaves]
        args, kwargs = tf.nest.pack_sequence_as(given, filled)
        return dict(zip(ports.outputs, tf.nest.flatten(function(*args, **kwargs)), strict=True))

    specs = {
        name: tf.TensorSpec(spec.shape, spec.dtype, name)
        for name, spec in zip(ports.inputs, tensors, strict=True)
    }
    return tf.function(call).get_concrete_function(**specs)
