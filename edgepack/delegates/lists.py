"""The published lists of delegates: `published/*.toml` as `Delegate` records."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from edgepack import tomlfile
from edgepack.errors import ConfigError
from edgepack.records.delegates import Delegate
from edgepack.tomlfile.plain import nearest

PUBLISHED = Path(__file__).parent / "published"


def names() -> tuple[str, ...]:
    """The delegates of which there is a list, sorted."""
    return tuple(sorted(file.stem for file in PUBLISHED.glob("*.toml")))


@cache
def load(name: str) -> Delegate:
    """The list of one delegate.

    Raises:
        ConfigError: there is none of that name.
    """
    known = names()
    if name not in known:
        raise ConfigError(
            f'no delegate is called "{name}"; {nearest(name, known)}',
            hint=f"Delegates: {', '.join(known)}.",
        )
    return tomlfile.load(PUBLISHED / f"{name}.toml", Delegate)
