"""A model as one flat graph of constants: what is left of it once its variables are frozen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
        constants: values of tensors that need not be computed, by tensor name.
        captures: handles of tables that the graph reads, by tensor name.
    """

    graph_def: Any
    ports: dict[str, Ports]
    specs: dict[str, Any]
    constants: dict[str, Any] = field(default_factory=dict)
    captures: dict[str, Any] = field(default_factory=dict)

    def settled(self) -> Frozen:
        """The same with placeholders of the pinned shapes, and constants, in the graph itself.

        Every output is a node of its own: two may be one tensor, and the end of a loop may go.
        """
        tf = import_tensorflow()
        with tf.Graph().as_default() as graph:
            feeds = self._import()
            ports = {name: self._settled(graph, feeds, p) for name, p in self.ports.items()}
            return replace(
                self,
                graph_def=graph.as_graph_def(),
                ports=ports,
                specs={feeds[tensor]: spec for tensor, spec in self.specs.items()},
                constants={},
            )

    def _settled(self, graph: Any, feeds: Mapping[str, str], ports: Ports) -> Ports:
        tf = import_tensorflow()
        inputs: dict[str, str] = {}
        for key, tensor in ports.inputs.items():
            name, spec = feeds[tensor], self.specs[tensor]
            if name in inputs.values():  # the tensor has two names: one of them feeds it
                name = tf.compat.v1.placeholder(spec.dtype, spec.shape, "edgepack_twin").name
            inputs[key] = name
        outputs = {
            key: tf.identity(graph.get_tensor_by_name(tensor), "edgepack_output").name
            for key, tensor in ports.outputs.items()
        }
        return Ports(inputs, outputs)

    def save(self, directory: Path) -> None:
        """Write it, settled, as a SavedModel of TensorFlow 1's kind: names may be any text."""
        tf = import_tensorflow()
        v1 = tf.compat.v1
        with tf.Graph().as_default() as graph:
            tf.graph_util.import_graph_def(self.graph_def, name="")
            definitions = {
                name: v1.saved_model.build_signature_def(
                    _infos(graph, ports.inputs),
                    _infos(graph, ports.outputs),
                    v1.saved_model.PREDICT_METHOD_NAME,
                )
                for name, ports in self.ports.items()
            }
            with v1.Session(graph=graph) as session:
                builder = v1.saved_model.Builder(str(directory))
                builder.add_meta_graph_and_variables(session, [SERVE], definitions)
                builder.save()

    def function(self, tensors: Mapping[str, str]) -> Any:
        """A function of the only signature's inputs to tensors of the graph, by name."""
        tf = import_tensorflow()
        [ports] = self.ports.values()

        def run(**feed: Any) -> dict[str, Any]:
            fed = {ports.inputs[name]: value for name, value in feed.items()}
            graph = tf.compat.v1.get_default_graph()
            tables = {name: graph.capture(handle) for name, handle in self.captures.items()}
            found = tf.graph_util.import_graph_def(
                self.graph_def,
                input_map={**fed, **tables},
                return_elements=list(tensors.values()),
                name="",
            )
            return dict(zip(tensors, found, strict=True))

        wanted = {name: self.specs[tensor] for name, tensor in ports.inputs.items()}
        return tf.function(run).get_concrete_function(**wanted)

    def _import(self) -> dict[str, str]:
        """Put the graph into TensorFlow's current one; names of its new inputs by old ones."""
        tf = import_tensorflow()
        nodes = {node.name for node in self.graph_def.node}
        prefix = "edgepack_input"
        while f"{prefix}_0" in nodes:  # it was settled before
            prefix += "_again"
        feeds = {
            tensor: tf.compat.v1.placeholder(spec.dtype, spec.shape, f"{prefix}_{number}")
            for number, (tensor, spec) in enumerate(self.specs.items())
        }
        known = {tensor: tf.constant(value) for tensor, value in self.constants.items()}
        mapped = {**feeds, **known}
        used = {tensor: feed for tensor, feed in mapped.items() if node_of(tensor) in nodes}
        tf.graph_util.import_graph_def(self.graph_def, input_map=used, name="")
        return {tensor: feed.name for tensor, feed in feeds.items()}


def node_of(tensor: str) -> str:
    """The node that makes a tensor, from the tensor's name or a node's input: ^n, n and n:0."""
    return tensor.removeprefix("^").partition(":")[0]


def without_controls(graph_def: Any) -> Any:
    """The graph without its control dependencies, which only order what constants do not need.

    A constant keeps its own: in a loop of TensorFlow 1 they say which frame it belongs to.
    """
    for node in graph_def.node:
        if node.op != "Const":
            kept = [name for name in node.input if not name.startswith("^")]
            node.ClearField("input")
            node.input.extend(kept)
    return graph_def


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


def _infos(graph: Any, tensors: Mapping[str, str]) -> dict[str, Any]:
    build = import_tensorflow().compat.v1.saved_model.build_tensor_info
    return {key: build(graph.get_tensor_by_name(tensor)) for key, tensor in tensors.items()}
