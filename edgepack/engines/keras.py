"""Exports a Keras file to a SavedModel with one signature. Runs in a worker.

Keras 3 comes first, whatever else is installed, so that the result does not depend on it. Keras 2
(tf-keras) is asked only for files that it wrote and Keras 3 cannot read.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgepack.engines import keras_arguments, keras_files, keras_trust
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.keras_imports import register
from edgepack.engines.keras_signature import save
from edgepack.engines.refusals import first_line
from edgepack.errors import EdgepackError, ExportError, UnsafeModelError
from edgepack.records.formats import KerasExported

if TYPE_CHECKING:
    from collections.abc import Collection

    from edgepack.engines.keras_arguments import Adapted
    from edgepack.engines.keras_files import KerasFile
    from edgepack.records.formats import KerasExport

BACKEND = "KERAS_BACKEND"
UNSAFE = re.compile(r"safe_mode|enable_unsafe_deserialization|disallowed")
# How Keras 3, its reader of old files, and Keras 2 say that a class or function is not registered.
UNKNOWN = re.compile(
    r"Could not locate (?:class|function) '([^']+)'"
    r"|Unknown (?:layer|object|loss function|metric function|\w+ function): '?([^'. ]+)'?"
    r"|Could not deserialize '([^']+)'"
)
# Layers that only Keras 2 has; its functional models hold calls of TensorFlow's functions so.
KERAS_2_ONLY = frozenset(
    (
        *("ClassMethod", "CuDNNGRU", "CuDNNLSTM", "InstanceMethod", "InstanceProperty"),
        *("LocallyConnected1D", "LocallyConnected2D", "SlicingOpLambda", "TFOpLambda"),
        *("TensorFlowOpLayer", "ThresholdedReLU"),
    )
)
EXPORT_THERE = "Export the model where it was made: model.export(DIRECTORY)."


@dataclass(frozen=True)
class _Loaded:
    """A model, the module that loaded it, and what was changed in its config for that."""

    model: Any
    by: Any
    changes: tuple[str, ...] = ()


def export(job: KerasExport, target: Path) -> KerasExported:
    """Make a SavedModel of a .keras file or a whole-model HDF5 file.

    Its signature `serving_default` takes the model's inputs by the names that the model has for
    them. Keras' safe mode is on, and nothing is compiled.

    Args:
        job: the file, and what its custom objects need.
        target: the directory that is made.

    Raises:
        ExportError: it is no whole model, or of classes that are not known, or cannot be exported.
        UnsafeModelError: it holds Python code, or reads other files.
        DamagedModelError: it is cut short or overwritten.
    """
    file = keras_files.read(Path(job.path))
    keras_files.refuse_code(file, allowed=job.allow_lambda)
    keras = _keras_3()
    imported = register(job, keras)
    loaded = _loaded(file, keras, safe=not job.allow_lambda)
    inputs, outputs = _save(file, loaded.by, loaded.model, target)
    return KerasExported(
        loader="keras" if loaded.by is keras else "tf-keras",
        loader_version=loaded.by.__version__,
        saved_by=file.version,
        imported=imported,
        adapted=loaded.changes,
        inputs=inputs,
        outputs=outputs,
    )


def _loaded(file: KerasFile, keras: Any, *, safe: bool) -> _Loaded:
    """The model by Keras 3, else by Keras 2 where that wrote it."""
    adapted = keras_arguments.adapt(file.config if file.by_keras_2 else {})
    try:
        return _by_keras_3(file, keras, adapted, safe=safe)
    except Exception as error:
        if not file.by_keras_2 or not file.suffix or UNSAFE.search(str(error)):
            raise _refusal(file, error) from error
        return _by_keras_2(file, error, safe=safe)


def _by_keras_3(file: KerasFile, keras: Any, adapted: Adapted, *, safe: bool) -> _Loaded:
    """The model; of a copy, where its config has to be another one to mean the same."""
    if not adapted.changes or file.suffix != keras_files.HDF5:
        if adapted.computes_otherwise:
            raise ValueError("it computes hard_sigmoid otherwise")
        return _Loaded(_load(file, keras, safe=safe), keras)
    with TemporaryDirectory() as scratch:
        copy = keras_files.with_config(file, adapted.config, Path(scratch) / "adapted.h5")
        with keras.saving.custom_object_scope(keras_arguments.functions(keras)):
            return _Loaded(_load(copy, keras, safe=safe), keras, adapted.changes)


def _keras_3() -> Any:
    """Keras 3 over TensorFlow, whatever the user's own Keras is set to."""
    os.environ[BACKEND] = "tensorflow"  # before TensorFlow is imported, which imports Keras
    import_tensorflow()
    keras = import_module("keras")
    if keras.config.backend() != "tensorflow":
        raise ExportError(
            f"Keras runs on {keras.config.backend()} here, which makes no SavedModel",
            hint=f"Set the environment variable {BACKEND}=tensorflow.",
        )
    return keras


def _load(file: KerasFile, keras: Any, *, safe: bool) -> Any:
    """The model; Keras tells formats by suffix, so the file gets the one it should have."""
    if not file.suffix:
        return keras.saving.load_model(str(file.path), compile=False, safe_mode=safe)
    with TemporaryDirectory() as scratch:
        link = Path(scratch) / f"model{file.suffix}"
        link.symlink_to(file.path.absolute())
        return keras.saving.load_model(str(link), compile=False, safe_mode=safe)


def _by_keras_2(file: KerasFile, refused: Exception, *, safe: bool) -> _Loaded:
    """The model by tf-keras, where that reads what Keras 3 does not."""
    try:
        tf_keras = import_module("tf_keras")
    except ImportError as missing:
        raise _needs_keras_2(file, refused) from missing
    if safe:
        _refuse_what_keras_2_trusts(file, refused, tf_keras.saving.get_custom_objects())
    try:
        return _Loaded(_load(file, tf_keras, safe=safe), tf_keras)
    except Exception as error:
        if _custom(file, refused):
            raise _refusal(file, refused) from error
        raise ExportError(
            f"neither Keras 3 can load it: {_reason(refused)}; nor Keras 2: {_reason(error)}",
            where=file.path,
            hint=EXPORT_THERE,
        ) from error


def _refuse_what_keras_2_trusts(
    file: KerasFile, refused: Exception, registered: Collection[str]
) -> None:
    """Refuse what Keras 3 would not load either: its safe mode knows more than Keras 2's."""
    if found := keras_trust.beyond(file.config, registered):
        if _custom(file, refused):
            raise _refusal(file, refused) from refused
        raise UnsafeModelError(
            f"Keras 2 would do more than build its layers: {', '.join(found)}",
            where=file.path,
            hint="Trust whoever made the file and set allow_lambda = true under [model] "
            f"(--allow-lambda). Or: {EXPORT_THERE}",
        )
    keras_files.require_own_weights(file)


def _needs_keras_2(file: KerasFile, refused: Exception) -> EdgepackError:
    if _custom(file, refused):
        return _refusal(file, refused)
    unknown = ", ".join(sorted(_unknown(refused)))
    reason = f"it has no {unknown}" if unknown else _reason(refused)
    return ExportError(
        f"Keras {file.version or '2'} wrote it, and Keras 3 cannot read it: {reason}",
        where=file.path,
        hint=f"pip install tf-keras, which is Keras 2, and build again. Or: {EXPORT_THERE}",
    )


def _unknown(error: Exception) -> set[str]:
    """Names of classes and functions that Keras does not know, without their package."""
    found = {name for match in UNKNOWN.findall(str(error)) for name in match if name}
    return {name.rpartition(">")[2].rpartition(".")[2] for name in found}


def _custom(file: KerasFile, error: Exception) -> list[str]:
    """Of these names those that are no class of Keras 2's own."""
    return sorted(_unknown(error) - KERAS_2_ONLY - file.own_classes())


def _reason(error: Exception) -> str:
    """What Keras says at the end of all that it says."""
    last = str(error).rpartition("Exception encountered:")[2].strip()
    return first_line(ValueError(last)) if last else first_line(error)


def _refusal(file: KerasFile, error: Exception) -> EdgepackError:
    if isinstance(error, EdgepackError):
        return error
    if UNSAFE.search(str(error)):
        return UnsafeModelError(
            f"Keras' safe mode refuses it: {first_line(error)}", where=file.path, hint=EXPORT_THERE
        )
    if unknown := sorted(_unknown(error)):
        return ExportError(
            f"{', '.join(unknown)} is not known to Keras: a custom layer, or a function",
            where=file.path,
            hint='Name the module that defines it: imports = ["package.module"] under [model] '
            "(--import), with @keras.saving.register_keras_serializable() above the class.",
        )
    if isinstance(error, OSError | KeyError | EOFError):
        return keras_files.damaged(file.path, error)
    return ExportError(
        f"Keras cannot load it: {type(error).__name__}: {_reason(error)}",
        where=file.path,
        hint=EXPORT_THERE,
    )


def _save(
    file: KerasFile, loader: Any, model: Any, target: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        return save(loader, model, target)
    except EdgepackError:
        raise
    except Exception as error:
        raise ExportError(
            f"Keras cannot export it: {type(error).__name__}: {first_line(error)}",
            where=file.path,
            hint=EXPORT_THERE,
        ) from error
