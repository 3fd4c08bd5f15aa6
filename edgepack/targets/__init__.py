"""Target profiles: `targets/*.toml` as `Target` records."""

from __future__ import annotations

from edgepack.targets.profiles import is_path, load, load_all, load_each, names

__all__ = ["is_path", "load", "load_all", "load_each", "names"]
