"""The data that edgepack brings along: target profiles, the example, what errors mean."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgepack.errors import UsageError

PACKAGE = Path(__file__).resolve().parent
IN_CHECKOUT = {"errors": "docs/errors"}  # the others lie at its top, by their names


def path(name: Literal["targets", "calibration", "errors"]) -> Path:
    """Where a built-in directory lies: inside the wheel, or in a checkout.

    Raises:
        UsageError: the installation is incomplete.
    """
    installed, checkout = PACKAGE / "_data" / name, PACKAGE.parent / IN_CHECKOUT.get(name, name)
    for directory in (installed, checkout):
        if directory.is_dir():
            return directory
    raise UsageError(
        f"the built-in {name} are missing", where=installed, hint="Install edgepack again."
    )
