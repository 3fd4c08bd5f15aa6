"""One error tree: every failure a user can cause has a type, an exit code and a next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class EdgepackError(Exception):
    """Root of every error edgepack raises on purpose.

    Args:
        message: what happened, as one sentence.
        where: the file (and line or member) it happened in, if there is one.
        hint: what to do next.
    """

    exit_code = 1
    code = "error"  # stable, and the name of its page in docs/errors/

    def __init__(self, message: str, *, where: str | Path | None = None, hint: str = "") -> None:
        super().__init__(message, where, hint)
        self.message = message
        self.where = str(where) if where is not None else ""
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by keyword, so that errors cross from a worker whole."""
        return _rebuild, (type(self), self.message, self.where, self.hint)

    def __str__(self) -> str:
        located = f"{self.where}: {self.message}" if self.where else self.message
        return f"{located}\n  {self.hint}" if self.hint else located


def _rebuild(kind: type[EdgepackError], message: str, where: str, hint: str) -> EdgepackError:
    return kind(message, where=where or None, hint=hint)


class UsageError(EdgepackError):
    """The command line, a path or the machine does not allow what was asked."""

    exit_code = 2
    code = "usage"


class ConfigError(UsageError):
    """A TOML file of the user's says something that is not allowed."""

    code = "config"


class DatasetError(UsageError):
    """The dataset cannot serve: unreadable, too small, wrong shape, overlapping splits."""

    code = "dataset"


class MissingExtraError(UsageError):
    """A command needs a part of edgepack that is not installed."""

    code = "missing-extra"


class RuntimeInstallError(UsageError):
    """A release of a runtime could not be installed to run files with it."""

    code = "runtime-install"


class OutputError(UsageError):
    """A result could not be written: disk full, directory not writable."""

    code = "output"


class FormatError(UsageError):
    """What lies at the path is not what was asked for; says what it is instead."""

    code = "not-a-saved-model"


class VersionsError(UsageError):
    """Version directories stand beside another model: there is no telling which one is meant."""

    code = "ambiguous-versions"


class KeyFileError(UsageError):
    """A key cannot be read or used."""

    code = "key"


class LockError(UsageError):
    """A lock file cannot be read, or is none."""

    code = "lock"


class GateError(EdgepackError):
    """A model was built and measured, and is over budget."""

    exit_code = 3
    code = "gate"


class VerificationError(EdgepackError):
    """A bundle is not what it claims to be."""

    exit_code = 4
    code = "verification"


class UntrustedError(VerificationError):
    """A bundle is not signed by the key that was given, or no longer what was signed."""

    code = "untrusted"


class ExpiredError(VerificationError):
    """A bundle's day has passed."""

    code = "expired"


class RollbackError(VerificationError):
    """A bundle is older than what an app has already taken."""

    code = "rollback"


class FailedBundleError(VerificationError):
    """A bundle's own gate refused it, and it was shipped all the same."""

    code = "failed-bundle"


class SelfTestError(VerificationError):
    """A model of a bundle does not answer the golden vectors as it did when it was built."""

    code = "selftest"


class ModelError(EdgepackError):
    """The source model cannot be read, loaded, run or converted."""

    exit_code = 5
    code = "model"


class DamagedModelError(ModelError):
    """Files of the model are missing, cut short or overwritten."""

    code = "damaged-model"


class SignatureError(ModelError):
    """The model has no such signature, or none that can be used, or several that could."""

    code = "signature"


class UnsafeModelError(ModelError):
    """The model would read or write files, run code, or reach the network."""

    code = "unsafe-model"


class LoadError(ModelError):
    """TensorFlow cannot load the model by any way known here."""

    code = "cannot-load"


class RunError(ModelError):
    """The model was loaded and fails on the samples."""

    code = "cannot-run"


class ShapeError(ModelError):
    """A dimension is unknown, or the samples' shapes do not fit the model's."""

    code = "shape"


class ConversionError(ModelError):
    """TensorFlow's converter refuses the model."""

    code = "cannot-convert"


class UnsupportedOpsError(ConversionError):
    """TFLite has no operator for a part of the model."""

    code = "unsupported-ops"


class SelectOpsError(ConversionError):
    """The model needs TensorFlow's own kernels on the device (Select-TF ops)."""

    code = "select-tf-ops"


class QuantizationError(ModelError):
    """The quantizer refuses a model that converts to float32."""

    code = "cannot-quantize"


class RuntimeRefusalError(ModelError):
    """The TFLite runtime cannot load or run a converted file."""

    code = "runtime-refuses"


class ExportError(ModelError):
    """A Keras file cannot be exported to a SavedModel."""

    code = "cannot-export"


class WorkerError(ModelError):
    """A worker process was stopped."""

    code = "worker"


class WorkerDiedError(WorkerError):
    """A worker process was killed by a signal, or left."""

    code = "worker-died"


class WorkerTimeoutError(WorkerError):
    """A worker process took longer than it may."""

    code = "worker-timeout"


class WorkerMemoryError(WorkerError):
    """A worker process needed more memory than it may use."""

    code = "worker-memory"


class IncompatibleError(EdgepackError):
    """A requested target cannot run what was built."""

    exit_code = 6
    code = "incompatible"
