"""Rewrites TensorFlow 1's tensor arrays as the lists that the converter knows how to lower.

A TensorArray is a handle, and a number (its flow) that orders what is done to it. A TensorList is a
value: in the rewritten graph it travels where the flow went, and the handle is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgepack.engines.graphs import node_of
from edgepack.engines.importing import import_tensorflow
from edgepack.records.facts import Repair

if TYPE_CHECKING:
    from collections.abc import Iterator

REPAIR = Repair(
    what="rewrote the tensor arrays of TensorFlow 1's loops as tensor lists",
    why="TFLite's builtin ops know lists only",
)
ARRAY, GATHER, SCATTER = "TensorArrayV3", "TensorArrayGatherV3", "TensorArrayScatterV3"
MAKES_FLOW = (ARRAY, "TensorArrayWriteV3", SCATTER)
PASSES_ON = ("Enter", "Exit", "Merge", "Switch", "NextIteration", "Identity", "LoopCond")
UNKNOWN = ("TensorArrayConcatV3", "TensorArraySplitV3", "TensorArrayGradV3")


def lists_for_arrays(graph_def: Any) -> Any | None:
    """The graph with lists, or None where it has no tensor arrays, or uses them otherwise."""
    ops = {node.op for node in graph_def.node}
    if ARRAY not in ops or ops & set(UNKNOWN):
        return None
    return _Rewrite(graph_def).run()


class _Rewrite:
    """One graph, its shapes as far as TensorFlow infers them, and the new nodes."""

    def __init__(self, graph_def: Any) -> None:
        tf = import_tensorflow()
        self._tf = tf
        self._shown = tf.Graph()
        with self._shown.as_default():
            tf.graph_util.import_graph_def(graph_def, name="")
        self._nodes = {node.name: node for node in graph_def.node}
        self._made = tf.compat.v1.GraphDef()
        self._made.CopyFrom(graph_def)
        self._made.ClearField("node")
        flows = [f"{n.name}:{int(n.op == ARRAY)}" for n in graph_def.node if n.op in MAKES_FLOW]
        self._flows = self._carrying(flows)
        self._handles = self._carrying([f"{node.name}:0" for node in self._arrays()])
        declared = {node.name: self._element(node) for node in self._arrays()}
        self._elements = {**declared, **self._run([n for n, s in declared.items() if s is None])}

    def run(self) -> Any | None:
        """None where the size of an array's elements cannot be told."""
        if any(shape is None for shape in self._elements.values()):
            return None
        for node in self._nodes.values():
            if node.name in self._handles:
                continue
            getattr(self, f"_{node.op}", self._kept)(node)
        return self._made

    def _arrays(self) -> list[Any]:
        return [node for node in self._nodes.values() if node.op == ARRAY]

    def _carrying(self, starts: list[str]) -> set[str]:
        """Nodes of plumbing that carry one of some tensors, through loops."""
        consumers: dict[str, list[Any]] = {}
        for node in self._nodes.values():
            for source in node.input:
                consumers.setdefault(_tensor(source), []).append(node)
        seen: set[str] = set()
        while starts:
            for node in consumers.get(starts.pop(), []):
                if node.op in PASSES_ON and node.name not in seen:
                    seen.add(node.name)
                    starts += [f"{node.name}:{index}" for index in range(2)]
        return seen

    def _array_of(self, handle: str) -> str:
        """The array behind a handle, through the loops it was carried into."""
        node = self._nodes[node_of(handle)]
        while node.op != ARRAY:
            node = self._nodes[node_of(node.input[0])]
        return str(node.name)

    def _element(self, array: Any) -> tuple[int, ...] | None:
        """Shape of one element: as declared, or as written."""
        declared = self._tf.TensorShape(array.attr["element_shape"].shape)
        shapes = [declared, *self._written(array.name)]
        for shape in shapes:
            if shape.is_fully_defined():
                return tuple(shape.as_list())
        return None

    def _written(self, array: str) -> Iterator[Any]:
        for node in self._nodes.values():
            if node.op in {"TensorArrayWriteV3", SCATTER}:
                if self._array_of(node.input[0]) != array:
                    continue
                shape = self._shown.get_tensor_by_name(_tensor(node.input[2])).shape
                whole = node.op == SCATTER and shape.rank
                yield shape[1:] if whole else shape
            elif node.op == GATHER and self._array_of(node.input[0]) == array:
                yield self._tf.TensorShape(node.attr["element_shape"].shape)

    def _run(self, arrays: list[str]) -> dict[str, tuple[int, ...]]:
        """Shapes of elements as they are when the graph runs on zeros, by array."""
        whole = {
            self._array_of(node.input[0]): node.name if node.op == GATHER else node.input[2]
            for node in self._nodes.values()
            if node.op in {GATHER, SCATTER}
        }
        fetched = {name: _tensor(whole[name]) for name in arrays if name in whole}
        if not fetched:
            return {}
        feeds = [op.outputs[0] for op in self._shown.get_operations() if op.type == "Placeholder"]
        known = [feed for feed in feeds if feed.shape.is_fully_defined()]  # the rest is replaced
        zeros = {feed: np.zeros(feed.shape, feed.dtype.as_numpy_dtype) for feed in known}
        with self._tf.compat.v1.Session(graph=self._shown) as session:
            found = session.run(fetched, zeros)
        return {name: tuple(value.shape[1:]) for name, value in found.items()}

    def _node(self, name: str, op: str, inputs: list[str], **attributes: Any) -> None:
        node = self._made.node.add(name=name, op=op)
        node.input.extend(inputs)
        for key, dtype in attributes.items():
            node.attr[key].type = dtype

    def _shape(self, node: Any, array: str, near: str) -> str:
        """A constant with the shape of an array's elements, in the frame that `near` is in."""
        tf, name = self._tf, f"{node.name}/element_shape"
        made = self._made.node.add(name=name, op="Const")
        made.input.append(f"^{node_of(near)}")
        made.attr["dtype"].type = tf.int32.as_datatype_enum
        made.attr["value"].tensor.CopyFrom(
            tf.make_tensor_proto(list(self._elements[array] or ()), tf.int32)
        )
        return name

    def _source(self, name: str) -> str:
        """An input's name: a flow that came second from its array comes first from its list."""
        node = self._nodes.get(node_of(name))
        return node_of(name) if node is not None and node.op == ARRAY else name

    def _kept(self, node: Any) -> None:
        made = self._made.node.add()
        made.CopyFrom(node)
        made.ClearField("input")
        made.input.extend(self._source(name) for name in node.input)
        if node.name in self._flows:
            made.attr["T"].type = self._tf.variant.as_datatype_enum
            made.attr.pop("_output_shapes", None)

    def _TensorArrayV3(self, node: Any) -> None:  # noqa: N802 - named for the op
        shape = self._shape(node, node.name, node.input[0])
        self._node(
            node.name,
            "TensorListReserve",
            [shape, node.input[0]],
            element_dtype=node.attr["dtype"].type,
            shape_type=self._tf.int32.as_datatype_enum,
        )

    def _TensorArrayWriteV3(self, node: Any) -> None:  # noqa: N802
        _, index, value, flow = node.input[:4]
        inputs = [self._source(flow), index, value]
        self._node(node.name, "TensorListSetItem", inputs, element_dtype=node.attr["T"].type)

    def _TensorArrayReadV3(self, node: Any) -> None:  # noqa: N802
        handle, index, flow = node.input[:3]
        shape = self._shape(node, self._array_of(handle), index)
        inputs = [self._source(flow), index, shape]
        self._node(node.name, "TensorListGetItem", inputs, element_dtype=node.attr["dtype"].type)

    def _TensorArrayGatherV3(self, node: Any) -> None:  # noqa: N802
        handle, indices, flow = node.input[:3]
        shape = self._shape(node, self._array_of(handle), indices)
        inputs = [self._source(flow), shape]
        self._node(node.name, "TensorListStack", inputs, element_dtype=node.attr["dtype"].type)
        self._made.node[-1].attr["num_elements"].i = -1

    def _TensorArrayScatterV3(self, node: Any) -> None:  # noqa: N802
        handle, _, value, _ = node.input[:4]
        shape = self._shape(node, self._array_of(handle), value)
        self._node(
            node.name,
            "TensorListFromTensor",
            [value, shape],
            element_dtype=node.attr["T"].type,
            shape_type=self._tf.int32.as_datatype_enum,
        )

    def _TensorArraySizeV3(self, node: Any) -> None:  # noqa: N802
        self._node(node.name, "TensorListLength", [self._source(node.input[1])])

    def _TensorArrayCloseV3(self, node: Any) -> None:  # noqa: N802
        """Nothing to close."""


def _tensor(name: str) -> str:
    """A tensor's full name: an input without a number is the node's first."""
    return name if ":" in name else f"{name}:0"
