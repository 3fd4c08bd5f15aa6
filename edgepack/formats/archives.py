"""Archives: models whose format is one, and those that hold a model among other things."""

from __future__ import annotations

import json
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from edgepack.formats import members, remedies
from edgepack.records.formats import Format, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edgepack.formats.members import Member
    from edgepack.formats.opened import Opened

ZIP = (b"PK\3\4", b"PK\5\6")
KERAS = frozenset(("config.json", "metadata.json"))
BUNDLE = frozenset(("manifest.json", "SHA256SUMS"))
BUNDLE_START = b"SHA256SUMS"  # its first member: one cut short is for its reader to refuse
METADATA = 1 << 16
MODELS = (".keras", ".h5", ".hdf5", ".tflite", ".onnx", ".pb", ".pt", ".pth", ".safetensors")
TORCH = "Export it to ONNX where its code is, torch.onnx.export(model, inputs, 'model.onnx'), then"
ONNX2TF = (  # read in the documentation of onnx2tf 1.29, not run here; 2.4 needs other options
    'pip install "onnx2tf<2" onnx onnxruntime onnxsim onnx-graphsurgeon',
    "onnx2tf -i {source} -o {target} -osd",
)


def recognise(file: Opened) -> Format | None:
    """A zip, or a tar, packed or not."""
    if file.head.startswith(ZIP):
        return _zip(file, members.of_zip(file))
    names = members.of_tar(file)
    if names is not None:
        return _holding(file, names, "a tar archive", zipped=False)
    if members.is_packed(file):
        return Format(
            path=str(file.path),
            kind="archive",
            what="a compressed file",
            missing="it holds no tar, as far as it was unpacked",
            remedy=Remedy(advice="Unpack it, and name what is in it."),
        )
    return None


def _zip(file: Opened, found: Sequence[Member]) -> Format:
    names = {member.name for member in found}
    if names >= KERAS:
        return _keras(file, found)
    if names >= BUNDLE or (not names and BUNDLE_START in file.head[:64]):
        return Format(path=str(file.path), kind="bundle", what="a bundle of edgepack's")
    if torch := _torch(file, names):
        return torch
    if names and all(name.endswith(".npy") for name in names):
        return numpy(file)
    if not names:
        return Format(
            path=str(file.path),
            kind="archive",
            what="a zip archive",
            missing="it is empty or cut short: its list of members cannot be read",
            remedy=Remedy(advice="Download or copy it again."),
        )
    return _holding(file, sorted(names), "a zip archive", zipped=True)


def _keras(file: Opened, found: Sequence[Member]) -> Format:
    by_name = {member.name: member for member in found}
    weights = any(name.startswith("model.weights.") for name in by_name)
    version = keras_version(members.content(file, by_name["metadata.json"], METADATA))
    return Format(
        path=str(file.path),
        kind="keras",
        what=f"a Keras model{version and f', written by Keras {version}'}",
        missing="it is not exported yet" if weights else "it holds no weights (model.weights.h5)",
        remedy=remedies.export_keras(file.path)
        if weights
        else Remedy(advice="Save the model again: model.save('model.keras')."),
    )


def keras_version(metadata: bytes) -> str:
    """What metadata.json of a Keras model says; nothing where it is damaged."""
    try:
        value = json.loads(metadata)
    except (ValueError, RecursionError):
        return ""
    version = value.get("keras_version") if isinstance(value, dict) else ""
    return version[:40] if isinstance(version, str) and version[:40].isprintable() else ""


def _torch(file: Opened, names: Iterable[str]) -> Format | None:
    parts = {PurePosixPath(name).parts[1:2] for name in names}
    ends = {PurePosixPath(name).name for name in names}
    if "serialized_exported_program.json" in ends or ("archive_format" in ends):
        return torch(file, "pytorch-program", "a PyTorch program (torch.export)")
    if ("data.pkl",) not in parts:
        return None
    if ("code",) in parts:
        return torch(file, "torchscript", "a TorchScript model")
    return torch(file, "pytorch", "a PyTorch file (torch.save)")


def torch(
    file: Opened, kind: Literal["pytorch", "torchscript", "pytorch-program"], what: str
) -> Format:
    """A file of PyTorch's."""
    missing = {
        "pytorch": "weights or pickled objects, which need the Python code of the model",
        "torchscript": "it holds PyTorch's operators, none of TensorFlow's",
        "pytorch-program": "it holds PyTorch's operators, none of TensorFlow's",
    }
    return Format(
        path=str(file.path),
        kind=kind,
        what=what,
        missing=missing[kind],
        remedy=remedies.shell(TORCH, *onnx2tf("model.onnx", remedies.target(file.path))),
    )


def onnx2tf(source: str, target: str) -> tuple[str, ...]:
    """Commands that make a SavedModel of an ONNX file."""
    quoted = {"source": shlex.quote(source), "target": shlex.quote(target)}
    return tuple(line.format(**quoted) for line in ONNX2TF)


def numpy(file: Opened) -> Format:
    """An array, or several."""
    return Format(
        path=str(file.path),
        kind="numpy",
        what="NumPy arrays",
        missing="arrays say nothing of what is computed with them",
        remedy=Remedy(advice="Set them as the weights of the model in code, and export that."),
    )


def _holding(file: Opened, names: Sequence[str], what: str, *, zipped: bool) -> Format:
    """An archive by what its members are called."""
    clean = [name.removeprefix("./") for name in names]
    models = [PurePosixPath(name) for name in clean if _is_graph(name)]
    if models:
        inner = str(models[0].parent)
        hub = "tfhub_module.pb" in {PurePosixPath(name).name for name in clean}
        kind = "a module of TensorFlow Hub's" if hub else "a SavedModel"
        return _packed(file, f"{what} with {kind} in it", "" if inner == "." else inner, zipped)
    others = [name for name in clean if name.lower().endswith(MODELS)]
    if others:
        return _packed(
            file, f"{what} with {PurePosixPath(others[0]).name} in it", others[0], zipped
        )
    return Format(
        path=str(file.path),
        kind="archive",
        what=what,
        sure=False,
        missing="none of the members that were looked at is a model",
        remedy=Remedy(advice="Unpack it, and name the model in it, if there is one."),
    )


def _is_graph(name: str) -> bool:
    return PurePosixPath(name).name in {"saved_model.pb", "saved_model.pbtxt"}


def _packed(file: Opened, what: str, inner: str, zipped: bool) -> Format:
    return Format(
        path=str(file.path),
        kind="archive",
        what=what,
        missing="it is not unpacked",
        remedy=remedies.unpack(file.path, inner, zipped=zipped),
    )
