"""What a SavedModel computes, as a digest that saving the same model again does not change.

Each signature is hashed from its outputs back to its inputs: ops, attributes, constants, stored
values of variables, contents of tables and assets, and how they are connected. Names of nodes,
functions and files, their order, the training state and what tools note about themselves are left
out. What is written otherwise by another version of TensorFlow (a constant's encoding, another op
for the same thing) counts as changed: a digest may differ without need, and must not agree so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from edgepack.errors import DamagedModelError, UsageError
from edgepack.records.facts import SemanticIdentity
from edgepack.savedmodel import messages
from edgepack.savedmodel.bound import bound
from edgepack.savedmodel.canonical import Canon, digest
from edgepack.savedmodel.functions import bodies, functions
from edgepack.savedmodel.held import Held
from edgepack.savedmodel.location import GRAPH
from edgepack.savedmodel.reach import INIT_SIGNATURE
from edgepack.savedmodel.selection import select_graph
from edgepack.savedmodel.walk import Edge, Part, Walk, edge
from edgepack.savedmodel.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from edgepack.savedmodel.messages import MetaGraph
    from edgepack.savedmodel.wire import Message


def semantic_digest(path: Path, meta: MetaGraph | None = None) -> str:
    """The digest of `identify`, where nothing had to be left out; else nothing.

    Raises:
        EdgepackError: it is no SavedModel, or a damaged one.
    """
    identity = identify(path, meta)
    return identity.digest if identity.complete else ""


def identify(
    path: Path, meta: MetaGraph | None = None, tags: Collection[str] = ()
) -> SemanticIdentity:
    """What a SavedModel computes, and what of it could not be followed.

    Args:
        path: the directory that holds saved_model.pb.
        meta: its MetaGraphDef, where it has been read before.
        tags: of the MetaGraphDef, where it has not; by default the one that is tagged serve.

    Raises:
        EdgepackError: it is no SavedModel, or a damaged one.
    """
    file = path / GRAPH
    try:
        if meta is None:
            meta = select_graph(messages.meta_graphs(file.read_bytes()), file, tags)
        return _Model(path, meta).identity()
    except WireError as error:
        raise DamagedModelError(
            f"not a whole SavedModel: {error}",
            where=file,
            hint="Save or copy the model again; the file may have been cut short.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}", where=error.filename or path
        ) from error


class _Model:
    """One model while its signatures are hashed."""

    def __init__(self, path: Path, meta: MetaGraph) -> None:
        self._meta, self._canon = meta, Canon(meta)
        self._walk = Walk(meta.graph.nodes, self._canon.label)
        self._held = Held(path, meta, self._canon, self._walk)

    def identity(self) -> SemanticIdentity:
        notes: set[str] = set()
        digests: dict[str, str] = {}
        shared: list[tuple[str, bytes]] = []
        for name, message in sorted(dict(self._meta.signatures).items(), key=_key):
            if message.count(2) and name != INIT_SIGNATURE:
                own, uses = self._signature(message, notes)
                digests[name] = own.hex()
                shared += uses
        if not digests:
            digests = dict(self._functions(notes))
        listed = (part.encode() for pair in digests.items() for part in pair)
        total = digest(*listed, _aliases(shared))
        return SemanticIdentity(
            digest=total.hex(), signatures=digests, left_out=tuple(sorted(notes))
        )

    def _signature(
        self, message: Message, notes: set[str]
    ) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Its digest, and the variables that it uses where it changes some."""
        outputs: list[tuple[str, Message, str]] = []
        given: defaultdict[Edge, list[bytes]] = defaultdict(list)
        for key, info in sorted(dict(message.entries(1)).items(), key=_key):
            for place, tensor in enumerate(_tensors(info, notes)):
                given[edge(tensor)].append(digest(key.encode(), b"%d" % place, _described(info)))
        fed = {one: digest(b"input", *told) for one, told in given.items()}
        for key, info in sorted(dict(message.entries(2)).items(), key=_key):
            outputs.extend((key, info, tensor) for tensor in _tensors(info, notes))
        fetched = [tensor for _, _, tensor in outputs]
        part = self._walk.part(fetched, self._held, fed)
        notes |= self._canon.notes(part) | self._held.notes(part, fetched)
        results = [digest(k.encode(), _described(i), part.tensor(t)) for k, i, t in outputs]
        uses = self._uses(part)
        inputs = sorted(told for held in given.values() for told in held)
        return digest(b"signature", *inputs, *results, part.loops, _aliases(uses)), uses

    def _uses(self, part: Part) -> list[tuple[str, bytes]]:
        """Variables that are used, where variables change; those only read are as good as one.

        In an order that does not hang on names: that of the labels of the nodes that use them.
        """
        if not self._canon.changes_state(part.nodes):
            return []
        users = sorted(part.nodes, key=lambda node: part.label(node.name))
        names = [one.name for node in users for one in self._walk.edges(node)]
        return [(name, part.label(name)) for name in names if name in self._held]

    def _functions(self, notes: set[str]) -> Iterator[tuple[str, str]]:
        """Functions of the model's object, where it has no signature to be called by."""
        traces, captured = bodies(self._meta), bound(self._meta)
        for function in functions(self._meta):
            trace = traces[function.name]
            if self._canon.body(trace) is None:
                notes.add(f"function {function.name}, which is missing")
                continue
            told = self._canon.function(trace)
            notes |= self._canon.unfollowed.get(trace, frozenset())
            held = [self._held.object(number, notes) for number in captured.get(trace, ())]
            yield function.name, digest(told, *held).hex()


def _aliases(uses: list[tuple[str, bytes]]) -> bytes:
    """Which uses are of one variable: each is numbered among those of the same label."""
    numbers: dict[str, int] = {}
    labelled: Counter[bytes] = Counter()
    for name, label in uses:
        if name not in numbers:
            numbers[name] = labelled[label]
            labelled[label] += 1
    return digest(*(b"%d" % numbers[name] for name, _ in uses))


def _key(entry: tuple[str, Message]) -> str:
    return entry[0]


def _tensors(info: Message, notes: set[str]) -> Iterator[str]:
    """Names of a TensorInfo's tensors: one (1), or the three parts of a sparse one (4)."""
    yield from info.texts(1)[-1:]
    for sparse in info.messages(4):
        yield from (sparse.text(number) for number in (1, 2, 3))
    if info.count(5):
        notes.add("a signature's composite tensor")


def _described(info: Message) -> bytes:
    one = messages.tensor_info(info)
    return repr((one.dtype, one.shape)).encode()
