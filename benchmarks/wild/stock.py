"""What the stock converter makes of a SavedModel, remembered by the model's digest."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from models import Model

# tf-keras changes what loads by merely being installed, so it is not to be seen.
SCRIPT = """
import json, sys
sys.modules["tf_keras"] = None
import tensorflow as tf

def convert(select):
    converter = tf.lite.TFLiteConverter.from_saved_model(sys.argv[1])
    if select:
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS]
    return len(converter.convert())

kind, error = "fail", ""
for select in (False, True):
    try:
        convert(select)
        kind = "select" if select else "builtins"
        break
    except Exception as failed:
        lines = [line for line in str(failed).splitlines() if line.strip()]
        error = error or f"{type(failed).__name__}: {lines[0][:200] if lines else ''}"
print("\\nWILD " + json.dumps({"kind": kind, "error": error if kind == "fail" else ""}))
"""


@dataclass(frozen=True)
class Stock:
    """builtins, select, fail, crash or hang."""

    kind: str
    error: str
    seconds: float


class Memory:
    """Outcomes of earlier runs in a file, as each takes many seconds and never changes."""

    def __init__(self, file: Path, *, fresh: bool) -> None:
        self._file, self._lock = file, threading.Lock()
        known = json.loads(file.read_text()) if file.is_file() and not fresh else {}
        self._known: dict[str, dict[str, object]] = known

    def convert(self, model: Model, timeout: float) -> Stock:
        """The outcome of a model, from an earlier run where its files are the same."""
        key = _digest(model.path)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = asdict(_convert(model, timeout))
            if known["kind"] == "hang":  # says as much of the limit and the machine
                return Stock(**known)
            with self._lock:
                self._known[key] = known
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.write_text(json.dumps(self._known, indent=1) + "\n")
        return Stock(**known)  # type: ignore[arg-type]


def _convert(model: Model, timeout: float) -> Stock:
    ended = run([sys.executable, "-c", SCRIPT, model.path], timeout)
    if ended.code is None:
        return Stock("hang", f"over {timeout:g} s", ended.seconds)
    for line in ended.stdout.splitlines():
        if line.startswith("WILD "):
            return Stock(**json.loads(line[5:]), seconds=ended.seconds)
    return Stock("crash", f"exit {ended.code}", ended.seconds)


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        total.update(file.relative_to(path).as_posix().encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
