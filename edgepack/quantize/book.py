"""The trials of one search, in order, each candidate measured once, within limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edgepack.quantize import front

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.records.search import Candidate, Goal, Stopped, Trial


class Attempt(Protocol):
    """Makes and measures one candidate; what stops the file is in the trial, not raised."""

    def __call__(self, number: int, candidate: Candidate, stage: str, samples: int) -> Trial:
        """The trial."""


class StopError(Exception):
    """The search ends here with what it has."""

    def __init__(self, why: Stopped) -> None:
        super().__init__(why)
        self.why = why


@dataclass
class Book:
    """Asks for trials, remembers them, and ends the search at its limits.

    Args:
        attempt: makes a trial.
        goal: what is looked for.
        samples: of the tune split.
        stop: says before each trial after `count` others whether to end, and why.
    """

    attempt: Attempt
    goal: Goal
    samples: int
    stop: Callable[[int], Stopped | None]
    trials: list[Trial] = field(default_factory=list)
    _known: dict[tuple[Candidate, int], Trial] = field(default_factory=dict)

    def ask(self, candidate: Candidate, stage: str, samples: int = 0) -> Trial:
        """The trial of a candidate on the whole split, or on the first `samples`.

        Raises:
            StopError: a limit is reached.
        """
        rows = min(samples or self.samples, self.samples)
        known = self._known.get((candidate, self.samples)) or self._known.get((candidate, rows))
        if known:
            return known
        if why := self.stop(len(self.trials)):
            raise StopError(why)
        trial = self.attempt(len(self.trials) + 1, candidate, stage, rows)
        self.trials.append(trial)
        self._known[candidate, rows] = trial
        return trial

    def ok(self, candidate: Candidate, stage: str) -> bool:
        """Whether a candidate is within the goal."""
        trial = self.ask(candidate, stage)
        return self.counts(trial) and front.meets(trial, self.goal)

    def counts(self, trial: Trial) -> bool:
        """Whether a trial may be chosen."""
        return front.counts(trial, self.samples)

    def counted(self) -> list[Trial]:
        """Trials that may be chosen."""
        return [trial for trial in self.trials if self.counts(trial)]
