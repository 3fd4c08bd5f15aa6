"""Exports a Keras file to a SavedModel with one signature. Runs in a worker.

Keras 3 comes first, whatever else is installed, so that the result does not depend on it. Keras 2
(tf-keras) is asked only for files that it wrote and Keras 3 cannot read.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from edgepack.engines import keras_files
from edgepack.engines.importing import import_tensorflow
from edgepack.engines.keras_signature import save
from edgepack.engines.refusals import first_line
from edgepack.errors import EdgepackError, ExportError, UnsafeModelError
from edgepack.records.formats import KerasExported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from edgepack.engines.keras_files import KerasFile
    from edgepack.records.formats import KerasExport

    Loader = Literal["keras", "tf-keras"]

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
    imported = _import(job, keras)
    try:
        model, loader = _load(file, keras, safe=not job.allow_lambda), keras
    except Exception as error:  # noqa: BLE001 - whatever it is, Keras 2 may read the file
        model, loader = _by_keras_2(file, error, safe=not job.allow_lambda)
    inputs, outputs = _save(file, loader, model, target)
    name: Loader = "keras" if loader is keras else "tf-keras"
    return KerasExported(
        loader=name,
        loader_version=loader.__version__,
        saved_by=file.version,
        imported=imported,
        inputs=inputs,
        outputs=outputs,
    )


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


def _import(job: KerasExport, keras: Any) -> tuple[str, ...]:
    """Import what registers custom objects; their names."""
    before = set(keras.saving.get_custom_objects())
    with _on_path(job.folder):
        for name in job.imports:
            _import_one(name, job)
    return tuple(sorted(set(keras.saving.get_custom_objects()) - before))


def _import_one(name: str, job: KerasExport) -> None:
    try:
        import_module(name)
    except Exception as error:
        raise ExportError(
            f"the module {name} cannot be imported: {type(error).__name__}: {first_line(error)}",
            where=job.path,
            hint=f"imports under [model] names modules that Python finds, or that lie in "
            f"{job.folder or 'the directory of the config file'}.",
        ) from error


@contextmanager
def _on_path(folder: str) -> Iterator[None]:
    if not folder:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _load(file: KerasFile, keras: Any, *, safe: bool) -> Any:
    """The model; Keras tells formats by suffix, so the file gets the one it should have."""
    if not file.suffix:
        return keras.saving.load_model(str(file.path), compile=False, safe_mode=safe)
    with TemporaryDirectory() as scratch:
        link = Path(scratch) / f"model{file.suffix}"
        link.symlink_to(file.path.absolute())
        return keras.saving.load_model(str(link), compile=False, safe_mode=safe)


def _by_keras_2(file: KerasFile, refused: Exception, *, safe: bool) -> tuple[Any, Any]:
    """The model and tf-keras, where that reads what Keras 3 does not."""
    if not file.by_keras_2 or UNSAFE.search(str(refused)):
        raise _refusal(file, refused) from refused
    try:
        tf_keras = import_module("tf_keras")
    except ImportError as missing:
        raise _needs_keras_2(file, refused) from missing
    try:
        return _load(file, tf_keras, safe=safe), tf_keras
    except Exception as error:
        unknown = _unknown(refused) - KERAS_2_ONLY
        raise _refusal(file, refused if unknown else error) from error


def _needs_keras_2(file: KerasFile, refused: Exception) -> EdgepackError:
    unknown = _unknown(refused)
    if unknown - KERAS_2_ONLY:
        return _refusal(file, refused)
    reason = f"it has no {', '.join(sorted(unknown))}" if unknown else first_line(refused)
    return ExportError(
        f"Keras {file.version or '2'} wrote it, and Keras 3 cannot read it: {reason}",
        where=file.path,
        hint=f"pip install tf-keras, which is Keras 2, and build again. Or: {EXPORT_THERE}",
    )


def _unknown(error: Exception) -> set[str]:
    """Names of classes and functions that Keras does not know, without their package."""
    found = {name for match in UNKNOWN.findall(str(error)) for name in match if name}
    return {name.rpartition(">")[2].rpartition(".")[2] for name in found}


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
        f"Keras cannot load it: {type(error).__name__}: {first_line(error)}",
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
