"""What the Python of a TFLite Micro release is told to do: run a file, and print what it took.

Arguments are the file, bytes for the arena, and how many inputs it has, which are fed with zeros.
Needs NumPy and tflite-micro, and nothing of edgepack. The last line on standard output is JSON;
the sizes are on standard error, where TFLite Micro prints them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

import numpy as np

STEP = 16  # bytes: what everything in an arena is aligned to


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
        least = least_arena(runtime.Interpreter, path, size)
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        return {"loads": True, "ran": False, "reason": f"{type(error).__name__}: {error}"}
    return {"loads": True, "ran": True, "reason": "", "least": least}


def least_arena(kind: Any, path: str, enough: int) -> int:
    """The fewest bytes in which the interpreter starts, by halves, in steps of 16.

    That is more than what it says to have taken where it planned many small tensors.
    """
    too_small, enough = 0, -(-enough // STEP)
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        too_small, enough = (too_small, middle) if starts(kind, path, middle) else (middle, enough)
    return enough * STEP


def starts(kind: Any, path: str, steps: int) -> bool:
    """Whether it does with so much, tried by a process that may die of it."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # it says what is missing
        kind.from_file(path, arena_size=steps * STEP)
    except Exception:  # noqa: BLE001 - whatever it raises, it did not start
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    answer = report(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write("\n" + json.dumps(answer) + "\n")
