"""From a loaded model to the bytes of a float32 .tflite, by the first way that works."""

from __future__ import annotations

import tempfile
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack.engines.cuts import cut
from edgepack.engines.graphs import SERVE
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.refusals import refusal, unsupported_ops
from edgepack.engines.rewrites import rewritten
from edgepack.errors import ConversionError, ModelError, SelectOpsError
from edgepack.records.facts import Repair
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgepack.engines.programs import Program
    from edgepack.records.stages import DeviceInput, SourceModel

LIST_OP = "TensorListReserve"
SINGLE_BATCH = Repair(
    what="converted the lists of recurrent layers for one sample at a time",
    why="their element shape depends on the batch, which TFLite's builtin ops need to know",
)
FLOAT32 = "float32.tflite"


@dataclass(frozen=True)
class Converted:
    """A .tflite, and what it took."""

    content: bytes
    repairs: tuple[Repair, ...] = ()
    select_ops: tuple[str, ...] = ()
    prepared: tuple[DeviceInput, ...] = ()


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
            try:
                return _flat(program, source, shapes, _Refused(first, Path(scratch)))
            except Exception:  # noqa: BLE001 - one more way to try, and whatever ends it
                traceback.print_exc()
            raise first from None  # what the flat graph lacks is not what is wrong


def _saved(
    program: Program, source: SourceModel, shapes: Mapping[str, tuple[int, ...]], into: Path
) -> Path:
    try:
        program.save(into, shapes)
    except Exception as error:
        raise refusal(source, error) from error
    return into


@dataclass(frozen=True)
class _Refused:
    """Why the model as it is does not convert, and where to work on it."""

    error: ModelError
    scratch: Path

    @property
    def ops(self) -> tuple[str, ...]:
        """Those that the converter has no builtin for."""
        return unsupported_ops(str(self.error.__cause__))


def _flat(
    program: Program, source: SourceModel, shapes: Mapping[str, tuple[int, ...]], refused: _Refused
) -> Converted:
    """Convert the frozen graph; where strings are in the way, the part after them."""

    def probe(tensors: list[str], sample: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return program.preparation(shapes, {name: name for name in tensors})(sample)

    frozen = program.frozen(shapes).settled()
    parts = None if source.others else cut(frozen, refused.ops, probe)
    device, repairs = rewritten(parts.device.settled() if parts else frozen)
    device.save(refused.scratch / "device")
    made = _converted(source, refused.scratch / "device")
    first = (parts.repair,) if parts else program.freezing
    prepared = parts.inputs if parts else ()
    return replace(made, repairs=(*first, *repairs, *made.repairs), prepared=prepared)


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
