"""The one place that imports TensorFlow. Runs in a worker."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def import_tensorflow() -> Any:
    """The module, without the scikit-learn that Keras would load along for its wrappers.

    That is a quarter of the time of `import tensorflow` where scikit-learn is installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    with hidden("sklearn"):
        return import_module("tensorflow")


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Let an import of a package fail, as where it is not installed; unless it is imported."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment] # Python's own way to say so
    try:
        yield
    finally:
        del sys.modules[package]
