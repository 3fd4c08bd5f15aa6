"""Who wrote a SavedModel: the versions of Keras, and the fingerprint."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgepack.savedmodel.wire import Message, WireError

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.savedmodel.messages import MetaGraph

KERAS = re.compile(rb'"keras_version": ?"([^"]{1,40})"')
# Attributes that only Keras 3 leaves on the root object, which has no version of it anywhere: of
# keras.export.ExportArchive, and of keras.Model saved by tf.saved_model.save.
KERAS_3 = frozenset(("_misc_assets", "_losses_override"))
KERAS_2 = "_tf_keras_"  # how Keras 2 identifies its objects
# FingerprintDef, tensorflow/core/protobuf/fingerprint.proto
FINGERPRINT = {
    1: "saved_model_checksum",
    2: "graph_def_program_hash",
    3: "signature_def_hash",
    4: "saved_object_graph_hash",
    5: "checkpoint_hash",
}
FINGERPRINT_UUID = 7


def keras_version(path: Path, data: bytes, meta: MetaGraph) -> str:
    """The version of Keras, empty without Keras.

    From keras_metadata.pb, which Keras 2 wrote since TensorFlow 2.5, or the object graph, where it
    wrote it before. Where that was lost only "2"; for Keras 3 only "3".

    Args:
        path: directory of the SavedModel.
        data: its saved_model.pb.
        meta: the meta graph that is described.

    Raises:
        OSError: keras_metadata.pb cannot be read.
    """
    metadata = path / "keras_metadata.pb"
    beside = metadata.read_bytes() if metadata.is_file() else b""
    if found := KERAS.search(beside) or KERAS.search(data):
        return found[1].decode("utf-8", "replace")
    root = next(meta.objects(), None)
    names = {child.text(2) for child in root.messages(1)} if root else set()
    kind = (root.message(4) if root else None) or Message(b"")
    if names & KERAS_3:
        return "3"
    return "2" if kind.text(1).startswith(KERAS_2) else ""


def fingerprint(path: Path) -> dict[str, str]:
    """Fields of fingerprint.pb, 64-bit values as decimals; empty where it is missing or damaged.

    Raises:
        OSError: the file cannot be read.
    """
    file = path / "fingerprint.pb"
    if not file.is_file():
        return {}
    try:
        message = Message(file.read_bytes())
    except WireError:  # nothing depends on it
        return {}
    values = {name: str(message.number(n)) for n, name in FINGERPRINT.items() if message.count(n)}
    uuid = message.text(FINGERPRINT_UUID)
    return {**values, "uuid": uuid} if uuid else values
