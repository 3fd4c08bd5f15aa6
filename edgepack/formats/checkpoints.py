"""Checkpoints of a training: weights by name, and at most a graph that is still to be trained.

Formats: tensorflow/core/util/tensor_bundle (an index and shards of values), and before it
tensorflow/core/util/saved_tensor_slice.proto (one file). Both are tables of LevelDB's.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.formats import protobufs, remedies
from edgepack.formats.opened import opened
from edgepack.records.formats import Format, Remedy
from edgepack.savedmodel import sstable
from edgepack.savedmodel.wire import BYTES, WireError, varint

if TYPE_CHECKING:
    from edgepack.formats.opened import Opened

MOST_INDEX = 2 << 20  # bytes of an index whose names are read
SHARD = re.compile(r"(.+)\.data-[0-9]{5}-of-[0-9]{5}")
OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
KERAS_2 = "layer_with_weights-"
NOT_MODELS = frozenset((OBJECTS, "optimizer", "save_counter", "step", "epoch", "global_step"))
WITHOUT_GRAPH = "a checkpoint holds weights, and no signature says what is computed with them"
AND_NOT_ALL = "{} is missing, and a checkpoint without it cannot be restored"


def recognise(file: Opened) -> Format | None:
    """The index of a checkpoint, a checkpoint of the first format, or a shard of values."""
    if file.tail(len(sstable.MAGIC)) == sstable.MAGIC:
        old = _is_first_format(file.head)
        prefix = file.path if old else file.path.with_suffix("")
        return of_prefix(file.path, prefix)
    name = SHARD.fullmatch(file.path.name)
    if name and (found := file.path.with_name(f"{name[1]}.index")).is_file():
        return of_prefix(file.path, found.with_suffix(""))
    return None


def of_prefix(path: Path, prefix: Path) -> Format:
    """A checkpoint that goes by the name `prefix`, met as `path`."""
    missing = _missing(prefix)
    advice = Remedy(advice="Copy all files of the checkpoint: those that begin with its name.")
    return Format(
        path=str(path),
        kind="checkpoint",
        what=f"a training checkpoint ({prefix.name})",
        missing=AND_NOT_ALL.format(missing) if missing else WITHOUT_GRAPH,
        remedy=advice if missing else _remedy(prefix),
    )


def of_meta_graph(file: Opened) -> Format:
    """A .meta file: the graph of a training."""
    prefix = file.path.with_suffix("")
    whole = not _missing(prefix)
    return Format(
        path=str(file.path),
        kind="meta-graph",
        what="a graph of TensorFlow 1's training (MetaGraphDef)",
        missing="it has no signature, and its weights are in the checkpoint beside it"
        if whole
        else f"the weights are missing: the checkpoint {prefix.name}, saved with it",
        remedy=_with_graph(file, prefix),
    )


def _is_first_format(head: bytes) -> bool:
    """Whether the first value, of the key that is empty, begins with a message: no BundleHeader."""
    try:
        at = 0
        for _ in range(3):  # lengths of what the key shares, of its rest, of the value
            _, at = varint(head, at, len(head))
        key, _ = varint(head, at, len(head))
    except WireError:
        return False
    return key == 1 << 3 | BYTES


def _missing(prefix: Path) -> str:
    """What of a checkpoint is not there: nothing, where it can be restored."""
    index = Path(f"{prefix}.index")
    if prefix.is_file() and not index.is_file():
        return ""
    if not index.is_file():
        return index.name
    shards = (one for one in prefix.parent.iterdir() if SHARD.fullmatch(one.name))
    if any(one.name.startswith(f"{prefix.name}.data-") for one in shards):
        return ""
    return f"{prefix.name}.data-00000-of-00001"


def _remedy(prefix: Path) -> Remedy:
    meta = Path(f"{prefix}.meta")
    if meta.is_file():
        with opened(meta) as file:
            return _with_graph(file, prefix)
    names = _names(Path(f"{prefix}.index"))
    roots = {name.partition("/")[0] for name in names}
    if OBJECTS not in roots:
        return remedies.restore_names(prefix)
    if any(name.startswith(KERAS_2) for name in roots):
        return remedies.restore_keras_2(prefix)
    models = sorted(root for root in roots - NOT_MODELS if root.isidentifier())
    return remedies.restore_objects(prefix, models[0] if len(models) == 1 else "model")


def _with_graph(meta: Opened, prefix: Path) -> Remedy:
    return remedies.restore_meta(meta.path, prefix, protobufs.ends(meta, meta=True))


def _names(index: Path) -> tuple[str, ...]:
    """Names of the values in an index; none where it is large, damaged or not there."""
    if not index.is_file():
        return ()
    with opened(index) as file:
        data = file.read(0, MOST_INDEX) if file.size <= MOST_INDEX else b""
    try:
        return tuple(key.decode("utf-8", "replace") for key, _ in sstable.items(data))
    except (sstable.TableError, WireError):
        return ()
