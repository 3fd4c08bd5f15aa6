"""Releases of runtimes where the command looks for them."""

from __future__ import annotations

import pytest

from edgepack.cache import default_root
from edgepack.errors import RuntimeInstallError
from edgepack.runtimes import requirement
from edgepack.runtimes.environment import Environments


def installed(*releases):
    """The environments that the command uses; skips where a release cannot be had."""
    found = Environments(default_root() / "runtimes")
    try:
        for release in releases:
            found.python(requirement.parse(release))
    except RuntimeInstallError as error:
        pytest.skip(f"a runtime cannot be installed here: {error}")
    return found
