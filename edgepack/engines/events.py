"""From the events of a profiler to time by operator. Runs in a worker."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgepack.records.profile import OpTime, TypeTime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.engines.litert import Event
    from edgepack.tflite.graph import Graph

OWN = 2  # LiteRtProfilerEventType: an operator, by the runtime's own kernel
DELEGATED = frozenset((4, 8))  # an operator inside of a delegate
PLAIN = 1  # anything else that takes time, such as the run of one subgraph
SUBGRAPH = "Invoke"  # how that is named
DELEGATE = "XNNPACK"  # the only one on a CPU
USUAL = 1.5  # times the median, up to which an invocation counts as undisturbed
Key = tuple[int, int | None, int, str]  # subgraph, partition, node, name


@dataclass
class _Timed:
    """Something that began and ended, and within which others may have."""

    key: Key | None
    end_us: int


@dataclass
class Ledger:
    """Adds the events of one invocation up, by operator.

    Loops and branches count for nothing: their time holds that of the operators in the subgraphs
    that they run, which count for themselves, and mostly the profiler's own cost, as it asks the
    system for the memory in use whenever a subgraph begins or ends.
    """

    calls: Counter[Key] = field(default_factory=Counter)
    _times: Counter[Key] = field(default_factory=Counter)
    _holders: set[Key] = field(default_factory=set)
    _open: list[_Timed] = field(default_factory=list)
    _partition: dict[int, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Microseconds of all operators."""
        return sum(self.times.values())

    @property
    def times(self) -> dict[Key, int]:
        """Microseconds by operator, in the order that they first ran."""
        return {k: 0 if k in self._holders else time for k, time in self._times.items()}

    def add(self, event: Event) -> None:
        """Take the next event, in the order that they began."""
        if event.kind in DELEGATED:
            self._add_delegated(event)
        elif event.kind == OWN:
            key = event.subgraph, None, event.node, event.name
            self._count(key, event.elapsed_us)
            self._began(key, event)
        elif event.kind == PLAIN and event.name == SUBGRAPH:
            self._partition[event.subgraph] = -1
            parent = self._began(None, event)
            if parent and parent.key:
                self._holders.add(parent.key)

    def _add_delegated(self, event: Event) -> None:
        """A delegate's operators have no place in time, and begin at 0 in each partition."""
        number = self._partition.get(event.subgraph, -1) + (event.node == 0)
        self._partition[event.subgraph] = number
        self._count((event.subgraph, number, event.node, event.name), event.elapsed_us)

    def _count(self, key: Key, elapsed_us: int) -> None:
        self._times[key] += elapsed_us
        self.calls[key] += 1

    def _began(self, key: Key | None, event: Event) -> _Timed | None:
        """Note what began now; what it is a part of."""
        while self._open and self._open[-1].end_us <= event.start_us:
            self._open.pop()
        parent = self._open[-1] if self._open else None
        self._open.append(_Timed(key, event.start_us + event.elapsed_us))
        return parent


def undisturbed(invocations: Iterable[Iterable[Event]]) -> list[Ledger]:
    """Those that took about as long as most did; in others something else had the processor.

    One disturbance may be hundreds of times a small model's time, and would be its mean. Whole
    microseconds make a microsecond of difference for each operator.
    """
    ledgers = [_ledger(events) for events in invocations]
    usual = statistics.median_high(ledger.total for ledger in ledgers)
    return [one for one in ledgers if one.total <= USUAL * usual + len(one.calls)]


def _ledger(events: Iterable[Event]) -> Ledger:
    ledger = Ledger()
    for event in events:
        ledger.add(event)
    return ledger


def operators(ledgers: Sequence[Ledger], graphs: Sequence[Graph]) -> tuple[OpTime, ...]:
    """Mean time of one inference by operator, in the order that they first ran.

    Args:
        ledgers: of each invocation, one at least.
        graphs: the file's, for names.
    """
    times: Counter[Key] = Counter()
    calls: Counter[Key] = Counter()
    for ledger in ledgers:
        times.update(ledger.times)
        calls.update(ledger.calls)
    total, count = times.total() or 1, len(ledgers)
    return tuple(
        _named(key, graphs).model_copy(
            update={
                "calls": figure(calls[key] / count),
                "mean_us": figure(time / count),
                "share": figure(time / total),
            }
        )
        for key, time in times.items()
    )


def _named(key: Key, graphs: Sequence[Graph]) -> OpTime:
    """An operator that no time is known of yet."""
    subgraph, partition, node, name = key
    own = partition is None
    return OpTime(
        type=name if own else name.partition(" (")[0],
        name=name,
        delegate="" if own else DELEGATE,
        subgraph=subgraph,
        partition=partition,
        node=node,
        tensor=_tensor(graphs, subgraph, node) if own else "",
        calls=1,
        mean_us=0.0,
        share=0.0,
    )


def _tensor(graphs: Sequence[Graph], subgraph: int, node: int) -> str:
    if not 0 <= subgraph < len(graphs) or not 0 <= node < len(graphs[subgraph].operators):
        return ""
    graph = graphs[subgraph]
    outputs = graph.operators[node].outputs
    return graph.tensor(outputs[0]).name if outputs else ""


def types(ops: Sequence[OpTime]) -> tuple[TypeTime, ...]:
    """Operators of one type together, the costliest first."""
    groups: dict[tuple[str, str], list[OpTime]] = {}
    for one in ops:
        groups.setdefault((one.type, one.delegate), []).append(one)
    found = (_type(name, delegate, group) for (name, delegate), group in groups.items())
    return tuple(sorted(found, key=lambda one: (-one.mean_us, one.type, one.delegate)))


def _type(name: str, delegate: str, group: Sequence[OpTime]) -> TypeTime:
    return TypeTime(
        type=name,
        delegate=delegate,
        count=len(group),
        mean_us=figure(sum(one.mean_us for one in group)),
        share=figure(sum(one.share for one in group)),
    )


def hidden(ops: Iterable[OpTime]) -> float:
    """Microseconds of one inference that a delegate's rounding hides at most."""
    return figure(sum(one.calls for one in ops if one.delegate))


def figure(value: float) -> float:
    """Six digits that count, as all figures of a report have."""
    return float(f"{value:.6g}")
