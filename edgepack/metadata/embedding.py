"""Metadata into a .tflite, and out of it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from edgepack import labels
from edgepack.errors import ModelError
from edgepack.metadata import attached
from edgepack.metadata.container import insert, metadata_of
from edgepack.metadata.decoding import decode
from edgepack.metadata.encoding import encode
from edgepack.tflite import schema
from edgepack.tflite.flatbuffer import CorruptError, refuse, root
from edgepack.tflite.graph import graphs

if TYPE_CHECKING:
    from edgepack.records.metadata import ModelDescription, TensorDescription
    from edgepack.tflite.graph import Graph


def embed(model: bytes, description: ModelDescription, where: str = "") -> bytes:
    """A .tflite with metadata and label files; metadata and files that it had are replaced.

    Same arguments, same bytes. Nothing that computes is touched: see `container`.

    Args:
        model: the file's bytes.
        description: of its first subgraph, tensors in the subgraph's order.
        where: what messages call the file.

    Raises:
        ModelError: it is no whole .tflite, is described wrongly, or cannot take metadata.
        UsageError: a label is not one line.
    """
    names = _label_files(description)
    files = {name: labels.text(classes) for classes, name in names.items()}
    bare = attached.detach(model)
    try:
        _check_described(graphs(root(bare, schema.IDENTIFIER)), description, where)
        return attached.attach(insert(bare, encode(description, names), where), files)
    except (CorruptError, RecursionError) as error:
        raise refuse(where, error) from error


def embed_file(source: str, description: ModelDescription, target: str) -> None:
    """`embed` from file to file, for a worker; raises what `embed` raises."""
    Path(target).write_bytes(embed(Path(source).read_bytes(), description, source))


def read(model: bytes, where: str = "") -> ModelDescription | None:
    """What a .tflite says of itself; None without metadata.

    Args:
        model: the file's bytes.
        where: what messages call the file.

    Raises:
        ModelError: it is no whole .tflite, or its metadata are damaged.
    """
    try:
        metadata = metadata_of(root(model, schema.IDENTIFIER))
        return decode(metadata, attached.labels_of(model)) if metadata else None
    except (CorruptError, RecursionError) as error:
        raise refuse(where, error) from error


def _label_files(description: ModelDescription) -> dict[tuple[str, ...], str]:
    """A name for each list of labels: labels.txt, labels_2.txt."""
    sides = (*description.inputs, *description.outputs)
    lists = dict.fromkeys(tensor.labels for tensor in sides if tensor.labels)
    first = PurePosixPath(labels.NAME)
    names = (f"{first.stem}_{number}{first.suffix}" for number in range(2, len(lists) + 2))
    return dict(zip(lists, (labels.NAME, *names), strict=False))


def _check_described(
    subgraphs: tuple[Graph, ...], description: ModelDescription, where: str
) -> None:
    """Readers pair metadata with tensors by position alone, so the positions must be right.

    Raises:
        ModelError: they are not.
        CorruptError: the model has no subgraph.
    """
    if not subgraphs:
        raise CorruptError("it has no subgraph")
    first = subgraphs[0]
    _check_side("inputs", _names(first, first.inputs), description.inputs, where)
    _check_side("outputs", _names(first, first.outputs), description.outputs, where)


def _names(graph: Graph, indices: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(graph.tensor(index).name for index in indices)


def _check_side(
    side: str, found: tuple[str, ...], described: tuple[TensorDescription, ...], where: str
) -> None:
    said = tuple(tensor.tensor for tensor in described)
    if len(said) == len(found) and all(s in {"", f} for s, f in zip(said, found, strict=True)):
        return
    raise ModelError(
        f"its first subgraph has the {side} {', '.join(found)}, and metadata were made for "
        f"{', '.join(tensor.tensor or tensor.name for tensor in described)}",
        where=where,
        hint="Metadata can describe one signature, the file's first subgraph: "
        "turn them off for a file of several.",
    )
