"""Installs a release that is a Python package into an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from edgepack.errors import RuntimeInstallError
from edgepack.runtimes.interpreters import interpreters

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.runtimes.interpreters import Interpreter
    from edgepack.runtimes.requirement import Requirement

PROGRAM = "bin/python"  # of an environment
SECONDS = 900.0  # TensorFlow is 600 MB
LINES = 3  # of an installer's last words
COMPILED = ("numpy", "h5py", "grpcio", "scipy")  # not to be built from source for a Python too new


def install(wanted: Requirement, directory: Path) -> None:
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
