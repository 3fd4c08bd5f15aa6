"""From a loaded model to the bytes of a float32 .tflite, by the first way that works."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.engines.graphs import SERVE
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.refusals import refusal, unsupported_ops
from edgepack.errors import ConversionError, ModelError, SelectOpsError
from edgepack.records.facts import Repair
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgepack.engines.programs import Program
    from edgepack.records.stages import SourceModel

LIST_OP = "TensorListReserve"
SINGLE_BATCH = Repair(
    what="converted the lists of recurrent layers for one sample at a time",
    why="their element shape depends on the batch, which TFLite's builtin ops need to know",
)
FROZEN = Repair(
    what="converted the graph with its variables frozen to constants",
    why="the converter could not follow them through the model's functions",
)
FLOAT32 = "float32.tflite"


@dataclass(frozen=True)
class Converted:
    """A .tflite, and what it took."""

    content: bytes
    repairs: tuple[Repair, ...] = ()
    select_ops: tuple[str, ...] = ()


def convert_program(
    program: Program, source: SourceModel, shapes: Mapping[str, tuple[int, ...]]
) -> Converted:
    """Convert a loaded model: as it was saved, or else as a flat graph of constants.

    Raises:
        ModelError: the converter refuses the model; its own reason is quoted.
    """
    with tempfile.TemporaryDirectory(prefix="edgepack-") as scratch:
        try:
            return _converted(source, _saved(program, source, shapes, Path(scratch, "model")))
        except ModelError as first:
            flat = _flat(program, source, shapes, Path(scratch))
            if flat is None:
                raise first from None  # what the flat graph lacks is not what is wrong
            return flat


def _saved(
    program: Program, source: SourceModel, shapes: Mapping[str, tuple[int, ...]], into: Path
) -> Path:
    try:
        program.save(into, shapes)
    except Exception as error:
        raise refusal(source, error) from error
    return into


def _flat(
    program: Program, source: SourceModel, shapes: Mapping[str, tuple[int, ...]], scratch: Path
) -> Converted | None:
    try:
        program.frozen(shapes).save(scratch / "frozen")
        made = _converted(source, scratch / "frozen")
    except Exception:  # noqa: BLE001 - one more way to try, and whatever ends it
        return None
    return Converted(made.content, (FROZEN, *made.repairs), made.select_ops)


def _converted(source: SourceModel, saved: Path) -> Converted:
    """Convert a SavedModel that was written here."""
    try:
        return _whole(source, Converted(_run(saved, source)))
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - the converter raises whatever it likes
        refused = error
    if LIST_OP in str(refused):
        try:
            return _whole(source, Converted(_run(saved, source, lists=True), (SINGLE_BATCH,)))
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - the converter raises whatever it likes
            refused = error
    typed = refusal(source, refused)
    if source.select_tf_ops and isinstance(typed, SelectOpsError):
        return _with_select_ops(source, saved, unsupported_ops(str(refused)))
    raise typed from refused


def _with_select_ops(source: SourceModel, saved: Path, ops: tuple[str, ...]) -> Converted:
    try:
        return Converted(_run(saved, source, select=True), select_ops=ops)
    except Exception as error:
        raise refusal(source, error) from error


def _run(saved: Path, source: SourceModel, *, lists: bool = False, select: bool = False) -> bytes:
    tf = import_tensorflow()
    converter: Any = tf.lite.TFLiteConverter.from_saved_model(
        str(saved), signature_keys=list(source.signatures), tags={SERVE}
    )
    if lists:
        converter._experimental_default_to_single_batch_in_tensor_list_ops = True  # noqa: SLF001
    if select:
        sets = tf.lite.OpsSet
        converter.target_spec.supported_ops = [sets.TFLITE_BUILTINS, sets.SELECT_TF_OPS]
    content: bytes = converter.convert()
    return content


def _whole(source: SourceModel, made: Converted) -> Converted:
    """Refuse a file that lost its weights or its signatures on the way.

    Raises:
        ConversionError: it did.
    """
    facts = reader.parse(made.content, FLOAT32)
    ops = {op.name for op in facts.ops}
    lost = "READ_VARIABLE" in ops and "ASSIGN_VARIABLE" not in ops
    missing = set(source.signatures) - {signature.name for signature in facts.signatures}
    if lost or missing:
        what = f"the signatures {sorted(missing)}" if missing else "the weights"
        raise ConversionError(
            f"TensorFlow's converter leaves {what} out of the file",
            where=source.origin or source.path,
            hint="Save the model again with tf.saved_model.save.",
        )
    return made
