"""A SavedModel directory as `SavedModelFacts`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from edgepack.errors import DamagedModelError, UsageError
from edgepack.records.facts import SavedModelFacts
from edgepack.records.tensors import OpUse, Signature, Tensor
from edgepack.savedmodel import messages, objects, provenance
from edgepack.savedmodel.computations import computations
from edgepack.savedmodel.contents import VARIABLES, assets, digest, files, require_variables
from edgepack.savedmodel.functions import functions
from edgepack.savedmodel.location import GRAPH, Location, locate
from edgepack.savedmodel.selection import select_graph, select_signature
from edgepack.savedmodel.unsafe import unsafe_ops
from edgepack.savedmodel.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from edgepack.savedmodel.messages import Graph, MetaGraph
    from edgepack.savedmodel.wire import Message

__all__ = ["GRAPH", "digest", "read", "select_signature"]

VARIABLE_OPS = frozenset(("VarHandleOp", "VariableV2", "Variable"))


def read(path: Path, tags: Collection[str] = ()) -> SavedModelFacts:
    """Read a SavedModel, or the one with the highest number of several version directories.

    Args:
        path: the directory that holds saved_model.pb, or version directories that do.
        tags: tags of the meta graph that is described; by default the one that is tagged serve.

    Raises:
        UsageError: there is nothing at `path`, or it cannot be read.
        FormatError: what is there is no SavedModel; says what it is instead.
        VersionsError: there is no telling which of several models is meant.
        DamagedModelError: the SavedModel is damaged or incomplete.
        SignatureError: no meta graph has these tags, or there is no telling which is meant.
    """
    try:
        found = locate(path)
        return _read(found, tags)
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=error.filename or path
        ) from error


def _read(found: Location, tags: Collection[str]) -> SavedModelFacts:
    file = found.path / GRAPH
    try:
        data = file.read_bytes()
        metas = messages.meta_graphs(data)
        return _facts(found, data, metas, select_graph(metas, file, tags))
    except WireError as error:
        raise DamagedModelError(
            f"not a whole SavedModel: {error}",
            where=file,
            hint="Save or copy the model again; the file may have been cut short.",
        ) from error


def _facts(
    found: Location, data: bytes, metas: list[MetaGraph], meta: MetaGraph
) -> SavedModelFacts:
    path, graph = found.path, messages.graph(meta)
    ops = _ops(graph)
    if VARIABLE_OPS & {op.name for op in ops}:
        require_variables(path)
    signatures = tuple(sorted(_signatures(meta), key=lambda signature: signature.name))
    callable_ones = () if any(s.inputs and s.outputs for s in signatures) else functions(meta)
    computed = computations(meta, graph, [*(s for s in signatures if s.outputs), *callable_ones])
    trained = objects.training(meta)
    sizes = {file: file.stat().st_size for file in files(path)}
    return SavedModelFacts(
        path=str(path),
        digest=digest(path),
        size_bytes=sum(sizes.values()),
        tags=meta.tags,
        signatures=signatures,
        functions=callable_ones,
        tensorflow_version=meta.tensorflow_version,
        tensorflow_git_version=meta.tensorflow_git_version,
        keras_version=provenance.keras_version(path, data, meta),
        fingerprint=provenance.fingerprint(path),
        ops=ops,
        variables_bytes=sum(size for f, size in sizes.items() if path / VARIABLES in f.parents),
        assets=meta.assets,
        has_object_graph=meta.has_objects,
        slot_variables=meta.slot_variables(),
        stateful=any(one.stateful for one in computed),
        version_directory=found.version,
        versions=found.versions,
        meta_graphs=tuple(one.tags for one in metas),
        asset_files=assets(path, sizes),
        computations=tuple(computed),
        optimizers=trained.optimizers,
        metrics=trained.metrics,
        unknown_types=objects.unknown_types(meta),
        unsafe=unsafe_ops(meta),
    )


def _ops(graph: Graph) -> tuple[OpUse, ...]:
    counts = Counter(node.op for node in graph.nodes)
    for nodes in graph.functions.values():
        counts.update(node.op for node in nodes)
    return tuple(OpUse(name=name, count=count) for name, count in sorted(counts.items()))


def _signatures(meta: MetaGraph) -> Iterator[Signature]:
    for name, message in meta.signatures:
        inputs, outputs = (tuple(_tensors(message, number)) for number in (1, 2))
        yield Signature(name=name, inputs=inputs, outputs=outputs, method=message.text(3))


def _tensors(message: Message, number: int) -> Iterator[Tensor]:
    for name, entry in sorted(message.entries(number), key=lambda pair: pair[0]):
        info = messages.tensor_info(entry)
        if info.dtype:  # an init op stands in the list of outputs, without a type
            yield Tensor(name=name, dtype=info.dtype, shape=info.shape, tensor=info.tensor)
