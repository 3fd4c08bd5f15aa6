"""Installs a release that is a package of npm into a directory of its own."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from edgepack.errors import RuntimeInstallError

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.runtimes.requirement import Requirement

MODULES = "node_modules"  # of an environment
SECONDS = 300.0  # LiteRT.js is 38 MB
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--logs-max=0", "--loglevel=error")
SAID = "npm error "  # what npm starts each line of an error with
NOISE = "Log files were not written"


def install(wanted: Requirement, directory: Path) -> None:
    """Install without running any program of a package.

    Raises:
        RuntimeInstallError: npm is not there, or cannot install it.
    """
    if not (npm := shutil.which("npm")):
        raise RuntimeInstallError(
            f"{wanted} is a package of npm, and npm is not on PATH",
            hint="Install Node.js with npm; Debian has it as the package npm.",
        )
    directory.mkdir()
    package = f"{wanted.package}@{wanted.version}"
    if said := _installed([npm, "install", *OPTIONS, "--prefix", str(directory), package]):
        raise RuntimeInstallError(
            f"{wanted} cannot be installed by npm: {said}",
            hint="See whether the release exists, and whether npm reaches its registry.",
        )


def _installed(command: list[str]) -> str:
    """Install, or say why not."""
    try:
        done = subprocess.run(  # noqa: S603 - npm of this machine
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if not done.returncode:
        return ""
    lines = [line.removeprefix(SAID) for line in done.stderr.splitlines() if NOISE not in line]
    return "; ".join(line for line in lines if line.strip()) or "no reason was given"
