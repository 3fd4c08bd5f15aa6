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
    """The nodes between the inputs and the outputs of each of the delegate's."""
    made = ((int(out), number) for number, one in enumerate(own) for out in one["outputs"])
    makers = {index: number for index, number in made if index >= 0}  # below: not there
    found: set[int] = set()
    for kernel in kernels:
        known = {int(index) for index in kernel["inputs"]}
        wanted = [int(index) for index in kernel["outputs"]]
        while wanted:
            maker = makers.get(wanted.pop())
            if maker is not None and maker not in found:
                found.add(maker)
                wanted += [int(i) for i in own[maker]["inputs"] if int(i) not in known]
    return found
