"""Every choice of layers to keep float32, for comparison with what the search found."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from edgepack.cache import Cache
from edgepack.config import settings
from edgepack.pipeline import plan, sensitivity, trying
from edgepack.pipeline.session import Session
from edgepack.quantize import front
from edgepack.quantize.space import keeping

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.records.search import Candidate, Trial

MOST_GROUPS = 8  # 256 files


def sweep(folder: Path, cache: Path, full: Candidate) -> tuple[Trial, ...] | None:
    """Measure all of them, as the search measures; None where they are too many.

    Args:
        folder: a project.
        cache: where the search has left its measurements, which are used again.
        full: engine and clipping to make the files by.
    """
    wanted = settings.load(folder / "edgepack.toml")
    with Session(Cache(cache), wanted.limits, lambda _: None) as session:
        hunt = sensitivity.prepared(session, plan.make(session, wanted))
        count = len(hunt.space.groups)
        if count > MOST_GROUPS:
            return None
        attempt, samples = trying.attempts(hunt), hunt.ground.split.samples
        kept = [one for size in range(count + 1) for one in combinations(range(count), size)]
        found = [attempt(1, keeping(full, one), "sweep", samples) for one in kept]
        return tuple(one for one in found if front.counts(one, samples))
