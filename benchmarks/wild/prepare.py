"""Generate samples for one SavedModel and configure its build; in a process of its own.

Prints one line: what was chosen and foreseen, or the typed error that reading the model ended in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from processes import MARK
from samples import generate, is_batched

import edgepack
from edgepack import foresight
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.tensors import Signature

SAMPLES = 16
SPEC = """name = "generated"
kind = "arrays"
path = "samples.npz"
task = "none"
on_overlap = "drop"
{inputs}
[splits.calibrate]
samples = 6
"""
CONFIG = """dataset = "samples.toml"
variants = ["float32", "float16", "int8"]
output = "out"

[model]
path = {path}
signature = {signature}
batched = {batched}
name = "wild"
version = "0.0.0"

[latency]
rounds = 3

[budgets.all]
max_accuracy_drop = 10
min_agreement = 0
"""


def main(path: Path, scratch: Path) -> None:
    try:
        found = _prepare(path, scratch)
    except EdgepackError as error:
        found = {"code": error.code, "message": error.message}
    sys.stdout.write(f"\n{MARK}{json.dumps(found)}\n")


def _prepare(path: Path, scratch: Path) -> dict[str, Any]:
    facts = edgepack.inspect(path)
    signature = foresight.subject(facts)
    expected = {one.precision: one.expected for one in facts.outlook}
    if signature is None:
        message = "no signature and no function"
        return {"code": "signature", "message": message, "expected": expected}
    _write_samples(facts, signature, scratch)
    text = CONFIG.format(
        path=json.dumps(str(path)),
        signature=json.dumps(signature.name),
        batched=json.dumps(is_batched(signature)),
    )
    (scratch / "edgepack.toml").write_text(text)
    usable = [one for one in facts.signatures if one.inputs and one.outputs]
    return {"expected": expected, "chosen": signature.name if len(usable) > 1 else ""}


def _write_samples(facts: SavedModelFacts, signature: Signature, scratch: Path) -> None:
    """Under plain names in the archive, as an input's own may hold any character."""
    arrays = generate(Path(facts.path), facts, signature, SAMPLES)
    names = {name: f"a{number}" for number, name in enumerate(arrays)}
    np.savez(scratch / "samples.npz", **{names[n]: array for n, array in arrays.items()})
    dtypes = {tensor.name: tensor.dtype for tensor in signature.inputs}
    inputs = "".join(
        f"[inputs.{json.dumps(name)}]\n"
        f"array = {json.dumps(names[name])}\ndtype = {json.dumps(dtypes[name])}\n"
        for name in arrays
    )
    (scratch / "samples.toml").write_text(SPEC.format(inputs=inputs))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
