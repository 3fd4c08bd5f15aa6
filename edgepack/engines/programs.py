"""A source model in memory, by TensorFlow 2's loader or through a session of TensorFlow 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from edgepack.engines.functions import as_signature, traced
from edgepack.engines.graphs import Frozen, Ports, node_of, specs, without_controls
from edgepack.engines.importing import hidden, import_tensorflow
from edgepack.errors import SignatureError
from edgepack.records.facts import Repair

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.stages import SourceModel

Arrays = dict[str, "NDArray[Any]"]
FROZEN = Repair(
    what="converted the graph with its variables frozen to constants",
    why="the converter could not follow them through the model's functions",
)


class Program(Protocol):
    """A loaded model that answers, and that can be written again for the converter."""

    freezing: ClassVar[tuple[Repair, ...]]  # what it means for this kind to be converted frozen

    def __call__(self, feed: Mapping[str, NDArray[Any]]) -> Arrays:
        """Answer to one batch of the first signature's inputs, from the initial state."""

    def save(self, directory: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Write the signatures that are built, with pinned shapes, as a SavedModel."""

    def frozen(self, shapes: Mapping[str, tuple[int, ...]]) -> Frozen:
        """The first signature as a flat graph of constants, with pinned shapes."""

    def preparation(
        self, shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, str]
    ) -> Callable[[Mapping[str, NDArray[Any]]], Arrays]:
        """A function from one sample's inputs to tensors of the frozen graph, by name."""


class ObjectProgram:
    """Loaded from its object graph, as TensorFlow 2 does."""

    freezing: ClassVar[tuple[Repair, ...]] = (FROZEN,)

    def __init__(self, source: SourceModel) -> None:
        tf = import_tensorflow()
        with hidden("tf_keras"):  # it changes what loads by merely being installed
            self._root = tf.saved_model.load(source.path, tags=list(source.tags))
        self._functions = {name: self._find(name, source) for name in source.signatures}
        self._main = self._functions[source.signature]
        self._left_out = frozenset(source.left_out)
        self._stateful = source.stateful
        self._initial = [v.numpy() for v in self._variables()] if source.stateful else []

    def _find(self, name: str, source: SourceModel) -> Any:
        if source.function is None:
            return self._root.signatures[name]
        return as_signature(traced(self._root, name), source.function)

    def __call__(self, feed: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `Program`."""
        self._reset()
        tf = import_tensorflow()
        dtypes = {name: spec.dtype for name, spec in _inputs(self._main).items()}
        answer = self._main(**{n: tf.constant(a, dtype=dtypes[n]) for n, a in feed.items()})
        kept = answer.keys() - self._left_out
        return {name: np.asarray(value) for name, value in answer.items() if name in kept}

    def save(self, directory: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """See `Program`."""
        tf = import_tensorflow()
        module = tf.Module()
        module.root = self._root  # owns the variables and tables that the functions use
        module.signatures_of_source = pinned = {
            name: self._pinned(function, shapes) for name, function in self._functions.items()
        }
        tf.saved_model.save(module, str(directory), signatures=pinned)

    def frozen(self, shapes: Mapping[str, tuple[int, ...]]) -> Frozen:
        """See `Program`."""
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        function = self._pinned(self._main, shapes)
        flat = convert_variables_to_constants_v2(function, lower_control_flow=False)
        own = len(function.inputs) - len(function.captured_inputs)
        names = [tensor.name for tensor in function.inputs]
        handles = dict(zip(names[own:], function.captured_inputs, strict=True))
        inputs = {node_of(name): name for name in names[:own]}
        outputs = dict(zip(sorted(function.structured_outputs), flat.outputs, strict=True))
        found = dict(_inputs(function))
        return Frozen(
            graph_def=without_controls(flat.graph.as_graph_def()),
            ports={
                self._name(): Ports(
                    {name: inputs[name] for name in found},
                    {name: tensor.name for name, tensor in outputs.items()},
                )
            },
            specs={inputs[name]: spec for name, spec in found.items()},
            captures={t.name: handles[t.name] for t in flat.inputs if t.name in handles},
        )

    def preparation(
        self, shapes: Mapping[str, tuple[int, ...]], tensors: Mapping[str, str]
    ) -> Callable[[Mapping[str, NDArray[Any]]], Arrays]:
        """See `Program`."""
        tf = import_tensorflow()
        function = self.frozen(shapes).function(tensors)

        def prepare(feed: Mapping[str, NDArray[Any]]) -> Arrays:
            answer = function(**{name: tf.constant(array) for name, array in feed.items()})
            return {name: value.numpy() for name, value in answer.items()}

        return prepare

    def _name(self) -> str:
        return next(name for name, function in self._functions.items() if function is self._main)

    def _pinned(self, function: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """The function again, for inputs of known shapes."""
        tf = import_tensorflow()
        wanted = specs(_inputs(function), shapes)
        left_out = self._left_out if function is self._main else frozenset()

        def again(**feed: Any) -> Any:  # a function of TensorFlow's would not take other shapes
            answer = function(**feed)
            return {name: value for name, value in answer.items() if name not in left_out}

        return tf.function(again).get_concrete_function(**wanted)

    def _variables(self) -> list[Any]:
        return list(self._main.variables)

    def _reset(self) -> None:
        if self._stateful:
            for variable, value in zip(self._variables(), self._initial, strict=True):
                variable.assign(value)


class SessionProgram:
    """Loaded into a session, as TensorFlow 1 does: any SavedModel's graph, its objects unread."""

    freezing: ClassVar[tuple[Repair, ...]] = ()  # it is never converted otherwise

    def __init__(self, source: SourceModel) -> None:
        from tensorflow.python.saved_model.loader_impl import SavedModelLoader

        tf = import_tensorflow()
        self._source = source
        self._loader = SavedModelLoader(source.path)
        self._graph = tf.Graph()
        with self._graph.as_default():
            self._session = tf.compat.v1.Session(graph=self._graph)
            self._saver, _ = self._loader.load_graph(
                self._graph, list(source.tags), clear_devices=True
            )
        self._restore()
        meta = self._loader.get_meta_graph_def_from_tags(list(source.tags))
        self._ports = {name: _ports(meta.signature_def, name) for name in source.signatures}
        for name in source.left_out:
            del self._ports[source.signature].outputs[name]

    def __call__(self, feed: Mapping[str, NDArray[Any]]) -> Arrays:
        """See `Program`."""
        if self._source.stateful:
            self._restore()
        ports = self._ports[self._source.signature]
        # Of two names of one tensor the first one counts, as it does in the file.
        fed = {ports.inputs[name]: feed[name] for name in reversed(ports.inputs)}
        answer: Arrays = self._session.run(ports.outputs, fed)
        return {name: np.asarray(value) for name, value in answer.items()}

    def save(self, directory: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """See `Program`."""
        self.frozen(shapes).settled().save(directory)

    def frozen(self, shapes: Mapping[str, tuple[int, ...]]) -> Frozen:
        """See `Program`."""
        tf = import_tensorflow()
        nodes = {node_of(t) for p in self._ports.values() for t in p.outputs.values()}
        with self._graph.as_default():
            constant = tf.compat.v1.graph_util.convert_variables_to_constants(
                self._session, self._graph.as_graph_def(), sorted(nodes)
            )
        wanted = {}
        for ports in self._ports.values():
            tensors = {n: self._graph.get_tensor_by_name(t) for n, t in ports.inputs.items()}
            for name, spec in specs(tensors, shapes).items():
                wanted[ports.inputs[name]] = spec
        return Frozen(graph_def=without_controls(constant), ports=dict(self._ports), specs=wanted)

    def preparation(
        self,
        shapes: Mapping[str, tuple[int, ...]],  # noqa: ARG002 - the session's graph has its own
        tensors: Mapping[str, str],
    ) -> Callable[[Mapping[str, NDArray[Any]]], Arrays]:
        """See `Program`."""
        ports = self._ports[self._source.signature]

        def prepare(feed: Mapping[str, NDArray[Any]]) -> Arrays:
            fed = {ports.inputs[name]: array for name, array in feed.items()}
            answer: Arrays = self._session.run(dict(tensors), fed)
            return {name: np.asarray(value) for name, value in answer.items()}

        return prepare

    def _restore(self) -> None:
        with self._graph.as_default():
            self._loader.restore_variables(self._session, self._saver)
            self._loader.run_init_ops(self._session, list(self._source.tags))


def _inputs(function: Any) -> dict[str, Any]:
    """TensorSpecs by name: a signature's function takes everything by keyword."""
    return dict(function.structured_input_signature[1])


def _ports(definitions: Any, name: str) -> Ports:
    """Tensor names of a SignatureDef.

    Raises:
        SignatureError: an input or output is a sparse or ragged tensor.
    """
    found = definitions[name]
    for key, info in (*found.inputs.items(), *found.outputs.items()):
        if not info.name:
            raise SignatureError(
                f"{key!r} of the signature {name} is a sparse tensor, or another composite one",
                hint="Export a signature that takes and gives dense tensors.",
            )
    return Ports(
        {key: info.name for key, info in sorted(found.inputs.items())},
        {key: info.name for key, info in sorted(found.outputs.items())},
    )
