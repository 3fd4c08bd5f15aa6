"""What a Keras file says of itself before Keras loads it: layers, code in them, foreign data.

Runs in a worker: HDF5 is read by h5py, which comes with TensorFlow.
"""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgepack.errors import DamagedModelError, ExportError, UnsafeModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGAIN = "Save or copy the model again; the file may have been cut short."
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
COMPILE = "compile_config"  # of the whole model: no loss is loaded, nor a lambda in its place
MOST = 64 << 20  # bytes of a config
# Layers that load a program from elsewhere, or unpickle one; Keras' safe mode refuses them too.
FOREIGN = {
    "TFSMLayer": "loads a SavedModel from another path",
    "TorchModuleWrapper": "unpickles a PyTorch module",
}
OWN = re.compile(r"(?:tf_)?keras(?:\.|$)")
HDF5, KERAS = ".h5", ".keras"
CODE = "__lambda__"
WEIGHTS_ONLY = """\
Build the model in code as the training does, then:
model.load_weights({path!r})
model.export("my_model")"""


@dataclass(frozen=True)
class KerasFile:
    """A whole model: its config, which version wrote it, and the suffix that Keras knows it by."""

    path: Path
    config: dict[str, Any]
    version: str
    suffix: str

    @property
    def by_keras_2(self) -> bool:
        """Whether Keras 2 wrote it; files of its early years name no version."""
        return not self.version or self.version.startswith(("1.", "2."))

    def own_classes(self) -> set[str]:
        """Names of classes that come from Keras' own modules, as far as the config says so."""
        return {
            str(part["class_name"])
            for _, part in parts(self.config)
            if "class_name" in part and OWN.match(str(part.get("module")))
        }


def read(path: Path) -> KerasFile:
    """Read what a .keras file, directory, or whole-model HDF5 file says of itself.

    Raises:
        ExportError: it is no whole Keras model.
        DamagedModelError: it is cut short or overwritten.
        UnsafeModelError: its weights lie in other files.
    """
    if path.is_dir():
        return _zipped(path, {name: _bytes(path / name) for name in (CONFIG, METADATA)}, "")
    try:
        if zipfile.is_zipfile(path):
            return _zipped(path, _members(path), KERAS)
        return _hdf5(path)
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise damaged(path, error) from error


def refuse_code(file: KerasFile, *, allowed: bool) -> None:
    """Refuse layers that are Python code, or load some.

    Raises:
        UnsafeModelError: names them.
    """
    for name, kind in _layers(file.config, FOREIGN):
        raise UnsafeModelError(
            f"the layer {name} ({kind}) {FOREIGN[kind]}",
            where=file.path,
            hint="Export the model where it was made: model.export(DIRECTORY).",
        )
    if lambdas := sorted(set(_lambdas(file.config))):
        if allowed:
            return
        raise UnsafeModelError(
            f"Python code is stored in its Lambda layers: {', '.join(lambdas)}",
            where=file.path,
            hint="Trust whoever made the file and set allow_lambda = true under [model] "
            "(--allow-lambda), or replace them by layers of a class, or export the model where "
            "it was made: model.export(DIRECTORY).",
        )


def require_own_weights(file: KerasFile) -> None:
    """Refuse a .keras file whose weights lie in other files; Keras 2 would read those.

    Raises:
        UnsafeModelError: names what lies elsewhere.
        DamagedModelError: the weights cannot be read.
    """
    if file.suffix != KERAS:
        return
    h5py = import_module("h5py")
    try:
        with zipfile.ZipFile(file.path) as archive:
            if WEIGHTS in archive.namelist():
                with archive.open(WEIGHTS) as member, h5py.File(member, "r") as weights:
                    _require_own(file.path, weights, h5py)
    except (OSError, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError) as error:
        raise damaged(file.path, error) from error


def with_config(file: KerasFile, config: dict[str, Any], target: Path) -> KerasFile:
    """A copy of an HDF5 file that has another config."""
    h5py = import_module("h5py")
    shutil.copyfile(file.path, target)
    with h5py.File(target, "r+") as copy:
        copy.attrs["model_config"] = json.dumps(config)
    return replace(file, path=target, config=config)


def damaged(path: Path, error: BaseException) -> DamagedModelError:
    """The error for a file that cannot be read as what it is."""
    said = str(error).splitlines() or [type(error).__name__]
    return DamagedModelError(f"not a whole Keras file: {said[0][:300]}", where=path, hint=AGAIN)


def _bytes(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(MOST)
    except OSError as error:
        raise DamagedModelError(
            f"cannot be read: {error.strerror}", where=file, hint=AGAIN
        ) from error


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        found = {}
        for name in (CONFIG, METADATA):
            with archive.open(name) as member:
                found[name] = member.read(MOST)
        return found


def _zipped(path: Path, found: dict[str, bytes], suffix: str) -> KerasFile:
    metadata = _json(path, found[METADATA])
    version = str(metadata.get("keras_version", ""))
    config = _json(path, found[CONFIG])
    config.pop(COMPILE, None)
    return KerasFile(path, config, version, suffix)


def _hdf5(path: Path) -> KerasFile:
    h5py = import_module("h5py")
    if not h5py.is_hdf5(path):
        raise ExportError(
            "is neither a .keras file nor an HDF5 file",
            where=path,
            hint="edgepack inspect says what it is.",
        )
    with h5py.File(path, "r") as file:
        _require_own(path, file, h5py)
        config = file.attrs.get("model_config")
        if config is None:
            raise ExportError(
                "holds weights without an architecture: nothing says what is computed with them",
                where=path,
                hint=WEIGHTS_ONLY.format(path=str(path)),
            )
        version = _text(file.attrs.get("keras_version", ""))
    return KerasFile(path, _json(path, _text(config).encode()), version, HDF5)


def _require_own(path: Path, file: Any, h5py: Any) -> None:
    """Refuse values that lie in other files, which HDF5 would read from wherever it is told."""

    def leads_out(name: str, link: Any) -> str | None:
        return name if isinstance(link, h5py.ExternalLink) else None

    def lies_out(name: str, one: Any) -> str | None:
        return name if isinstance(one, h5py.Dataset) and (one.external or one.is_virtual) else None

    if found := file.visititems_links(leads_out) or file.visititems(lies_out):
        raise UnsafeModelError(
            f"{found} in it lies in another file",
            where=path,
            hint="Save the model again, in one file.",
        )


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _json(path: Path, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(value, dict):
        raise damaged(path, TypeError("its config is no JSON object"))
    return value


def parts(config: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON object in a config with the name of the layer that it is of, without recursion."""
    waiting = [("without a name", config)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, dict):
            inner = one.get("config")
            named = one.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
            name = named if isinstance(named, str) else name
            yield name, one
        values = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        waiting += ((name, value) for value in values)


def _layers(config: Any, kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, part in parts(config):
        kind = part.get("class_name")
        if isinstance(kind, str) and kind.rpartition(">")[2] in kinds:
            yield name, kind.rpartition(">")[2]


def _lambdas(config: Any) -> Iterator[str]:
    """Names of what holds bytecode, as Keras 3 marks it or Keras 2."""
    for name, part in parts(config):
        typed = any(key.endswith("_type") and value == "lambda" for key, value in part.items())
        if typed or part.get("class_name") == CODE:
            yield name
