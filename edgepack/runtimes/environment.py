"""An environment that holds one release of one runtime: made once, then taken from the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import OutputError, RuntimeInstallError
from edgepack.runtimes.interpreters import interpreters

if TYPE_CHECKING:
    from edgepack.runtimes.interpreters import Interpreter
    from edgepack.runtimes.requirement import Requirement

SECONDS = 900.0  # TensorFlow is 600 MB
FORMAT = "1"  # raise when what goes into an environment changes
LINES = 3  # of an installer's last words
COMPILED = ("numpy", "h5py", "grpcio", "scipy")  # not to be built from source for a Python too new


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
        directory = self.root / f"{wanted.package}-{wanted.version}-{FORMAT}"
        python = directory / "bin/python"
        if not python.exists():
            if self.offline:
                raise RuntimeInstallError(
                    f"{wanted} is not installed, and --offline forbids to fetch it",
                    hint="Run once without --offline.",
                )
            self._make(wanted, directory)
        with suppress(OSError):
            os.utime(directory)  # what is used is not thrown away
        return python

    def _make(self, wanted: Requirement, directory: Path) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=".making-", dir=self.root))
        except OSError as error:
            raise OutputError(f"cannot be written: {error.strerror}", where=self.root) from error
        try:
            _install(wanted, partial / "env")
            with suppress(OSError):  # another process was as fast
                (partial / "env").rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _install(wanted: Requirement, directory: Path) -> None:
    """By the newest Python that has wheels of it.

    Raises:
        RuntimeInstallError: none has.
    """
    said = "no Python from 3.7 on was found"
    for interpreter in interpreters():
        shutil.rmtree(directory, ignore_errors=True)
        said = _installed(interpreter, wanted, directory)
        if not said:
            return
    tried = ", ".join(one.version for one in interpreters()) or "none"
    raise RuntimeInstallError(
        f"{wanted} cannot be installed by any Python here ({tried}): {said}",
        hint="See whether the release exists, and install a Python that it has wheels for.",
    )


def _installed(interpreter: Interpreter, wanted: Requirement, directory: Path) -> str:
    """Install, or say why not."""
    for command in _commands(interpreter, wanted, directory):
        try:
            done = subprocess.run(  # noqa: S603 - a Python of this machine, or uv
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            return "; ".join(done.stderr.strip().splitlines()[-LINES:]) or "no reason was given"
    return ""


def _uv() -> str | None:
    """The one beside this Python, else PATH's."""
    beside = os.path.dirname(sys.executable)  # noqa: PTH120
    return shutil.which("uv", path=beside) or shutil.which("uv")


def _commands(
    interpreter: Interpreter, wanted: Requirement, directory: Path
) -> tuple[list[str], list[str]]:
    """By uv where it is, which is quicker; else by venv and pip."""
    python, packages = str(directory / "bin/python"), (str(wanted), *wanted.companions)
    compiled = (*COMPILED, wanted.package)
    wheels = [word for name in compiled for word in ("--only-binary", name)]
    if uv := _uv():
        create = [uv, "venv", "--quiet", "--no-project", "--python", str(interpreter.path)]
        install = [uv, "pip", "install", "--quiet", "--python", python, *wheels, *packages]
        return [*create, str(directory)], install
    create = [str(interpreter.path), "-m", "venv", str(directory)]
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    return create, [python, "-m", "pip", "install", *quiet, *wheels, *packages]
