"""The log of a search, whose measurements stand for new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from edgepack.errors import ConfigError
from edgepack.records.search import SearchResult

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.pipeline.trying import Hunt
    from edgepack.records.search import Candidate, Stopped, Trial

ANEW = "Leave search.replay out to search anew."


@dataclass(frozen=True)
class Recorded:
    """What a search asks for, answered from a log."""

    path: Path
    log: SearchResult

    def attempt(self, number: int, candidate: Candidate, stage: str, samples: int) -> Trial:
        """A trial as it was measured; one that failed was not on any samples.

        Raises:
            ConfigError: that search went another way.
        """
        for trial in self.log.trials:
            if trial.candidate == candidate and trial.samples in {samples, 0}:
                return trial.model_copy(update={"number": number, "stage": stage})
        raise ConfigError(
            f"the search log has no measurement of its trial {number}: "
            "it was made with other settings, or by another version of edgepack",
            where=self.path,
            hint=ANEW,
        )

    def stop(self, count: int) -> Stopped | None:
        """The end where that search ended."""
        ended = self.log.stopped != "done" and count >= len(self.log.trials)
        return self.log.stopped if ended else None


def read(path: Path, hunt: Hunt) -> Recorded:
    """The log of a search for the same model on as many samples.

    Raises:
        ConfigError: it cannot be read, or is of another search.
    """
    log = _log(path)
    if log.groups != hunt.space.groups or log.samples != hunt.ground.split.samples:
        what = "the search log is of another model or another tune split"
        raise ConfigError(what, where=path, hint=ANEW)
    return Recorded(path, log)


def _log(path: Path) -> SearchResult:
    try:
        return SearchResult.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no search.json"
        raise ConfigError(
            f"the search log cannot be read: {what}",
            where=path,
            hint="Name the search.json that a build with the variant auto left.",
        ) from error
