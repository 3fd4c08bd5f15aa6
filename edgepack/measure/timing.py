"""Timing of one call: warm-up until stable, blocks of rounds, percentiles. Runs in a worker."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np

from edgepack.records.evidence import Latency

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 10  # invocations compared with the ones before
STABLE = 0.05  # relative change of the windows' medians that counts as stable
WARMUP_NS = 1_000_000_000
BLOCK_NS = 5_000_000  # long enough that the clock and the loop do not matter
MAX_BLOCK = 50


def time_ns(call: Callable[[], object]) -> int:
    """Nanoseconds of one call."""
    start = perf_counter_ns()
    call()
    return perf_counter_ns() - start


def warm_up(call: Callable[[], object]) -> list[int]:
    """Call until two windows' medians agree, or for a second; the times, nanoseconds."""
    times = [time_ns(call) for _ in range(2)]
    while sum(times) < WARMUP_NS and not _stable(times):
        times += [time_ns(call) for _ in range(WINDOW)]
    return times


def _stable(times: list[int]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    before = statistics.median(times[-2 * WINDOW : -WINDOW])
    return abs(statistics.median(times[-WINDOW:]) - before) <= STABLE * before


@dataclass
class Stopwatch:
    """Warms one call up, then times it in blocks, one block a round."""

    call: Callable[[], object]
    warmup: int = field(init=False)
    block: int = field(init=False)
    rounds: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        times = warm_up(self.call)
        self.warmup = len(times)
        self.block = int(min(max(1, BLOCK_NS // max(1, times[-1])), MAX_BLOCK))

    def run_round(self) -> None:
        """Time one block of calls."""
        self.rounds.append([time_ns(self.call) for _ in range(self.block)])

    def medians_ms(self) -> list[float]:
        """The median of each round, milliseconds."""
        return [statistics.median(block) / 1e6 for block in self.rounds]

    def latency(self, *, threads: int, runtime: str, version: str, delegate: str) -> Latency:
        """Percentiles (linear interpolation), mean and sample standard deviation of all calls."""
        times = np.concatenate([np.asarray(block, np.float64) for block in self.rounds]) / 1e6
        p50, p90, p95, p99 = (_figure(x) for x in np.percentile(times, [50, 90, 95, 99]))
        return Latency(
            p50_ms=p50,
            p90_ms=p90,
            p95_ms=p95,
            p99_ms=p99,
            mean_ms=_figure(times.mean()),
            std_ms=_figure(times.std(ddof=1)) if len(times) > 1 else 0.0,
            invocations=len(times),
            warmup=self.warmup,
            threads=threads,
            runtime=runtime,
            runtime_version=version,
            delegate=delegate,
        )


def _figure(value: float) -> float:
    return float(f"{value:.6g}")
