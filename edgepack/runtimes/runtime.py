"""A release that is installed, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgepack.runtimes import browser, running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edgepack.records.runtimes import ReplayAnswer, ReplayJob
    from edgepack.runtimes.environment import Environments
    from edgepack.runtimes.requirement import Kind, Requirement
    from edgepack.runtimes.running import Versions


class Runtime(Protocol):
    """One release of one runtime."""

    def run(self, job: ReplayJob, directory: Path, environment: dict[str, str]) -> ReplayAnswer:
        """What it makes of a job; its death is an answer too.

        Args:
            job: what to run.
            directory: takes files of the job.
            environment: variables of the process.
        """

    def registered(self) -> Versions:
        """Which versions of which builtin operators it knows.

        Raises:
            subprocess.SubprocessError: it does not answer.
        """


@dataclass(frozen=True)
class InPython:
    """A Python package, run by the Python that it is installed for."""

    python: Path

    def run(self, job: ReplayJob, directory: Path, environment: dict[str, str]) -> ReplayAnswer:
        """See `Runtime`."""
        return running.run(self.python, job, directory, environment)

    def registered(self) -> Versions:
        """See `Runtime`."""
        return running.registered(self.python)


@dataclass(frozen=True)
class InBrowser:
    """LiteRT.js, run by the browser of this machine."""

    program: Path
    modules: Path

    def run(self, job: ReplayJob, directory: Path, environment: dict[str, str]) -> ReplayAnswer:
        """See `Runtime`."""
        return browser.run(self.program, self.modules, job, directory, environment)

    def registered(self) -> Versions:
        """See `Runtime`."""
        return browser.registered(self.program, self.modules)


def prepared(wanted: Requirement, environments: Environments) -> Runtime:
    """A release, installed where it was not.

    Raises:
        RuntimeInstallError: it cannot be installed, or what runs it is not there.
        OutputError: its environment cannot be written.
    """
    return KINDS[wanted.kind](wanted, environments)


def _python(wanted: Requirement, environments: Environments) -> Runtime:
    return InPython(environments.python(wanted))


def _browser(wanted: Requirement, environments: Environments) -> Runtime:
    return InBrowser(browser.program(wanted), environments.modules(wanted))


KINDS: Mapping[Kind, Callable[[Requirement, Environments], Runtime]] = {
    "python": _python,
    "browser": _browser,
}
