"""What TensorFlow's converter says when it refuses a model, in a line that helps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.errors import ModelError

if TYPE_CHECKING:
    from edgepack.records.stages import SourceModel

# How TensorFlow words a checkpoint that is cut short or overwritten.
DAMAGE = ("Read less bytes", "Checksum does not match", "Data loss", "corrupted record")
# "Flex ops: A, B", "Custom ops: A", "'tf.A' op ...", in the order they are looked for.
LISTED = re.compile(r"^(?:Flex|Custom|TF Select) ops: (.+)$", re.MULTILINE)
NAMED = re.compile(r"'tf\.(\w+)' op ")
AROUND = ("Graph execution error", "Detected at node", "<stack traces", "File ", "Node:")
LONGEST = 400


def refusal(source: SourceModel, error: Exception) -> ModelError:
    """A typed error for whatever the converter raised."""
    where = source.origin or source.path
    text = str(error)
    if any(sign in text for sign in DAMAGE):
        return ModelError(
            f"the weights in variables/ are damaged: {first_line(error)}",
            where=where,
            hint="Save or copy the model again; a file may have been cut short.",
        )
    if ops := unsupported_ops(text):
        return ModelError(
            f"TFLite has no builtin for {', '.join(ops)}",
            where=where,
            hint="Replace these ops in the model: a file with Select-TF ops cannot be run here.",
        )
    return ModelError(
        f"TensorFlow's converter refuses the model: {type(error).__name__}: {first_line(error)}",
        where=where,
        hint="Run again with --verbose for everything the converter said.",
    )


def unsupported_ops(text: str) -> tuple[str, ...]:
    """Names of the TensorFlow ops that the converter says it has no builtin for, sorted."""
    listed = {name.strip() for line in LISTED.findall(text) for name in line.split(",")}
    return tuple(sorted(listed or set(NAMED.findall(text))))


def first_line(error: Exception) -> str:
    """The first line that says anything, cut to a readable length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:LONGEST] if lines else type(error).__name__


def reason(error: Exception) -> str:
    """What failed as a graph ran: TensorFlow puts where it was, and an empty trace, before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(AROUND)]
    return telling[0][:LONGEST] if telling else type(error).__name__
