"""What edgepack makes of a SavedModel, through its command, on generated samples."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from processes import MARK, run

if TYPE_CHECKING:
    from models import Model
    from processes import Ended

PREPARE = Path(__file__).with_name("prepare.py")
TYPED = range(2, 7)  # exit codes of typed errors
GATE = 3
KILLED = 128  # and the signal's number, as shells tell it
LAST = 300  # characters of what was said before an end without a typed error


@dataclass(frozen=True)
class Ours:
    """What a build came to.

    Attributes:
        kind: builtins, typed, traceback, crash or hang.
        code: of a typed error; else the exit code.
        message: its words.
        errors: max |difference| / max |source| of the worst output, by variant that was made; None
            where an output could not be compared or holds NaN or infinity that the source's does
            not.
        constant: whether the source answers every sample alike, so that agreement says little.
        left_out: variants that were not made, with the reason.
        repairs: what was changed on the way.
        chosen: the signature, where several would do.
        expected: what `edgepack inspect` foresaw, by precision.
        seconds: of the command.
    """

    kind: str
    code: str = ""
    message: str = ""
    errors: dict[str, float | None] = field(default_factory=dict)
    constant: bool = False
    left_out: dict[str, str] = field(default_factory=dict)
    repairs: tuple[str, ...] = ()
    chosen: str = ""
    expected: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def build(model: Model, scratch: Path, timeout: float) -> Ours:
    """Generate samples, and run `edgepack build` on them; each in a process of its own."""
    ended = run([sys.executable, PREPARE, model.path, scratch], timeout)
    if ended.code != 0:
        return _broken(ended)
    found = _marked(ended.stdout)
    told = {name: found[name] for name in ("expected", "chosen") if name in found}
    if "code" in found:
        return Ours("typed", found["code"], found["message"], seconds=ended.seconds, **told)
    command = [sys.executable, "-m", "edgepack", "build", scratch / "edgepack.toml", "--json"]
    command += ["--allow-failed", "--cache-dir", scratch / "cache"]
    return outcome(run(command, timeout), scratch / "out/report.json", told)


def outcome(ended: Ended, report: Path, told: dict[str, Any]) -> Ours:
    """The class of a build's end; `told` is what was known before it."""
    if ended.code not in {0, GATE} or not report.is_file():
        error = _error(ended.stderr)
        if ended.code in TYPED and "code" in error:
            code, message = error["code"], error["message"]
            return Ours("typed", code, message, seconds=ended.seconds, **told)
        return _broken(ended, **told)
    found = json.loads(report.read_text())
    evidence = found["evidence"]
    left_out = {one["variant"]: one["reason"] for one in evidence["skipped"]}
    refused = "float32" in left_out
    source = evidence["source"]["accuracy"]["health"]
    return Ours(
        kind="typed" if refused else "builtins",
        code="runtime-refuses" if refused else "",
        message=left_out.get("float32", ""),
        errors={v["variant"]: worst(v["accuracy"], source) for v in evidence["variants"]},
        constant=bool(source) and all(one["constant"] for one in source),
        left_out=left_out,
        repairs=tuple(repair["what"] for repair in found["source"]["repairs"]),
        seconds=ended.seconds,
        **told,
    )


def worst(accuracy: dict[str, Any], source: list[dict[str, Any]]) -> float | None:
    """Over all outputs; None where one was not compared, or is less finite than the source's."""
    finite = {one["output"]: one["non_finite"] for one in source}
    if any(one["non_finite"] > finite.get(one["output"], 0) for one in accuracy["health"]):
        return None
    ratios = []
    for one in accuracy["agreement"]:
        error, peak = one["max_abs_error"], one["max_abs_reference"]
        if error is None or (error and not peak):
            return None
        ratios.append(error / peak if peak else 0.0)
    return max(ratios, default=None)


def _broken(ended: Ended, **told: Any) -> Ours:
    code = "timeout" if ended.code is None else str(ended.code)
    if ended.code is None:
        kind = "hang"
    elif ended.code < 0 or ended.code > KILLED:
        kind = "crash"
    else:
        kind = "traceback"
    said = ended.stderr[-LAST:]
    return Ours(kind, code, said, seconds=ended.seconds, **told)


def _marked(stdout: str) -> dict[str, Any]:
    (line,) = (line for line in stdout.splitlines() if line.startswith(MARK))
    found: dict[str, Any] = json.loads(line.removeprefix(MARK))
    return found


def _error(stderr: str) -> dict[str, str]:
    for line in reversed(stderr.splitlines()):
        if line.startswith('{"error"'):
            found: dict[str, str] = json.loads(line)["error"]
            return found
    return {}
