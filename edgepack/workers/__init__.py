"""Processes that do what may crash, hang or grow: spawn, limits, typed deaths."""
