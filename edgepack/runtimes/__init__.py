"""Runtimes of other releases, each in an environment of its own."""
