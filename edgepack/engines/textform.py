"""Writes the binary form of a SavedModel that lies there as text. Runs in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.engines.importing import import_tensorflow
from edgepack.engines.refusals import first_line
from edgepack.errors import DamagedModelError
from edgepack.savedmodel.location import GRAPH, TEXT_GRAPH

if TYPE_CHECKING:
    from pathlib import Path


def write_binary(source: Path, target: Path) -> None:
    """Make a directory with the binary graph, and links to everything else in `source`.

    Raises:
        DamagedModelError: the text is not that of a SavedModel.
    """
    import_tensorflow()
    from google.protobuf import text_format
    from tensorflow.core.protobuf import saved_model_pb2

    text = (source / TEXT_GRAPH).read_text(encoding="utf-8", errors="replace")
    try:
        message = text_format.Parse(text, saved_model_pb2.SavedModel())
    except text_format.ParseError as error:
        raise DamagedModelError(
            f"not the text of a SavedModel: {first_line(error)}",
            where=source / TEXT_GRAPH,
            hint="Save or copy the model again; the file may have been cut short.",
        ) from error
    target.mkdir()
    for entry in source.iterdir():
        (target / entry.name).symlink_to(entry.resolve())
    (target / GRAPH).write_bytes(message.SerializeToString(deterministic=True))
