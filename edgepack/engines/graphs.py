"""A model as one flat graph of constants: what is left of it once its variables are frozen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgepack.engines.importing import import_tensorflow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVE = "serve"


@dataclass(frozen=True)
class Ports:
    """Where one signature enters and leaves a graph: tensor names by input and output name."""

    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True)
class Frozen:
    """A GraphDef without variables.

    Args:
        graph_def: the graph.
        ports: its signatures.
        specs: dtype and pinned shape of each input, by tensor name.
    """

    graph_def: Any
    ports: dict[str, Ports]
    specs: dict[str, Any]

    def with_graph(self, graph_def: Any) -> Frozen:
        """The same signatures over another graph."""
        return replace(self, graph_def=graph_def)

    def save(self, directory: Path) -> None:
        """Write it as a SavedModel of TensorFlow 1's kind, whose names may be any text."""
        tf = import_tensorflow()
        v1 = tf.compat.v1
        with tf.Graph().as_default() as graph:
            feeds = self._import()
            definitions = {
                name: v1.saved_model.build_signature_def(
                    {key: _info(feeds[tensor]) for key, tensor in ports.inputs.items()},
                    {key: _info(graph.get_tensor_by_name(t)) for key, t in ports.outputs.items()},
                    v1.saved_model.PREDICT_METHOD_NAME,
                )
                for name, ports in self.ports.items()
            }
            with v1.Session(graph=graph) as session:
                builder = v1.saved_model.Builder(str(directory))
                builder.add_meta_graph_and_variables(session, [SERVE], definitions)
                builder.save()

    def _import(self) -> dict[str, Any]:
        """Put the graph into TensorFlow's current one, behind placeholders of pinned shapes."""
        tf = import_tensorflow()
        nodes = {node.name for node in self.graph_def.node}
        feeds = {
            tensor: tf.compat.v1.placeholder(spec.dtype, spec.shape, f"edgepack_input_{number}")
            for number, (tensor, spec) in enumerate(self.specs.items())
        }
        used = {tensor: feed for tensor, feed in feeds.items() if node_of(tensor) in nodes}
        tf.graph_util.import_graph_def(self.graph_def, input_map=used, name="")
        return feeds


def node_of(tensor: str) -> str:
    """The node that makes a tensor, from the tensor's name or a node's input: ^n, n and n:0."""
    return tensor.removeprefix("^").partition(":")[0]


def pinned(shape: Any, wanted: tuple[int, ...] | None) -> Any:
    """A TensorFlow shape with its unknown dimensions taken from `wanted`, where given."""
    tf = import_tensorflow()
    if wanted is None:
        return shape
    if shape.rank is None or shape.rank != len(wanted):
        return tf.TensorShape(wanted)
    known = [size if size is not None else want for size, want in zip(shape, wanted, strict=True)]
    return tf.TensorShape([None if size == -1 else size for size in known])


def specs(inputs: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """TensorSpecs by input name with pinned shapes.

    Args:
        inputs: tensors, or specs of them, by input name.
        shapes: dimensions by input name, -1 for one that stays open.
    """
    tf = import_tensorflow()
    return {
        name: tf.TensorSpec(pinned(t.shape, shapes.get(name)), t.dtype.base_dtype, name)
        for name, t in inputs.items()
    }


def _info(tensor: Any) -> Any:
    return import_tensorflow().compat.v1.saved_model.build_tensor_info(tensor)
