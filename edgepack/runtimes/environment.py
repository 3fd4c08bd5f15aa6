"""An environment that holds one release of one runtime: made once, then taken from the cache."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import OutputError, RuntimeInstallError
from edgepack.runtimes import npm, wheels

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.runtimes.requirement import Requirement

    Install = Callable[[Requirement, Path], None]

FORMAT = "1"  # raise when what goes into an environment changes


@dataclass(frozen=True)
class Environments:
    """Where environments are kept, and whether the network may be asked.

    Args:
        root: their directory.
        offline: refuse what is not there.
    """

    root: Path
    offline: bool = False

    def python(self, wanted: Requirement) -> Path:
        """The program that runs with this runtime, installed where it was not.

        Raises:
            RuntimeInstallError: no Python here has a wheel of it, or the index cannot be reached.
            OutputError: the environment cannot be written.
        """
        return self._part(wanted, wheels.PROGRAM, wheels.install)

    def modules(self, wanted: Requirement) -> Path:
        """The `node_modules` that hold this runtime, installed where they were not.

        Raises:
            RuntimeInstallError: npm is not there, or has no such release, or reaches nothing.
            OutputError: the environment cannot be written.
        """
        return self._part(wanted, npm.MODULES, npm.install)

    def _part(self, wanted: Requirement, name: str, install: Install) -> Path:
        """A part of an environment; the environment is made where that is not there."""
        directory = self.root / f"{wanted.folder}-{FORMAT}"
        part = directory / name
        if not part.exists():
            if self.offline:
                raise RuntimeInstallError(
                    f"{wanted} is not installed, and --offline forbids to fetch it",
                    hint="Run once without --offline.",
                )
            self._make(wanted, directory, name, install)
        with suppress(OSError):
            os.utime(directory)  # what is used is not thrown away
        return part

    def _make(self, wanted: Requirement, directory: Path, name: str, install: Install) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".making-", dir=self.root))
        except OSError as error:
            raise OutputError(f"cannot be written: {error.strerror}", where=self.root) from error
        try:
            install(wanted, partial / "env")
            if not (directory / name).exists():  # the Python that it was made of is gone
                shutil.rmtree(directory, ignore_errors=True)
            with suppress(OSError):  # another process was as fast
                (partial / "env").rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
