"""Rewrites pooling over three dimensions as two poolings over two, which TFLite has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepack.engines.importing import import_tensorflow
from edgepack.records.facts import Repair

if TYPE_CHECKING:
    from collections.abc import Iterator

REPAIR = Repair(
    what="rewrote 3-D max pooling as one over height and width, and one over depth",
    why="TFLite has no builtin for MaxPool3D; the maximum of maxima is the same",
)
OP = "MaxPool3D"
LAYOUT = b"NDHWC"
INPUT = "input"


def flat_pooling(graph_def: Any) -> Any | None:
    """The graph with two-dimensional pooling, or None where there is nothing to rewrite."""
    tf = import_tensorflow()
    if not any(node.op == OP for node in graph_def.node):
        return None
    with tf.Graph().as_default() as shown:
        tf.graph_util.import_graph_def(graph_def, name="")
    made = tf.compat.v1.GraphDef()
    made.CopyFrom(graph_def)
    made.ClearField("node")
    for node in graph_def.node:
        made.node.extend(_flat(node, shown) if node.op == OP else [node])
    return made


def _flat(node: Any, shown: Any) -> Iterator[Any]:
    """The nodes that take one's place; the last one has its name."""
    pooled = shown.get_operation_by_name(node.name)
    shape = pooled.inputs[0].shape
    if not shape.is_fully_defined() or node.attr["data_format"].s != LAYOUT:
        yield node
        return
    built = _built(node, shape.as_list(), pooled.outputs[0].shape.as_list())
    names = {INPUT: node.input[0], built[-1].name: node.name}
    for one in built:
        if one.name == INPUT:
            continue
        sources = [names.get(name, f"{node.name}/{name}") for name in one.input]
        one.ClearField("input")
        one.input.extend(sources)
        one.name = names.get(one.name, f"{node.name}/{one.name}")
        yield one


def _built(node: Any, shape: list[int], after: list[int]) -> list[Any]:
    tf = import_tensorflow()
    batch, depth, height, width, channels = shape
    size, stride = node.attr["ksize"].list.i, node.attr["strides"].list.i
    padding = node.attr["padding"].s.decode()
    with tf.Graph().as_default() as graph:
        value = tf.compat.v1.placeholder(node.attr["T"].type, shape, INPUT)
        planes = tf.reshape(value, [batch * depth, height, width, channels])
        planes = tf.nn.max_pool2d(planes, list(size[2:4]), list(stride[2:4]), padding)
        columns = tf.reshape(planes, [batch, depth, after[2] * after[3], channels])
        columns = tf.nn.max_pool2d(columns, [size[1], 1], [stride[1], 1], padding)
        tf.reshape(columns, after)
    return list(graph.as_graph_def().node)
