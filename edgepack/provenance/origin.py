"""Which commit and which CI run a build is of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field

from edgepack.errors import UsageError
from edgepack.provenance import git
from edgepack.provenance.systems import fill, system
from edgepack.provenance.urls import public
from edgepack.records.base import Record
from edgepack.records.manifest import GREATEST

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

commit_count = git.commit_count
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Origin(Record):
    """Commit and CI run; what nobody says is empty."""

    repository: str = Field("", description="URL without credentials")
    commit: str = Field("", description="SHA-1 or SHA-256, in lower-case hexadecimal")
    dirty: bool | None = Field(None, description="tracked files differ from the commit")
    ref: str = Field("", description="branch or tag")
    system: str = Field("", description="such as github-actions")
    run: str = Field("", description="the system's identifier of the run")
    run_url: str = ""
    run_number: int | None = None
    builder: str = Field("", description="URI of who ran the build")

    @property
    def invocation(self) -> str:
        """What tells this run from others: its URL, else its identifier."""
        return self.run_url or self.run


def find(environment: Mapping[str, str], directory: Path) -> Origin:
    """What CI says of this run, and git where CI says nothing of the commit."""
    ci, local = _of_ci(environment), _of_git(directory)
    if ci.commit not in ("", local.commit):
        return ci  # a checkout of another commit cannot speak of this one
    own = {"commit": local.commit, "dirty": local.dirty}
    either = {"repository": ci.repository or local.repository, "ref": ci.ref or local.ref}
    return ci.model_copy(update={**own, **either})


def run_number(environment: Mapping[str, str]) -> int:
    """The number of the CI run, which grows from run to run.

    Raises:
        UsageError: the environment is of no CI system that numbers its runs.
    """
    number = _of_ci(environment).run_number
    if number is None:
        raise UsageError(
            "no CI run has a number here",
            hint="Give one, as --sequence 42, or take it from the commits or the last release.",
        )
    return number


def _of_ci(environment: Mapping[str, str]) -> Origin:
    ci = system(environment)
    if ci is None:
        return Origin(system="ci" if environment.get("CI", "").lower() in ("1", "true") else "")
    return Origin(
        repository=public(fill(environment, *ci.repository)),
        commit=_commit(fill(environment, ci.commit)),
        ref=fill(environment, *ci.ref),
        system=ci.name,
        run=fill(environment, ci.run),
        run_url=public(fill(environment, *ci.url)),
        run_number=_number(fill(environment, ci.number)),
        builder=public(fill(environment, *ci.builder)),
    )


def _of_git(directory: Path) -> Origin:
    commit = _commit(git.ask(directory, "rev-parse", "--verify", "HEAD") or "")
    if not commit:
        return Origin()
    return Origin(
        repository=public(git.ask(directory, "config", "--get", "remote.origin.url") or ""),
        commit=commit,
        dirty=git.changed(directory),
        ref=git.ask(directory, "symbolic-ref", "--quiet", "HEAD") or "",
    )


def _commit(text: str) -> str:
    return text if _COMMIT.fullmatch(text) else ""


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,16}", text) and int(text) <= GREATEST else None
