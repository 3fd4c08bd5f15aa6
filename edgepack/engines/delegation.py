"""Which operators of a file the default delegate has taken. Runs in a worker."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edgepack.engines.interpreter import open_session
from edgepack.records.profile import Coverage, CoverageResult, OpCount

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.records.dataset import SplitData
    from edgepack.records.stages import TFLiteModel

KERNEL = "DELEGATE"  # how an interpreter names what computes a part of the graph
Details = dict[str, Any]


def measure_coverage(model: TFLiteModel, split: SplitData) -> CoverageResult:
    """Load the file as latency is measured, and look which parts the delegate has.

    Args:
        model: the file, and its runtime.
        split: its samples' shapes decide where the file leaves its own open.

    Returns:
        None of it for a signature beyond the first subgraph, whose operators interpreters hide.

    Raises:
        RuntimeRefusalError: the runtime cannot load the file.
    """
    session = open_session(model, split)
    if session.subgraph:
        return CoverageResult(coverage=None)
    return CoverageResult(coverage=covered(session.operators(), session.delegate))


def covered(operators: Sequence[Details], delegate: str) -> Coverage:
    """Coverage, of all nodes as an interpreter lists them: the file's, then the delegate's."""
    own = [one for one in operators if one["op_name"] != KERNEL]
    kernels = [one for one in operators if one["op_name"] == KERNEL]
    taken = _taken(own, kernels)
    left = [one["op_name"] for number, one in enumerate(own) if number not in taken]
    return Coverage(
        delegate=delegate,
        nodes=len(own),
        delegated=len(taken),
        partitions=len(kernels),
        left=counted(left),
    )


def counted(types: Iterable[str]) -> tuple[OpCount, ...]:
    """How many there are of each, the most frequent first."""
    counts = sorted(Counter(types).items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(OpCount(type=name, count=count) for name, count in counts)


def _taken(own: Sequence[Details], kernels: Iterable[Details]) -> set[int]:
    """The nodes that the delegate's kernels stand for."""
    graph = _Graph(own)
    found: set[int] = set()
    for kernel in kernels:
        found |= graph.within(_indices(kernel["inputs"]), _indices(kernel["outputs"]))
    return found


class _Graph:
    """Nodes, and which of them makes what."""

    def __init__(self, own: Sequence[Details]) -> None:
        self._inputs = [_indices(one["inputs"]) for one in own]
        self._outputs = [_indices(one["outputs"]) for one in own]
        self._makers = {index: n for n, made in enumerate(self._outputs) for index in made}

    def within(self, inputs: set[int], outputs: set[int]) -> set[int]:
        """The nodes from some tensors to others, and those that use the rest of the inputs.

        The latter end in no tensor: they assign a variable.
        """
        found, _ = self._before(outputs, inputs)
        unused = inputs - {index for node in found for index in self._inputs[node]}
        for node, made in enumerate(self._outputs):
            if not made and unused:
                nodes, read = self._before(self._inputs[node], inputs)
                if read <= inputs and read & unused:
                    found |= {node, *nodes}
        return found

    def _before(self, tensors: set[int], known: set[int]) -> tuple[set[int], set[int]]:
        """The nodes that make some tensors of known ones; the tensors that no node made."""
        found: set[int] = set()
        read, wanted = set(), list(tensors)
        while wanted:
            index = wanted.pop()
            maker = None if index in known else self._makers.get(index)
            if maker is None:
                read.add(index)
            elif maker not in found:
                found.add(maker)
                wanted += self._inputs[maker]
        return found, read


def _indices(tensors: Iterable[int]) -> set[int]:
    """Without the place of a tensor that is not there."""
    return {int(index) for index in tensors if index >= 0}
