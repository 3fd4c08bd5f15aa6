"""The one place that imports TensorFlow. Runs in a worker."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def import_tensorflow() -> Any:
    """The module, without the scikit-learn that Keras would load along for its wrappers.

    That is a quarter of the time of `import tensorflow` where scikit-learn is installed.
    """
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    sys.modules["sklearn"] = None  # type: ignore[assignment] # an import of it now fails at once
    try:
        return import_module("tensorflow")
    finally:
        del sys.modules["sklearn"]
