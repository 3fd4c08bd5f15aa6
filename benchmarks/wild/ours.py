"""What edgepack makes of a SavedModel, through its command, on generated samples."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from processes import run
from samples import generate, is_batched

import edgepack
from edgepack import foresight
from edgepack.errors import EdgepackError

if TYPE_CHECKING:
    from models import Model
    from processes import Ended

    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.tensors import Signature

SAMPLES = 16
TYPED = range(2, 7)  # exit codes of typed errors
GATE = 3
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


@dataclass(frozen=True)
class Ours:
    """What a build came to.

    Attributes:
        kind: builtins, select, typed, traceback or hang.
        code: of a typed error.
        message: its words.
        errors: max |difference| / max |source| of the worst output, by variant.
        left_out: variants that were not made, with the reason.
        repairs: what was changed on the way.
        expected: what `edgepack inspect` foresaw, by precision.
        seconds: of the command.
    """

    kind: str
    code: str = ""
    message: str = ""
    errors: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    expected: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def build(model: Model, scratch: Path, timeout: float) -> Ours:
    """Generate samples, and run `edgepack build` on them."""
    try:
        facts = edgepack.inspect(model.path)
        signature = foresight.subject(facts)
        expected = {one.precision: one.expected for one in facts.outlook}
        if signature is None:
            return Ours("typed", "signature", "no signature and no function", expected=expected)
        arrays = generate(Path(facts.path), facts, signature, SAMPLES)
    except EdgepackError as error:
        return Ours("typed", error.code, error.message)
    ended = _run(model, scratch, _Asked(facts, signature, arrays), timeout)
    return _outcome(ended, scratch / "out/report.json", expected)


@dataclass(frozen=True)
class _Asked:
    facts: SavedModelFacts
    signature: Signature
    arrays: dict[str, np.ndarray[Any, Any]]


def _run(model: Model, scratch: Path, asked: _Asked, timeout: float) -> Ended:
    names = {name: f"a{number}" for number, name in enumerate(asked.arrays)}
    np.savez(scratch / "samples.npz", **{names[n]: array for n, array in asked.arrays.items()})
    dtypes = {tensor.name: tensor.dtype for tensor in asked.signature.inputs}
    inputs = "".join(
        f"[inputs.{json.dumps(name)}]\n"
        f"array = {json.dumps(names[name])}\ndtype = {json.dumps(dtypes[name])}\n"
        for name in asked.arrays
    )
    (scratch / "samples.toml").write_text(SPEC.format(inputs=inputs))
    config = scratch / "edgepack.toml"
    batched = json.dumps(is_batched(asked.signature))
    path, signature = json.dumps(str(model.path)), json.dumps(asked.signature.name)
    config.write_text(CONFIG.format(path=path, signature=signature, batched=batched))
    command = [sys.executable, "-m", "edgepack", "build", config, "--json", "--allow-failed"]
    return run([*command, "--cache-dir", scratch / "cache"], timeout)


def _outcome(ended: Ended, report: Path, expected: dict[str, str]) -> Ours:
    common = {"expected": expected, "seconds": ended.seconds}
    if ended.code is None:
        return Ours("hang", "timeout", **common)
    error = _error(ended.stderr)
    if ended.code not in {0, GATE} or not report.is_file():
        typed = ended.code in TYPED and "code" in error
        kind = "typed" if typed else "traceback"
        message = error.get("message", ended.stderr[-300:])
        return Ours(kind, error.get("code", str(ended.code)), message, **common)
    found = json.loads(report.read_text())
    variants = found["evidence"]["variants"]
    left_out = {one["variant"]: one["reason"] for one in found["evidence"]["skipped"]}
    return Ours(
        kind="builtins" if "float32" not in left_out else "typed",
        code="" if "float32" not in left_out else "runtime-refuses",
        message=left_out.get("float32", ""),
        errors={one["variant"]: _worst(one) for one in variants},
        left_out=left_out,
        repairs=tuple(repair["what"] for repair in found["source"]["repairs"]),
        **common,
    )


def _error(stderr: str) -> dict[str, str]:
    for line in reversed(stderr.splitlines()):
        if line.startswith('{"error"'):
            found: dict[str, str] = json.loads(line)["error"]
            return found
    return {}


def _worst(variant: dict[str, Any]) -> float:
    """Over all outputs; infinite where one holds nothing finite."""
    ratios = []
    for one in variant["accuracy"]["agreement"]:
        error, peak = one["max_abs_error"], one["max_abs_reference"]
        if error is None:
            return float("inf")
        ratios.append(error / peak if peak else float(error > 0))
    return max(ratios, default=0.0)
