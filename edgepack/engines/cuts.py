"""Splits a model whose inputs are strings: what TFLite cannot do is left to the app.

Tokenizers, parsers and decoders stand between a string input and the first numbers. The cut goes
where the last operator that touches strings, or that TFLite lacks, gives numbers on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.graphs import Ports
from edgepack.engines.importing import import_tensorflow
from edgepack.records.facts import Repair
from edgepack.records.stages import DeviceInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from edgepack.engines.graphs import Frozen

Probe = Callable[[list[str], dict[str, "NDArray[Any]"]], dict[str, "NDArray[Any]"]]
PROBES = (b"a", b"several words in one text")
PLAIN = frozenset(("Placeholder", "Const", "Identity", "Shape", "Pack", "StridedSlice"))


@dataclass(frozen=True)
class Cut:
    """The part for the device, and the inputs that take the place of strings."""

    device: Frozen
    inputs: tuple[DeviceInput, ...]
    repair: Repair


def cut(frozen: Frozen, refused: Iterable[str], probe: Probe) -> Cut | None:
    """Cut the strings off the only signature of a flat graph.

    Args:
        frozen: the model, with pinned shapes.
        refused: ops that the converter has no builtin for.
        probe: computes tensors of the graph, by name, from one sample's inputs.

    Returns:
        None where no input is a string, or what follows is no tensor of known shape.
    """
    tf = import_tensorflow()
    [ports] = frozen.ports.values()
    strings = {key: t for key, t in ports.inputs.items() if frozen.specs[t].dtype == tf.string}
    if not strings:
        return None
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(frozen.graph_def, name="")
    walk = _Walk(graph, frozenset(refused), _holding(frozen.graph_def, set(refused)))
    found = dict(walk.frontier(strings, set(ports.outputs.values())))
    constants = {t: v for t in found if (v := _constant(graph, t)) is not None}
    stems = {t: found[t] for t in found if t not in constants}
    shapes = _shapes([graph.get_tensor_by_name(t) for t in stems], ports, frozen, probe)
    if not stems or shapes is None:
        return None
    inputs = tuple(_named(stems, shapes))
    device = replace(_device(frozen, strings, inputs), constants=constants)
    return Cut(device, inputs, _repair(inputs, walk.left_out))


def _device(frozen: Frozen, strings: Mapping[str, str], inputs: tuple[DeviceInput, ...]) -> Frozen:
    """The graph from its other inputs on: those that are kept, and those in place of strings."""
    [(name, ports)] = frozen.ports.items()
    kept = {key: tensor for key, tensor in ports.inputs.items() if key not in strings}
    taken = {**kept, **{one.name: one.tensor for one in inputs}}
    specs = {t: frozen.specs[t] for t in kept.values()} | {o.tensor: _spec(o) for o in inputs}
    return replace(frozen, ports={name: Ports(taken, ports.outputs)}, specs=specs)


class _Walk:
    """Forward from string inputs to where numbers begin."""

    def __init__(self, graph: Any, refused: frozenset[str], holding: set[str]) -> None:
        self._graph, self._refused, self._holding = graph, refused, holding
        self.left_out: set[str] = set()

    def frontier(
        self, strings: dict[str, str], ends: set[str]
    ) -> Iterator[tuple[str, frozenset[str]]]:
        """Tensors that leave the part that is left out, with the inputs they stem from."""
        stems = self._stems(strings)
        host = self._host(stems)
        self.left_out = {op.type for op in host} - PLAIN
        for op in self._graph.get_operations():
            for tensor in op.outputs if op in host else ():
                if tensor.name in ends or any(c not in host for c in tensor.consumers()):
                    yield tensor.name, frozenset(stems[op])

    def _stems(self, strings: dict[str, str]) -> dict[Any, set[str]]:
        """Every op that depends on a string input, with the names of those inputs."""
        stems: dict[Any, set[str]] = defaultdict(set)
        for key, tensor in strings.items():
            waiting = [self._graph.get_tensor_by_name(tensor).op]
            while waiting:
                op = waiting.pop()
                if key in stems[op]:
                    continue
                stems[op].add(key)
                waiting += [c for output in op.outputs for c in output.consumers()]
        return stems

    def _host(self, stems: dict[Any, set[str]]) -> set[Any]:
        """Ops on the way from a string to an op that a device cannot run."""
        host: set[Any] = set()
        waiting = [op for op in stems if stems[op] and self._is_hosts(op)]
        while waiting:
            op = waiting.pop()
            if op in host or not stems.get(op):
                continue
            host.add(op)
            waiting += [tensor.op for tensor in op.inputs]
            lists = [tensor for tensor in op.outputs if not _is_value(tensor)]
            waiting += [user for tensor in lists for user in tensor.consumers()]
        return host

    def _is_hosts(self, op: Any) -> bool:
        tf = import_tensorflow()
        tensors = (*op.inputs, *op.outputs)
        if op.type in self._refused or any(t.dtype.base_dtype == tf.string for t in tensors):
            return True
        return bool(self._holding & _called(op.node_def))


def _holding(graph_def: Any, refused: set[str]) -> set[str]:
    """Functions, such as bodies of loops, in which a refused op is run."""
    bodies = {one.signature.name: one.node_def for one in graph_def.library.function}
    found: set[str] = set()
    while True:
        held = refused | found
        more = {
            name
            for name, nodes in bodies.items()
            if any(node.op in held or held & _called(node) for node in nodes)
        }
        if more <= found:
            return found
        found |= more


def _called(node: Any) -> set[str]:
    """Names of the functions that a node's attributes refer to."""
    return {value.func.name for value in node.attr.values() if value.HasField("func")}


def _shapes(
    tensors: list[Any], ports: Ports, frozen: Frozen, probe: Probe
) -> dict[str, tuple[str, tuple[int, ...]]] | None:
    """Dtype and shape of one sample by tensor name; None where a shape depends on the sample.

    What the graph does not tell is computed, from two texts of different lengths.
    """
    if not all(_is_number(tensor.dtype.base_dtype) for tensor in tensors):
        return None
    names = [t.name for t in tensors if not t.shape.is_fully_defined()]
    seen = _probed(names, ports, frozen, probe) if names else []
    if names and not seen:
        return None
    if any(first.shape != seen[-1][name].shape for one in seen for name, first in one.items()):
        return None
    return {
        t.name: (
            t.dtype.base_dtype.name,
            tuple(seen[0][t.name].shape) if t.name in names else tuple(t.shape.as_list()),
        )
        for t in tensors
    }


def _probed(
    names: list[str], ports: Ports, frozen: Frozen, probe: Probe
) -> list[dict[str, NDArray[Any]]]:
    """The tensors for two texts, or two pictures where texts are refused; else nothing."""
    tf = import_tensorflow()
    sizes = ((1, 2), (3, 4))
    pictures = [tf.io.encode_png(tf.zeros([*size, 3], tf.uint8)).numpy() for size in sizes]
    for pair in (PROBES, pictures):
        try:
            return [probe(names, _sample(ports, frozen, text)) for text in pair]
        except tf.errors.InvalidArgumentError:
            continue
    return []


def _is_value(tensor: Any) -> bool:
    """Whether a tensor is no handle, nor a list or another variant."""
    tf = import_tensorflow()
    return tensor.dtype.base_dtype not in {tf.variant, tf.resource}


def _is_number(dtype: Any) -> bool:
    return bool(dtype.is_integer or dtype.is_floating or dtype.is_bool)


def _sample(ports: Ports, frozen: Frozen, text: bytes) -> dict[str, NDArray[Any]]:
    """Inputs of one sample: the text, and zeros."""
    sample = {}
    for key, tensor in ports.inputs.items():
        spec = frozen.specs[tensor]
        dtype = object if spec.dtype == import_tensorflow().string else spec.dtype.as_numpy_dtype
        sample[key] = np.full(
            [size or 1 for size in spec.shape], text if dtype is object else 0, dtype
        )
    return sample


def _named(
    found: dict[str, frozenset[str]], shapes: dict[str, tuple[str, tuple[int, ...]]]
) -> Iterator[DeviceInput]:
    """Inputs named for the string they stand for: text_features, or text_features_0, _1, ..."""
    groups: dict[str, list[str]] = defaultdict(list)
    for tensor, stems in found.items():
        groups["_".join(sorted(stems))].append(tensor)
    for stem, tensors in groups.items():
        for number, tensor in enumerate(tensors):
            suffix = f"_{number}" if len(tensors) > 1 else ""
            dtype, shape = shapes[tensor]
            yield DeviceInput(
                name=f"{stem}_features{suffix}",
                tensor=tensor,
                dtype=dtype,
                shape=shape,
                sources=tuple(sorted(found[tensor])),
            )


def _constant(graph: Any, tensor: str) -> Any:
    return import_tensorflow().get_static_value(graph.get_tensor_by_name(tensor))


def _spec(one: DeviceInput) -> Any:
    return import_tensorflow().TensorSpec(one.shape, one.dtype, one.name)


def _repair(inputs: tuple[DeviceInput, ...], ops: set[str]) -> Repair:
    strings = ", ".join(sorted({source for one in inputs for source in one.sources}))
    takes = ", ".join(f"{one.name} {one.dtype}{list(one.shape)}" for one in inputs)
    return Repair(
        what=f"left the preparation of {strings} to the app: the file takes {takes}",
        why=f"TFLite has no builtin for what prepares it ({', '.join(sorted(ops))})",
    )
