"""Models that exist as numbers only: what a search would measure of each candidate."""

from dataclasses import dataclass, field
from itertools import combinations

from edgepack.quantize.space import Space, keeping
from edgepack.records.recipe import Group
from edgepack.records.search import Candidate, Trial

SAMPLES = 400


@dataclass
class Simulated:
    """Groups with a squared error and a float32 latency each; int8 takes a third of it.

    Errors add up; harm grows with them. A border between precisions takes `border`.
    """

    errors: tuple[float, ...]
    times: tuple[float, ...]
    border: float = 0.01
    broken: frozenset[str] = frozenset()  # engines whose files do not load
    clipped: dict[str, float] = field(default_factory=dict)  # factor on errors, by clipping
    asked: list[tuple[Candidate, str, int]] = field(default_factory=list)

    @property
    def space(self):
        groups = tuple(
            Group(name=f"g{n}", tensors=(f"t{n}",), ops=("CONV_2D",), weights_bytes=1000)
            for n in range(len(self.errors))
        )
        return Space(groups, ("quantizer", "converter"), ("min-max",))

    def __call__(self, number, candidate, stage, samples):
        self.asked.append((candidate, stage, samples))
        trial = Trial(number=number, candidate=candidate, stage=stage, samples=samples)
        if candidate.mode == "int8" and candidate.engine in self.broken:
            return trial.model_copy(update={"failure": "cannot load it"})
        return trial.model_copy(update=self.figures(candidate))

    def figures(self, candidate):
        total = sum(self.times)
        if candidate.mode != "int8":
            size = {"float32": 4, "float16": 2}.get(candidate.mode, 1) * 1000 * len(self.times)
            slow = 1.0 if candidate.mode in {"float32", "float16"} else 1.5
            return {"harm": 0.0, "error": 0.0, "latency_ratio": slow, "size_bytes": size}
        quantized = [n not in candidate.kept for n in range(len(self.times))]
        factor = self.clipped.get(candidate.clipping, 1.0)
        factor *= 1.1 if candidate.engine == "converter" else 1.0
        error = sum(e * factor for e, q in zip(self.errors, quantized, strict=True) if q)
        spent = sum(t / 3 if q else t for t, q in zip(self.times, quantized, strict=True))
        borders = sum(a != b for a, b in zip([False, *quantized], [*quantized, False], strict=True))
        size = sum(1000 if q else 4000 for q in quantized)
        return {
            "harm": min(error, 1.0),
            "error": error**0.5,
            "latency_ratio": (spent + borders * self.border * total) / total,
            "size_bytes": size,
        }

    def exhaustive(self, goal):
        """The least cost of any candidate within the goal."""
        base, count = Candidate(), len(self.errors)
        kept = [c for size in range(count + 1) for c in combinations(range(count), size)]
        found = [self.figures(keeping(base, one)) for one in kept]
        key = "latency_ratio" if goal.objective == "latency" else "size_bytes"
        return min(one[key] for one in found if one["harm"] <= goal.max_harm)
