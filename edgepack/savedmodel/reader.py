"""A SavedModel directory as `SavedModelFacts`, and the choice of its signature."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from edgepack.errors import ModelError, UsageError
from edgepack.files import sha256_file
from edgepack.records.facts import SavedModelFacts
from edgepack.records.tensors import OpUse, Signature, Tensor
from edgepack.savedmodel import messages
from edgepack.savedmodel.functions import functions
from edgepack.savedmodel.state import assigns
from edgepack.savedmodel.wire import Message, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.savedmodel.messages import Graph, MetaGraph

GRAPH = "saved_model.pb"
VARIABLES = "variables"
SHARD = re.compile(r"variables\.data-[0-9]{5,}-of-([0-9]{5,})")
SERVE = "serve"
DEFAULT = "serving_default"
VARIABLE_OPS = frozenset(("VarHandleOp", "VariableV2", "Variable"))
# FingerprintDef, tensorflow/core/protobuf/fingerprint.proto
FINGERPRINT = {
    1: "saved_model_checksum",
    2: "graph_def_program_hash",
    3: "signature_def_hash",
    4: "saved_object_graph_hash",
    5: "checkpoint_hash",
}
FINGERPRINT_UUID = 7


def read(path: Path) -> SavedModelFacts:
    """Read a SavedModel.

    Raises:
        UsageError: there is no SavedModel at `path`; says what is there instead.
        ModelError: the SavedModel is damaged or incomplete.
    """
    try:
        _require_directory(path)
        meta = _choose(messages.meta_graphs((path / GRAPH).read_bytes()), path)
        graph = messages.graph(meta)
        return _facts(path, meta, graph)
    except WireError as error:
        raise ModelError(
            f"not a whole SavedModel: {error}",
            where=path / GRAPH,
            hint="Save or copy the model again; the file may have been cut short.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=error.filename or path
        ) from error


def select_signature(facts: SavedModelFacts, name: str = "") -> Signature:
    """The signature called `name`; without a name serving_default, or the only usable one.

    Raises:
        ModelError: there is no such signature, or no telling which; lists the known ones.
    """
    usable = {s.name: s for s in facts.signatures if s.outputs and s.inputs}
    usable = usable or {s.name: s for s in facts.functions}
    if not name and (DEFAULT in usable or len(usable) == 1):
        return usable.get(DEFAULT) or next(iter(usable.values()))
    if name in usable:
        return usable[name]
    known = ", ".join(sorted(usable)) or "none"
    if not usable:
        raise ModelError(
            "the model has no signature with inputs and outputs",
            where=facts.path,
            hint="Save it with tf.saved_model.save(model, path, signatures=...).",
        )
    what = f"no signature is called {name!r}" if name else "several signatures would do"
    near = difflib.get_close_matches(name, usable, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise ModelError(
        what, where=facts.path, hint=f"{hint}Known: {known}. Set model.signature (--signature)."
    )


def digest(path: Path) -> str:
    """SHA-256 over the sorted (relative path, SHA-256) pairs of every file: the model's identity.

    fingerprint.pb is none: it does not cover the weights. Files behind symbolic links count like
    any other, so that a copy has the digest of what it was copied from.

    Raises:
        OSError: a file or directory cannot be read.
    """
    total = hashlib.sha256()
    for file in _files(path):
        total.update(f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\n".encode())
    return total.hexdigest()


def _files(path: Path) -> list[Path]:
    """Every file, also behind symbolic links; each directory once, as links may run in circles."""
    found: list[Path] = []
    seen: set[str] = set()
    for top, directories, names in os.walk(path, onerror=_refuse, followlinks=True):
        directories.sort()  # which of two names of one directory is taken must not be chance
        if (real := os.path.realpath(top)) in seen:
            directories.clear()
            continue
        seen.add(real)
        found += [file for name in names if (file := Path(top, name)).is_file()]
    return sorted(found, key=lambda file: file.relative_to(path).as_posix())


def _refuse(error: OSError) -> NoReturn:
    raise error


def _require_directory(path: Path) -> None:
    if not path.exists():
        raise UsageError("there is no such path", where=path, hint="Check model.path (--model).")
    if not path.is_dir():
        raise UsageError(
            "is a file, not a SavedModel directory",
            where=path,
            hint=f"A SavedModel is the directory that holds {GRAPH}.",
        )
    if not (path / GRAPH).is_file():
        raise UsageError(f"holds no {GRAPH}{_instead(path)}", where=path)


def _instead(path: Path) -> str:
    versions = sorted(p.name for p in path.iterdir() if p.name.isdecimal() and p.is_dir())
    if versions:
        return f", but the version directories {', '.join(versions)}; name one of them"
    others = sorted(p.name for p in path.iterdir() if p.suffix in {".h5", ".keras", ".pbtxt"})
    if others:
        return f", but {', '.join(others)}; load and export it: model.export(DIRECTORY)"
    return ""


def _choose(metas: list[MetaGraph], path: Path) -> MetaGraph:
    serving = [meta for meta in metas if SERVE in meta.tags]
    found = serving or metas
    if len(found) == 1 or serving:
        return min(found, key=lambda meta: len(meta.tags))
    if not metas:
        raise ModelError("it holds no graph", where=path / GRAPH, hint="Save the model again.")
    tags = "; ".join(",".join(meta.tags) or "(none)" for meta in metas)
    raise ModelError(
        f"no graph is tagged {SERVE}; their tags are: {tags}",
        where=path / GRAPH,
        hint=f"Save the one to build with the tag {SERVE}.",
    )


def _facts(path: Path, meta: MetaGraph, graph: Graph) -> SavedModelFacts:
    ops = _ops(graph)
    _require_variables(path, ops)
    signatures = tuple(sorted(_signatures(meta), key=lambda signature: signature.name))
    callable_ones = () if any(s.inputs and s.outputs for s in signatures) else functions(meta)
    outputs = [tensor.tensor for signature in signatures for tensor in signature.outputs]
    sizes = {file: file.stat().st_size for file in _files(path)}
    return SavedModelFacts(
        path=str(path),
        digest=digest(path),
        size_bytes=sum(sizes.values()),
        tags=meta.tags,
        signatures=signatures,
        functions=callable_ones,
        tensorflow_version=meta.tensorflow_version,
        tensorflow_git_version=meta.tensorflow_git_version,
        keras_version=_keras_version(path),
        fingerprint=_fingerprint(path),
        ops=ops,
        variables_bytes=sum(size for f, size in sizes.items() if path / VARIABLES in f.parents),
        assets=meta.assets,
        has_object_graph=meta.has_objects,
        slot_variables=meta.slot_variables(),
        stateful=assigns(graph, outputs),
    )


def _ops(graph: Graph) -> tuple[OpUse, ...]:
    counts = Counter(node.op for node in graph.nodes)
    for nodes in graph.functions.values():
        counts.update(node.op for node in nodes)
    return tuple(OpUse(name=name, count=count) for name, count in sorted(counts.items()))


def _require_variables(path: Path, ops: tuple[OpUse, ...]) -> None:
    """A graph with variables needs their index and every shard of their values."""
    if not VARIABLE_OPS & {op.name for op in ops}:
        return
    directory = path / VARIABLES
    index, shards = directory / "variables.index", directory.glob("variables.data-*")
    named = [SHARD.fullmatch(shard.name) for shard in shards if shard.is_file()]
    counts = [int(name[1]) for name in named if name]
    expected = max(counts, default=1)
    if not index.is_file() or len(counts) < expected:
        missing = index.name if not index.is_file() else f"{expected - len(counts)} variables.data"
        raise ModelError(
            f"the graph has variables, and {missing} is missing",
            where=directory,
            hint="Copy the whole SavedModel directory, its variables/ folder included.",
        )


def _signatures(meta: MetaGraph) -> Iterator[Signature]:
    for name, message in meta.signatures:
        inputs, outputs = (tuple(_tensors(message, number)) for number in (1, 2))
        yield Signature(name=name, inputs=inputs, outputs=outputs, method=message.text(3))


def _tensors(message: Message, number: int) -> Iterator[Tensor]:
    for name, entry in sorted(message.entries(number), key=lambda pair: pair[0]):
        info = messages.tensor_info(entry)
        if info.dtype:  # an init op stands in the list of outputs, without a type
            yield Tensor(name=name, dtype=info.dtype, shape=info.shape, tensor=info.tensor)


def _keras_version(path: Path) -> str:
    """As keras_metadata.pb, which Keras 2 wrote, records it."""
    metadata = path / "keras_metadata.pb"
    if not metadata.is_file():
        return ""
    found = re.search(rb'"keras_version": ?"([^"]{1,40})"', metadata.read_bytes())
    return found[1].decode("utf-8", "replace") if found else ""


def _fingerprint(path: Path) -> dict[str, str]:
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
