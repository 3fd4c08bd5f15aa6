"""Groups of neighbouring operators of a float32 .tflite, that are quantized together or not at all.

The search gives precision back group by group: one a layer with weights, and what follows it.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from edgepack.errors import SignatureError, UsageError
from edgepack.records.recipe import Group
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import CorruptError, refuse, root
from edgepack.tflite.graph import graphs
from edgepack.tflite.precision import COMPUTE, FLOATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from edgepack.tflite.flatbuffer import Table
    from edgepack.tflite.graph import Graph, GraphOperator

CONTROL = frozenset(("WHILE", "IF", "CALL_ONCE"))
FLOAT32_BYTES = 4
# TensorFlow's names of what multiplies by weights, within the scope of a layer. The converter adds
# a digit to a name that is taken.
KERNEL = re.compile(
    r"/(Conv[123]D|Conv2DBackpropInput|DepthwiseConv2dNative|MatMul|BatchMatMulV2|Einsum"
    r"|convolution|conv_transpose|conv[123]d_transpose|depthwise)(_?\d+)?$"
)
# Scopes that say nothing of a layer: models as a whole, calls of functions, steps of a layer.
WRAPPER = re.compile(
    r"(functional|sequential|model|Stateful|StatefulPartitionedCall|PartitionedCall)(_\d+)*(:\d+)?"
)
STEP = re.compile(r"(einsum|Einsum|Tensordot|batchnorm)(_\d+)*")


@dataclass
class _Part:
    """A group in the making; `active` where there is something to quantize in it."""

    operators: list[GraphOperator] = field(default_factory=list)
    controls: bool = False
    active: bool = False


@dataclass(frozen=True)
class _Run:
    """Neighbouring groups that become one."""

    groups: list[Group]
    controls: bool
    weights: int

    def with_next(self, other: _Run) -> _Run:
        return _Run(
            self.groups + other.groups,
            self.controls or other.controls,
            self.weights + other.weights,
        )


def groups(path: Path, signature: str = "", most: int = 32) -> tuple[Group, ...]:
    """Groups of one signature's operators, in graph order; each operator is in exactly one.

    An operator of `COMPUTE` starts a group, and what follows belongs to it. What comes before the
    first one is a group of its own, and so is each control flow operator. Operators on shapes and
    indices, and those that expand constants, start none.

    Args:
        path: a float32 .tflite.
        signature: its name; empty for the first one, or where the file has none.
        most: groups at most; the neighbours with the least weights are merged until then.

    Raises:
        UsageError: the file is not there or not readable.
        ModelError: it is not a whole .tflite.
        SignatureError: it has no such signature.
    """
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise refuse(str(path), CorruptError("it is empty"))
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        graph = _subgraph(root(memoryview(mapped), schema.IDENTIFIER), signature, path)
        made = _named(graph, list(_parts(graph)))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=path) from error
    except (CorruptError, RecursionError) as error:
        raise refuse(str(path), error) from error
    return _merged(made, most)


def _subgraph(model: Table, signature: str, path: Path) -> Graph:
    """What a signature runs: the first subgraph where the file has no signature."""
    subgraphs = graphs(model)
    fields = schema.Signature
    places = {
        table.text(fields.KEY): table.scalar(fields.SUBGRAPH, "I")
        for table in model.tables(schema.Model.SIGNATURES)
    }
    if signature and signature not in places:
        raise SignatureError(f"it has no {signature!r}, only {sorted(places)}", where=path)
    index = places[signature] if signature else next(iter(places.values()), 0)
    if index >= len(subgraphs):
        raise CorruptError(f"subgraph {index} of {len(subgraphs)}")
    return subgraphs[index]


def _parts(graph: Graph) -> Iterator[_Part]:
    """Runs of operators; those with nothing to quantize join the group that is under way."""
    part, expanded = _Part(), set[int]()
    for operator in graph.operators:
        controls, active = operator.name in CONTROL, _is_active(graph, operator, expanded)
        starts = controls or (active and (operator.name in COMPUTE or part.controls))
        if starts and (part.active or part.controls):
            yield part
            part = _Part()
        part.operators.append(operator)
        part.controls |= controls
        part.active |= active
    if part.operators:
        yield part


def _is_active(graph: Graph, operator: GraphOperator, expanded: set[int]) -> bool:
    """Whether it puts out floats that change with the sample; notes expanded constants."""
    given = [index for index in operator.inputs if index >= 0]
    if operator.name in ("DEQUANTIZE", "DENSIFY") and all(
        index in expanded or graph.tensor(index).constant for index in given
    ):
        expanded.update(operator.outputs)
        return False
    return any(graph.tensor(index).dtype in FLOATS for index in operator.outputs if index >= 0)


def _named(graph: Graph, parts: Sequence[_Part]) -> list[tuple[Group, bool]]:
    """Records of the parts, and whether each is control flow."""
    made, names, counted = [], set[str](), set[int]()
    for position, part in enumerate(parts, 1):
        name = _unique(_short(graph, part) or f"layer{position}", names)
        names.add(name)
        group = Group(
            name=name,
            tensors=tuple(_first_outputs(graph, part.operators)),
            ops=tuple(operator.name for operator in part.operators),
            weights_bytes=_weights(graph, part.operators, counted),
        )
        made.append((group, part.controls))
    return made


def _first_outputs(graph: Graph, operators: Iterable[GraphOperator]) -> Iterator[str]:
    for operator in operators:
        if operator.outputs:
            yield graph.tensor(operator.outputs[0]).name


def _short(graph: Graph, part: _Part) -> str:
    """What a person calls the layer: the scope of its kernel, empty where no name tells."""
    named = (operator for operator in part.operators if operator.name in COMPUTE)
    first = next(named, part.operators[0])
    return short_name(next(_first_outputs(graph, [first]), ""))


def short_name(tensor: str) -> str:
    """The layer in a tensor's name, such as `conv2d` in `model/conv2d/BiasAdd;model/conv2d/Conv2D`.

    The converter joins the names of all that it fused with semicolons. Empty where the name is of
    the whole model.
    """
    fused = tensor.split(";")
    telling = next((name for name in fused if KERNEL.search(name)), fused[0])
    words = [word for word in telling.split("/") if word and not WRAPPER.fullmatch(word)]
    if len(words) > 1:
        words.pop()
    while len(words) > 1 and STEP.fullmatch(words[-1]):
        words.pop()
    return words[-1].partition(":")[0] if words else ""


def _unique(name: str, taken: set[str]) -> str:
    number, found = 2, name
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    return found


def _weights(graph: Graph, operators: Iterable[GraphOperator], counted: set[int]) -> int:
    """Bytes of the float32 constants that no earlier group has counted."""
    total = 0
    for index in (index for operator in operators for index in operator.inputs if index >= 0):
        tensor = graph.tensor(index)
        if tensor.constant and tensor.dtype == "float32" and index not in counted:
            counted.add(index)
            total += FLOAT32_BYTES * prod(tensor.shape or ())
    return total


def _merged(made: Sequence[tuple[Group, bool]], most: int) -> tuple[Group, ...]:
    """Neighbours with the least weights together, the first of equals, control flow last."""
    runs = [_Run([group], controls, group.weights_bytes) for group, controls in made]
    while len(runs) > max(most, 1):
        pairs = [left.with_next(right) for left, right in pairwise(runs)]
        at = min(range(len(pairs)), key=lambda n: (pairs[n].controls, pairs[n].weights))
        runs[at : at + 2] = [pairs[at]]
    return tuple(_joined(run.groups) for run in runs)


def _joined(parts: Sequence[Group]) -> Group:
    if len(parts) == 1:
        return parts[0]
    return Group(
        name=f"{parts[0].name}..{parts[-1].name}",
        tensors=tuple(tensor for part in parts for tensor in part.tensors),
        ops=tuple(op for part in parts for op in part.ops),
        weights_bytes=sum(part.weights_bytes for part in parts),
    )
