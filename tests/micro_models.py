"""Small files for TFLite Micro, and what its releases say of them."""

from __future__ import annotations

import json
import subprocess

import tflite_models
from tflite_models import tensor

from edgepack.tflite.schema import CUSTOM, OPERATORS

# Opens every file of a directory, each in a process of its own, as many kernels die of what these
# files lack. What is printed meanwhile goes to one JSON document, by the file's name.
OPEN_ALL = """
import json, os, pathlib, sys
from tflite_micro import runtime
said = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    ours, theirs = os.pipe()
    if not os.fork():
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        try:
            runtime.Interpreter.from_file(str(path), arena_size=100000)
        except BaseException:
            pass
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as file:
        said[path.name] = file.read().decode(errors="replace")
    os.wait()
print(json.dumps(said))
"""


def write_every_operator(directory):
    """One file for each builtin operator, which uses it once."""
    for number, name in enumerate(OPERATORS):
        if number != CUSTOM:
            ends = [tensor("x"), tensor("y")]
            made = tflite_models.build(ends, [(name, [0], [1])], [0], [1])
            (directory / name).write_bytes(made)


def opened_all(python, directory):
    """What TFLite Micro printed of each file of a directory."""
    command = [python, "-I", "-c", OPEN_ALL, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def relus(shapes, links, inputs, outputs):
    """Float tensors of these shapes, and a RELU for each (from, to); shapes of links are equal."""
    tensors = [tensor(f"t{number}", shape=shape) for number, shape in enumerate(shapes)]
    nodes = [("RELU", [source], [target]) for source, target in links]
    return tflite_models.build(tensors, nodes, inputs, outputs)


CHAIN = relus([(1, 40)] * 4, [(0, 1), (1, 2), (2, 3)], [0], [3])
KEPT = relus([(1, 40)] * 5, [(0, 1), (1, 2), (2, 3), (0, 4)], [0], [3, 4])
TWO_SIZES = relus(
    [(1, 7), (1, 300), (1, 7), (1, 300), (1, 7), (1, 300)],
    [(0, 2), (1, 3), (2, 4), (3, 5)],
    [0, 1],
    [4, 5],
)
UNUSED = relus([(1, 40), (1, 40), (1, 900)], [(0, 1)], [0], [1])
MANY = relus([(1, 4)] * 41, [(at, at + 1) for at in range(40)], [0], [40])  # plans take the most
GRAPHS = {"chain": CHAIN, "kept": KEPT, "two sizes": TWO_SIZES, "unused": UNUSED, "many": MANY}
