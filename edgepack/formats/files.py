"""What one file is, by its content."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.formats import archives, checkpoints, hdf5, protobufs, remedies, texts
from edgepack.records.formats import Format, Remedy
from edgepack.savedmodel.location import GRAPH, TEXT_GRAPH

if TYPE_CHECKING:
    from edgepack.formats.opened import Opened

TFLITE = slice(4, 8)
TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of torch.save before 1.6
PICKLE = re.compile(rb"\x80[\x02-\x05]")
NUMPY = b"\x93NUMPY"
GGUF = b"GGUF"
SAFETENSORS = re.compile(rb'.{8}\{\s*"', re.DOTALL)
MOST_HEADER = 100 << 20  # bytes of the longest header that safetensors reads
# What a SavedModel has beside its graph, at its top.
PARTS = frozenset((GRAPH, "fingerprint.pb", "keras_metadata.pb", TEXT_GRAPH))
FOLDERS = frozenset(("variables", "assets", "assets.extra"))


def recognise(file: Opened) -> Format:
    """What a file is; of the kind unknown where nothing fits."""
    if not file.size:
        return Format(
            path=str(file.path),
            kind="empty-file",
            what="an empty file",
            missing="a copy or download went wrong",
            remedy=Remedy(advice="Download or copy it again."),
        )
    found = (one(file) for one in RECOGNISERS)
    return next((one for one in found if one), None) or unknown(file)


def unknown(file: Opened) -> Format:
    """None of what is known here."""
    return Format(
        path=str(file.path),
        kind="unknown",
        what="neither a SavedModel directory, nor a .tflite file, nor a bundle, nor any other "
        "model that is known here",
        sure=False,
        remedy=Remedy(
            advice="Name the directory that holds saved_model.pb, a .tflite, or a bundle's .zip."
        ),
    )


def _part(file: Opened) -> Format | None:
    """A file of a SavedModel's, where its directory is meant."""
    parent = file.path.absolute().parent
    root = parent if file.path.name in PARTS else parent.parent
    inside = file.path.name in PARTS or parent.name in FOLDERS
    if not inside or not any((root / name).is_file() for name in (GRAPH, TEXT_GRAPH)):
        return None
    shown = file.path.parent if file.path.name in PARTS else file.path.parent.parent
    return Format(
        path=str(file.path),
        kind="saved-model-part",
        what=f"a file of the SavedModel {shown}",
        missing="a SavedModel is a directory",
        remedy=remedies.name_it(shown),
    )


def _tflite(file: Opened) -> Format | None:
    if file.head[TFLITE] != b"TFL3":
        return None
    return Format(
        path=str(file.path),
        kind="tflite",
        what="a .tflite file",
        missing="it is converted already, and nothing leads back",
        remedy=Remedy(
            advice="Name the model that it was converted from; edgepack inspect reads the .tflite."
        ),
    )


def _safetensors(file: Opened) -> Format | None:
    size = int.from_bytes(file.head[:8], "little")
    if not SAFETENSORS.match(file.head) or not len(b"{}") <= size <= min(
        file.size - 8, MOST_HEADER
    ):
        return None
    return Format(
        path=str(file.path),
        kind="safetensors",
        what="a file of weights (safetensors)",
        missing="the architecture is missing: it says nothing of what is computed",
        remedy=Remedy(
            advice="Build the model in code, set these weights, and export it: "
            "model.export('model_saved_model') in Keras, torch.onnx.export in PyTorch."
        ),
    )


def _pickle(file: Opened) -> Format | None:
    if file.head.startswith(TORCH):
        return archives.torch(file, "pytorch", "a PyTorch file (torch.save before 1.6)")
    if not PICKLE.match(file.head) or file.tail(1) != b".":
        return None
    return Format(
        path=str(file.path),
        kind="pickle",
        what="a Python pickle",
        sure=False,
        missing="reading it runs code, and only the program that wrote it knows what it is",
        remedy=Remedy(
            advice="Load it with the program that wrote it; a Keras model in it is exported with "
            "model.export('model_saved_model')."
        ),
    )


def _arrays(file: Opened) -> Format | None:
    return archives.numpy(file) if file.head.startswith(NUMPY) else None


def _gguf(file: Opened) -> Format | None:
    if not file.head.startswith(GGUF):
        return None
    return Format(
        path=str(file.path),
        kind="gguf",
        what="a GGUF file",
        missing="it is a language model for llama.cpp, and no tool makes a SavedModel of it",
        remedy=Remedy(advice="Go back to the model that it was converted from."),
    )


def _protobuf(file: Opened) -> Format | None:
    places = protobufs.outline(file)
    if not places:
        return None
    if protobufs.is_saved_model(file, places):
        return _loose_graph(file)
    if protobufs.is_meta_graph(file, places):
        return checkpoints.of_meta_graph(file)
    if protobufs.is_graph(file, places):
        return _frozen(file)
    producer = protobufs.onnx_producer(file, places)
    if producer is not None:
        return _onnx(file, producer)
    return _core_ml(file) if protobufs.is_core_ml(places) else None


def _loose_graph(file: Opened) -> Format:
    return Format(
        path=str(file.path),
        kind="saved-model-graph",
        what=f"the graph of a SavedModel, under another name than {GRAPH}",
        missing="its weights, in the variables/ saved with it",
        remedy=remedies.collect(file.path),
    )


def _frozen(file: Opened) -> Format:
    return Format(
        path=str(file.path),
        kind="graph-def",
        what="a TensorFlow graph (GraphDef)",
        missing="it has no signature: nothing says which of its tensors go in and come out",
        remedy=remedies.wrap_graph(file.path, protobufs.ends(file, meta=False), text=False),
    )


def _onnx(file: Opened, producer: str) -> Format:
    return Format(
        path=str(file.path),
        kind="onnx",
        what=f"an ONNX model{producer and f', made by {producer}'}",
        missing="it holds ONNX operators, none of TensorFlow's",
        remedy=remedies.shell(
            "Convert it", *archives.onnx2tf(str(file.path), remedies.target(file.path))
        ),
    )


def _core_ml(file: Opened) -> Format:
    return Format(
        path=str(file.path),
        kind="core-ml",
        what="a Core ML model",
        missing="it was made from another model, and no tool makes a SavedModel of it",
        remedy=Remedy(advice="Go back to the model that it was converted from, and name that."),
    )


RECOGNISERS = (
    _part,
    _tflite,
    hdf5.recognise,
    archives.recognise,
    _pickle,
    _arrays,
    _gguf,
    _safetensors,
    texts.recognise,
    checkpoints.recognise,
    _protobuf,
)
