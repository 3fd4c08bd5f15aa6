"""The data that edgepack brings along: target profiles and the embedded example."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgepack.errors import UsageError

PACKAGE = Path(__file__).resolve().parent


def path(name: Literal["targets", "calibration"]) -> Path:
    """Where a built-in directory lies: inside the wheel, or at the top of a checkout.

    Raises:
        UsageError: the installation is incomplete.
    """
    installed, checkout = PACKAGE / "_data" / name, PACKAGE.parent / name
    for directory in (installed, checkout):
        if directory.is_dir():
            return directory
    raise UsageError(
        f"the built-in {name} are missing", where=installed, hint="Install edgepack again."
    )
