"""What TensorFlow says when it refuses a model, as typed errors that help."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.errors import (
    ConversionError,
    DamagedModelError,
    LoadError,
    ModelError,
    SelectOpsError,
    UnsupportedOpsError,
)

if TYPE_CHECKING:
    from edgepack.records.stages import SourceModel

# How TensorFlow words a checkpoint that is cut short or overwritten.
DAMAGE = (
    "Read less bytes",
    "Checksum does not match",
    "Data loss",
    "corrupted record",
    "not an sstable",
    "bad magic number",
)
# "Flex ops: A, B", "Custom ops: A", "'tf.A' op ...", in the order they are looked for.
SELECT = re.compile(r"^(?:Flex|TF Select) ops: (.+)$", re.MULTILINE)
CUSTOM = re.compile(r"^Custom ops: (.+)$", re.MULTILINE)
NAMED = re.compile(r"'tf\.(\w+)' op ")
UNREGISTERED = re.compile(r"Op type not registered '?(\w+)'?")
AROUND = ("Graph execution error", "Detected at node", "<stack traces", "File ", "Node:")
LONGEST = 400


def refusal(source: SourceModel, error: Exception) -> ModelError:
    """A typed error for whatever the converter raised."""
    where, text = source.origin or source.path, str(error)
    if found := _damage(where, error) or _unregistered(where, text):
        return found
    custom, select = listed(CUSTOM, text), listed(SELECT, text)
    if custom or (not select and NAMED.search(text)):
        return _unsupported(where, custom or tuple(sorted(set(NAMED.findall(text)))))
    if select:
        return SelectOpsError(
            f"TFLite has no builtin for {', '.join(select)}",
            where=where,
            hint="Replace these ops in the model, or set allow_select_tf_ops = true under [model]: "
            "Android apps then link org.tensorflow:tensorflow-lite-select-tf-ops, iOS apps "
            "TensorFlowLiteSelectTfOps, some ten MB each, and the file cannot be measured here.",
        )
    return ConversionError(
        f"TensorFlow's converter refuses the model: {type(error).__name__}: {first_line(error)}",
        where=where,
        hint="Run again with --verbose for everything the converter said.",
    )


def load_refusal(source: SourceModel, error: Exception) -> ModelError:
    """A typed error for whatever stopped TensorFlow from loading a model."""
    where, text = source.origin or source.path, str(error)
    return (
        _damage(where, error)
        or _unregistered(where, text)
        or LoadError(
            f"TensorFlow cannot load the model: {type(error).__name__}: {first_line(error)}",
            where=where,
            hint="Run again with --verbose for everything TensorFlow said.",
        )
    )


def _damage(where: str, error: Exception) -> ModelError | None:
    if not any(sign in str(error) for sign in DAMAGE):
        return None
    return DamagedModelError(
        f"the weights in variables/ are damaged: {first_line(error)}",
        where=where,
        hint="Save or copy the model again; a file may have been cut short.",
    )


def _unregistered(where: str, text: str) -> ModelError | None:
    found = UNREGISTERED.search(text)
    return _unsupported(where, (found[1],)) if found else None


def _unsupported(where: str, ops: tuple[str, ...]) -> ModelError:
    return UnsupportedOpsError(
        f"neither TFLite nor its Select-TF ops have {', '.join(ops)}",
        where=where,
        hint="Replace these ops in the model, and save it again.",
    )


def unsupported_ops(text: str) -> tuple[str, ...]:
    """Names of the TensorFlow ops that the converter says it has no builtin for, sorted."""
    found = {*listed(SELECT, text), *listed(CUSTOM, text)}
    return tuple(sorted(found or set(NAMED.findall(text))))


def listed(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    """Names in the comma-separated lists that a pattern finds, sorted."""
    return tuple(
        sorted({name.strip() for line in pattern.findall(text) for name in line.split(",")})
    )


def first_line(error: Exception) -> str:
    """The first line that says anything, cut to a readable length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(AROUND)] or lines
    return telling[0][:LONGEST] if telling else type(error).__name__
