"""Latency of several models side by side, in interleaved rounds. Runs in a worker."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from edgepack.engines.arrays import first_batch
from edgepack.engines.interpreter import open_session, runtime_version
from edgepack.measure.timing import Stopwatch
from edgepack.records.stages import Latencies, Ratio
from edgepack.stats import ratio_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.engines.interpreter import Session
    from edgepack.records.dataset import SplitData
    from edgepack.records.evidence import Latency
    from edgepack.records.stages import SourceModel, TFLiteModel


def measure_latency(
    models: Mapping[str, TFLiteModel],
    split: SplitData,
    pairs: tuple[tuple[str, str], ...],
    rounds: int,
) -> Latencies:
    """Time every model on one real sample, so that drift of the machine hits all alike.

    Each round times a block of invocations of every model, in a new order each round.

    Args:
        models: by name.
        split: its first sample is what all are timed on.
        pairs: (name, reference) whose ratio of median times is wanted.
        rounds: how many rounds count, after warm-up.
    """
    sessions = {name: _ready(model, split) for name, model in models.items()}
    watches = {name: Stopwatch(session.invoke) for name, session in sessions.items()}
    order, shuffle = list(watches), random.Random(0).shuffle  # noqa: S311 - an order, not a secret
    for _ in range(rounds):
        shuffle(order)
        for name in order:
            if models[name].stateful:
                sessions[name](first_batch(split, sessions[name].batch))  # from the initial state
            watches[name].run_round()
    return Latencies(
        latencies={n: _latency(watches[n], models[n], sessions[n]) for n in models},
        ratios=tuple(_ratio(name, reference, watches) for name, reference in pairs),
    )


def measure_source_latency(source: SourceModel, split: SplitData, rounds: int) -> Latency:
    """Time the source model in TensorFlow on one real sample at a time."""
    from edgepack.engines.importing import import_tensorflow
    from edgepack.engines.loading import load

    model = load(source)
    feed = first_batch(split, source.fixed_batch or 1)
    watch = Stopwatch(lambda: model(feed))
    for _ in range(rounds):
        watch.run_round()
    return watch.latency(
        threads=os.cpu_count() or 1,
        runtime="tensorflow",
        version=import_tensorflow().version.VERSION,
        delegate="",
    )


def _ready(model: TFLiteModel, split: SplitData) -> Session:
    session = open_session(model, split)
    session(first_batch(split, session.batch))
    return session


def _latency(watch: Stopwatch, model: TFLiteModel, session: Session) -> Latency:
    return watch.latency(
        threads=model.threads,
        runtime=model.runtime,
        version=runtime_version(model.runtime),
        delegate=session.delegate,
    )


def _ratio(name: str, reference: str, watches: Mapping[str, Stopwatch]) -> Ratio:
    both = zip(watches[name].medians_ms(), watches[reference].medians_ms(), strict=True)
    value, interval = ratio_interval([mine / other for mine, other in both])
    return Ratio(name=name, reference=reference, value=value, interval=interval)
