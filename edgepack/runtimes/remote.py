"""What the Python of a runtime is told to do: run a file on recorded inputs, or name its operators.

Needs Python 3.7 and NumPy, and nothing of edgepack. Prints one line of JSON for each job, between
whatever libraries print.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import operator
import os
import struct
import sys
import time
from typing import Any

import numpy as np

RUNTIMES = (
    ("ai_edge_litert.interpreter", "Interpreter"),
    ("tflite_runtime.interpreter", "Interpreter"),
    ("tensorflow", "lite.Interpreter"),
)
ARENA = 1 << 26  # bytes that TFLite Micro may take at least
Job = Any  # a dict, as JSON has it


# An empty subgraph and one operator code, as flatbuffers lays them out.
EMPTY = bytes.fromhex(
    "1800000054464c3300000e00140010000c000800000004000e000000100000001c0000005000000003000000"
    "0100000008000000040004000400000001000000100000000c00140010000c00080004000c00000010000000"
    "1000000010000000100000000000000000000000000000000000000001000000100000000c0010000f000000"
    "080004000c000000650000000403020100000065"
)
NUMBER, VERSION, OLD_NUMBER = 140, 144, 151  # where the operator stands in it
LAST_OLD = 127  # numbers that the old field has room for
LAST_OPERATOR, LAST_VERSION = 254, 24


def file_of(number: int, version: int) -> bytes:
    """A file that lists one operator."""
    data = bytearray(EMPTY)
    struct.pack_into("<i", data, NUMBER, number)
    struct.pack_into("<i", data, VERSION, version)
    data[OLD_NUMBER] = min(number, LAST_OLD)
    return bytes(data)


def registers(interpreter: Any, number: int, version: int) -> bool:
    """Whether the runtime takes it."""
    try:
        interpreter(model_content=file_of(number, version))
    except (ValueError, RuntimeError):
        return False
    return True


def runtime() -> Any:
    """The interpreter's class.

    Raises:
        ImportError: there is none.
    """
    for module, name in RUNTIMES:
        try:
            return operator.attrgetter(name)(importlib.import_module(module))
        except ImportError:
            continue
    if importlib.util.find_spec("tflite_micro"):
        return Micro
    raise ImportError("no runtime can be imported")


class Micro:
    """TFLite Micro's interpreter with the names that the others have.

    Raises:
        ImportError: the package cannot be loaded.
        RuntimeError: it refuses the file.
    """

    def __init__(self, model_path: str) -> None:
        """Make it, which allocates too."""
        kind = importlib.import_module("tflite_micro").runtime.Interpreter
        size = max(ARENA, 10 * os.path.getsize(model_path))  # noqa: PTH202
        self._own = kind.from_file(model_path, arena_size=size)
        self.set_tensor = lambda index, values: self._own.set_input(values, index)
        self.get_tensor = self._own.get_output
        self.invoke = self._own.invoke
        self.reset_all_variables = self._own.reset

    def allocate_tensors(self) -> None:
        """Nothing is left to do."""

    def resize_tensor_input(self, index: int, shape: list[int]) -> None:
        """It has no such thing.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"TFLite Micro cannot make input {index} {shape}")

    def get_input_details(self) -> list[Job]:
        """By place, which is what it knows inputs by."""
        return details(self._own.get_input_details)

    def get_output_details(self) -> list[Job]:
        """By place."""
        return details(self._own.get_output_details)


def details(of: Any) -> list[Job]:
    """What there is from place 0 on, each with its place."""
    found: list[Job] = []
    while True:
        try:
            found.append({**of(len(found)), "index": len(found)})
        except IndexError:
            return found


def registered() -> dict[int, list[int]]:
    """Versions by the operator's number."""
    interpreter = runtime()
    found = {
        number: [v for v in range(1, LAST_VERSION + 1) if registers(interpreter, number, v)]
        for number in range(LAST_OPERATOR + 1)
    }
    return {number: versions for number, versions in found.items() if versions}


def opened(job: Job) -> Any:
    """An interpreter of the file, with inputs of the recorded shapes.

    Raises:
        ImportError: there is no runtime.
        ValueError, RuntimeError: it refuses the file.
    """
    kind = runtime()
    known = inspect.signature(kind.__init__).parameters
    threads = {"num_threads": job["threads"]} if "num_threads" in known else {}
    try:
        interpreter = kind(model_path=job["model"], **threads)
    except AttributeError:  # ai-edge-litert 1.1.0 cannot be told
        interpreter = kind(model_path=job["model"])
    details = interpreter.get_input_details()
    for tensor in job["inputs"]:
        own = details[tensor["place"]]
        if list(own["shape"]) != tensor["shape"]:
            interpreter.resize_tensor_input(own["index"], tensor["shape"])
    interpreter.allocate_tensors()
    return interpreter


def replay(interpreter: Any, job: Job) -> list[float]:
    """Feed everything, write what comes out of the last round; seconds of each invocation."""
    rows = list(zip(*(read(tensor, job["count"]) for tensor in job["inputs"])))  # noqa: B905
    places = [tensor["place"] for tensor in job["inputs"]]
    seconds: list[float] = []
    for number in range(job["rounds"] + 1):
        given = [invoke(interpreter, places, row) for row in rows or [()] * job["count"]]
        seconds += [spent for spent, _ in given] if number else []
    for tensor in job["outputs"]:
        write(tensor, [answers[tensor["place"]] for _, answers in given])
    return seconds


def invoke(interpreter: Any, places: list[int], row: Any) -> tuple[float, list[Any]]:
    """One invocation from a state without memory: seconds, and all outputs."""
    if hasattr(interpreter, "reset_all_variables"):
        interpreter.reset_all_variables()
    details = interpreter.get_input_details()
    for place, values in zip(places, row):  # noqa: B905 - not in Python 3.9
        interpreter.set_tensor(details[place]["index"], values)
    start = time.perf_counter()
    interpreter.invoke()
    spent = time.perf_counter() - start
    outputs = interpreter.get_output_details()
    return spent, [interpreter.get_tensor(output["index"]) for output in outputs]


def read(tensor: Job, count: int) -> Any:
    """A recorded tensor, [count, ...]."""
    shape = [count, *tensor["shape"]]
    with open(tensor["path"], "rb") as file:  # noqa: PTH123
        data = file.read()
    if tensor["dtype"] == "string":
        return np.array(strings(data), dtype=object).reshape(shape)
    return np.frombuffer(data, np.dtype(tensor["dtype"]).newbyteorder("<")).reshape(shape)


def strings(data: bytes) -> list[bytes]:
    """Each is its length, four bytes, and its bytes."""
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def write(tensor: Job, arrays: list[Any]) -> None:
    """Answers with their own type and shape, which are compared too."""
    answers = np.stack(arrays)
    if answers.dtype == object:
        answers = answers.astype(np.bytes_)
    with open(tensor["path"], "wb") as file:  # noqa: PTH123
        np.save(file, answers, allow_pickle=False)


def report(path: str) -> Job:
    """Run the job of a file (`ReplayJob`), and say what happened (`ReplayAnswer`)."""
    with open(path) as file:  # noqa: PTH123
        job = json.load(file)
    said = {"python": ".".join(map(str, sys.version_info[:3])), "loaded": False}
    try:
        interpreter = opened(job)
        said["loaded"] = True
        said["seconds"] = replay(interpreter, job)
    except Exception as error:  # noqa: BLE001 - whatever a runtime of any age raises is its answer
        said["reason"] = f"{type(error).__name__}: {error}"
    return said


if __name__ == "__main__":
    answers = map(report, sys.argv[1:]) if len(sys.argv) > 1 else [registered()]
    for answer in answers:
        sys.stdout.write("\n" + json.dumps(answer) + "\n")
        sys.stdout.flush()  # what follows may take this process down
