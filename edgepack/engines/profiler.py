"""Time by operator of one file, by the profiler of the runtime. Runs in a worker."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from edgepack.engines import events
from edgepack.engines.arrays import first_batch
from edgepack.engines.delegation import counted
from edgepack.engines.interpreter import open_session, runtime_version
from edgepack.engines.litert import RUNTIME, Library, Profiled, UnavailableError
from edgepack.records.profile import Coverage, OpProfile
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgepack.engines.litert import Event
    from edgepack.records.dataset import SplitData
    from edgepack.records.profile import OpTime
    from edgepack.records.stages import TFLiteModel
    from edgepack.tflite.graph import Graph

SECONDS = 0.15  # of recorded invocations, or one, whichever is longer
MOST = 200  # invocations
EVENTS = 20_000  # of all recorded invocations, about: reading them takes time too
TEXT = "SOU"  # kinds of NumPy types


def measure_profile(model: TFLiteModel, split: SplitData) -> OpProfile:
    """Run one real sample again and again, and read what the profiler says of each operator.

    Args:
        model: the file; its state, if any, starts anew here and goes on between invocations.
        split: its first sample is what is run.

    Returns:
        No times, and the reason, where the profiler cannot be reached or does not take the file.

    Raises:
        RuntimeRefusalError: the runtime cannot load the file at all.
    """
    empty = OpProfile(
        runtime=f"{model.runtime} {runtime_version(model.runtime)}", threads=model.threads
    )
    try:
        return _measured(model, split, empty)
    except UnavailableError as error:
        return empty.model_copy(update={"reason": str(error)})


def _measured(model: TFLiteModel, split: SplitData, empty: OpProfile) -> OpProfile:
    if model.runtime != RUNTIME:
        raise UnavailableError(f"{model.runtime} has no profiler that Python can reach")
    library = Library()
    file = graphs(root(Path(model.path).read_bytes(), schema.IDENTIFIER))
    arrays, subgraph = _fed(model, split)
    _require_taken(arrays, file)
    with Profiled(library, model.path, model.signature, model.threads) as profiled:
        profiled.feed(arrays)
        ledgers = events.undisturbed(_recorded(profiled))
    ops = events.operators(ledgers, file)
    return empty.model_copy(
        update={
            "invocations": len(ledgers),
            "total_us": events.figure(sum(one.mean_us for one in ops)),
            "hidden_us": events.hidden(ops),
            "ops": ops,
            "types": events.types(ops),
            "coverage": _coverage(ops, subgraph, file),
        }
    )


def _fed(model: TFLiteModel, split: SplitData) -> tuple[dict[str, NDArray[Any]], int]:
    """What the file's inputs take, and which subgraph it runs; the interpreter goes again."""
    session = open_session(model, split)
    return session.stored(first_batch(split, session.batch)), session.subgraph


def _require_taken(arrays: Mapping[str, NDArray[Any]], file: Sequence[Graph]) -> None:
    """Say what is known not to be taken, before the runtime says it in its own way."""
    if any(array.dtype.kind in TEXT for array in arrays.values()):
        raise UnavailableError("its inputs are text, which the profiler's interface does not take")
    if any(tensor.variable for graph in file for tensor in graph.tensors):
        raise UnavailableError(
            "it keeps state in variable tensors, which LiteRT's compiled models, and so its "
            "profiler, do not take"
        )


def _recorded(profiled: Profiled) -> list[list[Event]]:
    """As many invocations as there is time for, after one that finds that out."""
    profiled.run()  # allocates
    start = perf_counter()
    first = profiled.record(1)
    seconds = perf_counter() - start
    most = min(MOST, int(SECONDS / seconds), EVENTS // max(1, len(first[0])))
    return profiled.record(most) if most > 1 else first


def _coverage(ops: tuple[OpTime, ...], subgraph: int, file: tuple[Graph, ...]) -> Coverage | None:
    """Of a signature beyond the first subgraph, of which the interpreter does not tell."""
    if not subgraph:
        return None
    inside = [one for one in ops if one.subgraph == subgraph]
    own = [one.type for one in inside if not one.delegate]
    parts = {one.partition for one in inside if one.delegate}
    nodes = len(file[subgraph].operators)
    return Coverage(
        delegate=events.DELEGATE if parts else "",
        nodes=nodes,
        delegated=nodes - len(own) if parts else 0,
        partitions=len(parts),
        left=counted(own),
        seen_by="profiler",
    )
