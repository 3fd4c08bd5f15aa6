"""What the Edge TPU would run of a file.

The compiler makes one partition for the chip, from the first operators on up to the first that it
does not map; all behind that runs on the CPU, mapped or not.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from edgepack.delegates import fit as delegates
from edgepack.delegates import lists
from edgepack.edgetpu import compiler
from edgepack.records.edgetpu import EdgeTpuCompiled, EdgeTpuFit, NotCompiled
from edgepack.tflite import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edgepack.tflite.graph import Graph, GraphTensor

NAME = "edgetpu"
ON_CHIP_BYTES = 8 * 2**20  # for programs and weights together
EIGHT_BITS = frozenset(("int8", "uint8"))
FLOATS = frozenset(("float16", "float32", "float64", "bfloat16"))
UNASKED = NotCompiled(why="it was not compiled")
NOT_QUANTIZED = "no operator computes in 8-bit integers, and the compiler takes no other model"


def fit(path: Path, target: Path | None = None, *, seconds: float = compiler.SECONDS) -> EdgeTpuFit:
    """Read a file, and compile it where that is asked and possible.

    Args:
        path: the .tflite file.
        target: the compiled file; None: it is not compiled.
        seconds: how long the compiler may take.

    Raises:
        UsageError: the file is not there or not readable.
        ModelError: it is not a whole .tflite.
        OutputError: the compiled file cannot be written.
    """
    read = _read(path)
    made = UNASKED if target is None else compiler.run(path, target, seconds=seconds)
    if isinstance(made, EdgeTpuCompiled):
        return read.model_copy(update={"compiled": made})
    return read.model_copy(update={"not_compiled": made})


def _read(path: Path) -> EdgeTpuFit:
    graphs = subgraphs.read(path)
    found = delegates.fit(graphs, lists.load(NAME))
    size = path.stat().st_size
    return EdgeTpuFit(
        path=str(path),
        integer_only=not any(tensor.dtype in FLOATS for tensor in _touched(graphs[:1])),
        static=not any(tensor.is_open for tensor in _touched(graphs)),
        inputs=_types(graphs[:1], "inputs"),
        outputs=_types(graphs[:1], "outputs"),
        faults=tuple(_faults(graphs)),
        operators=found.nodes,
        mapped=found.delegated,
        unsupported=found.fallback,
        unchecked=found.unchecked,
        size_bytes=size,
        fits_on_chip=size <= ON_CHIP_BYTES,
        read_on=found.read_on,
    )


def _faults(graphs: Sequence[Graph]) -> Iterator[str]:
    """What Coral asks of every model, and this one is not."""
    if not any(_is_quantized(graph) for graph in graphs[:1]):
        yield NOT_QUANTIZED
    opened = next((tensor for tensor in _touched(graphs) if tensor.is_open), None)
    if opened:
        yield f"{opened.name} has an open dimension, and Coral asks for static shapes"


def _is_quantized(graph: Graph) -> bool:
    """Whether any operator has a result of 8-bit integers with a scale."""
    results = (index for node in graph.operators for index in node.outputs if index >= 0)
    tensors = (graph.tensor(index) for index in results)
    return any(tensor.dtype in EIGHT_BITS and tensor.quantization for tensor in tensors)


def _touched(graphs: Sequence[Graph]) -> Iterator[GraphTensor]:
    """Tensors that operators read or give."""
    for graph in graphs:
        for index in chain.from_iterable((*n.inputs, *n.outputs) for n in graph.operators):
            if index >= 0:
                yield graph.tensor(index)


def _types(graphs: Sequence[Graph], side: str) -> tuple[str, ...]:
    return tuple(
        graph.tensor(index).dtype
        for graph in graphs
        for index in (graph.inputs if side == "inputs" else graph.outputs)
    )
