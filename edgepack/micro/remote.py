"""What the Python of a TFLite Micro release is told to do: run a file, and print what it took.

Arguments are the file, bytes for the arena, and how many inputs it has, which are fed with zeros.
Needs NumPy and tflite-micro, and nothing of edgepack. The last line on standard output is JSON;
the sizes are on standard error, where TFLite Micro prints them.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import numpy as np


def report(path: str, size: int, inputs: int) -> dict[str, Any]:
    """Whether the package loads, whether the file ran, and what was said if not."""
    try:
        runtime = importlib.import_module("tflite_micro").runtime
    except ImportError as error:
        return {"loads": False, "ran": False, "reason": str(error)}
    try:
        interpreter = runtime.Interpreter.from_file(path, arena_size=size)
        for place in range(inputs):
            own = interpreter.get_input_details(place)
            interpreter.set_input(np.zeros(own["shape"], own["dtype"]), place)
        interpreter.invoke()
        interpreter.print_allocations()
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        return {"loads": True, "ran": False, "reason": f"{type(error).__name__}: {error}"}
    return {"loads": True, "ran": True, "reason": ""}


if __name__ == "__main__":
    answer = report(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
