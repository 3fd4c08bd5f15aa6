"""Labels for what a graph holds between runs: variables, tables and the names of assets.

A variable is its type, shape and value; a table what fills it; an asset its content.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from edgepack.errors import DamagedModelError
from edgepack.files import safe_member, sha256_file
from edgepack.savedmodel import checkpoint
from edgepack.savedmodel.bound import handles, values
from edgepack.savedmodel.canonical import digest
from edgepack.savedmodel.contents import VARIABLES
from edgepack.savedmodel.effects import TABLE_INITIALIZERS, UNSAFE_OPS
from edgepack.savedmodel.ops import TABLES
from edgepack.savedmodel.ops import VARIABLES as VARIABLE_OPS
from edgepack.savedmodel.reach import node_name
from edgepack.savedmodel.restored import filled
from edgepack.savedmodel.walk import edge
from edgepack.savedmodel.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edgepack.savedmodel.canonical import Canon
    from edgepack.savedmodel.checkpoint import StoredTensor
    from edgepack.savedmodel.messages import MetaGraph
    from edgepack.savedmodel.restored import Filled, Stored
    from edgepack.savedmodel.walk import Part, Walk
    from edgepack.savedmodel.wire import Message

ASSETS = "assets"
ASSET_COLLECTION = "saved_model_assets"  # tensorflow/python/saved_model/constants.py
DEEPEST = 20  # variables assigned from variables; two are in use
MOST_NODES = 500_000  # labelled to follow what loading runs
READS = frozenset(f"{op}, which {UNSAFE_OPS[op]}" for op in TABLE_INITIALIZERS)
FIXED_TABLES = frozenset(("HashTable", "HashTableV2"))  # the others start empty


class Held(Mapping[str, bytes]):
    """Labels by the name of the graph's node, made when first asked for.

    What could not be followed stands beside each label, see `notes`.
    """

    def __init__(self, path: Path, meta: MetaGraph, canon: Canon, walk: Walk) -> None:
        self._path, self._meta, self._canon, self._walk = path, meta, canon, walk
        self._nodes = {n.name: n for n in meta.graph.nodes if n.op in VARIABLE_OPS | TABLES}
        self._assets = dict(_assets(meta))
        self._labels: dict[str, bytes] = {}
        self._notes: defaultdict[str, set[str]] = defaultdict(set)
        self._of_assets: set[str] = set()
        self._open: list[str] = []
        self._left = MOST_NODES

    def __contains__(self, name: object) -> bool:
        return name in self._nodes or name in self._assets

    def __iter__(self) -> Iterator[str]:
        return iter({**self._nodes, **self._assets})

    def __len__(self) -> int:
        return len(self._nodes.keys() | self._assets.keys())

    def __getitem__(self, name: str) -> bytes:
        if name in self._labels:
            return self._labels[name]
        if name in self._assets:
            told = self._asset(name)
        elif name in self._open or len(self._open) >= DEEPEST or self._left < 0:
            return self._unlabelled(name)
        else:
            self._open.append(name)
            table = self._nodes[name].op in TABLES
            told = self._table(name) if table else self._variable(name)
            self._open.pop()
        self._labels[name] = told
        return told

    def notes(self, part: Part, fetched: Iterable[str]) -> set[str]:
        """What of the state that these tensors need could not be followed."""
        return {note for name in self._touched(part, fetched) for note in self._notes[name]}

    def _touched(self, part: Part, fetched: Iterable[str]) -> set[str]:
        names = {one.name for node in part.nodes for one in self._walk.edges(node)}
        return {n for n in names.union(edge(one).name for one in fetched) if n in self}

    def _unlabelled(self, name: str) -> bytes:
        """What stands for a table that is being filled, or a variable set from itself."""
        node = self._nodes[name]
        if node.op not in TABLES or name not in self._open:
            self._notes[self._open[0]].add(f"how {name} is set")
        return self._canon.label(node)

    def _asset(self, name: str) -> bytes:
        file = self._assets[name]
        try:
            told = sha256_file(self._path / ASSETS / safe_member(file))
        except (OSError, ValueError):
            self._notes[name].add(f"asset {file}, which cannot be read")
            told = ""
        self._of_assets.add(name)
        return digest(b"asset", told.encode())

    def _variable(self, name: str) -> bytes:
        what = self._canon.label(self._nodes[name])
        values = self._filled.stored.get(name, []) + self._loaded.get(name, [])
        if values:
            unlike = {self._stored(name, value) for value in values}
            if len(unlike) > 1:
                self._notes[name].add(f"variable {name}, which several values are for")
            return digest(b"variable", what, *sorted(unlike))
        assigned = self._filled.assigned.get(name, [])
        if not assigned:
            self._notes[name].add(f"variable {name}, which no value is for")
        told = sorted({self._computed(name, tensor) for tensor in assigned})
        return digest(b"assigned", what, *told)

    def _computed(self, name: str, tensor: str) -> bytes:
        """The label of a tensor that the graph itself computes on loading."""
        part = self._walk.part([tensor], self)
        self._left -= len(part.nodes)
        touched = self._touched(part, [tensor])
        notes = self._canon.notes(part) | {n for one in touched for n in self._notes[one]}
        if touched & self._of_assets:
            self._of_assets.add(name)
            notes -= READS
        self._notes[name] |= notes
        return part.tensor(tensor) + part.loops

    def object(self, number: int, notes: set[str]) -> bytes:
        """The label of what a function is bound to: a variable (7) or constant (9) by its value."""
        objects = self._objects
        one = objects[number] if number < len(objects) else None
        if number in self._values:
            name = f"object {number}"
            told = self._stored(name, self._values[number])
            notes |= self._notes[name]
            return told
        if one and (constant := one.message(9)):
            part = self._walk.part([constant.text(1)], self)
            notes |= self._canon.notes(part)
            return part.label(constant.text(1))
        notes.add(f"object {number}, which a function is bound to")
        return b""

    def _table(self, name: str) -> bytes:
        node, uses = self._nodes[name], self._filled.used.get(name, [])
        stored = [self._stored(name, value) for value in self._filled.stored.get(name, [])]
        if not uses and not stored and node.op in FIXED_TABLES:
            self._notes[name].add(f"table {name}, which nothing fills")
        told = {digest(b"%d" % use.place, self._computed(name, use.node.name)) for use in uses}
        return digest(b"table", self._canon.label(node), *stored, b"", *sorted(told))

    def _stored(self, name: str, value: Stored) -> bytes:
        """Type, shape and bytes of a value in the checkpoint, all parts of it."""
        parts = self._tensors.get(value.name, [])
        if not parts or (parts[0].parts and len(parts) == 1):
            self._notes[name].add(f"variable {name}, whose value is missing")
        told = [value.part.encode()]
        for one in parts:
            told += [one.dtype.encode(), repr(one.shape).encode(), one.part]
            told.append(self._digest(name, one) if not one.parts else b"")
        return digest(*told)

    def _digest(self, name: str, tensor: StoredTensor) -> bytes:
        if self._checkpoint is None:
            return b""
        try:
            return checkpoint.digest(self._checkpoint, tensor).encode()
        except DamagedModelError as error:
            self._notes[name].add(f"variable {name}, whose value is damaged: {error.message}")
            return b""

    @cached_property
    def _filled(self) -> Filled:
        return filled(self._meta, self._canon)

    @cached_property
    def _objects(self) -> list[Message]:
        return list(self._meta.objects())

    @cached_property
    def _values(self) -> dict[int, Stored]:
        """Values of the objects that are variables, by their numbers."""
        if self._checkpoint is None or not self._meta.has_objects:
            return {}
        try:
            return values(self._checkpoint)
        except (DamagedModelError, WireError):
            return {}

    @cached_property
    def _loaded(self) -> dict[str, list[Stored]]:
        """Values by the node, as the loader goes by the object graph."""
        bound = handles(self._meta, self._canon)
        known = ((node, self._values.get(number)) for node, number in bound)
        return {node: [value] for node, value in known if value}

    @cached_property
    def _checkpoint(self) -> checkpoint.Checkpoint | None:
        try:
            return checkpoint.load(self._path / VARIABLES)
        except DamagedModelError:
            return None

    @cached_property
    def _tensors(self) -> dict[str, list[StoredTensor]]:
        found: defaultdict[str, list[StoredTensor]] = defaultdict(list)
        for one in self._checkpoint.tensors if self._checkpoint else ():
            found[one.name].append(one)
        return found


def _assets(meta: MetaGraph) -> Iterator[tuple[str, str]]:
    """The node that holds an asset's path, and the file's name, of each AssetFileDef."""
    for asset in [*meta.message.messages(6), *_old_assets(meta)]:
        if info := asset.message(1):
            yield node_name(info.text(1)), asset.text(2)


def _old_assets(meta: MetaGraph) -> Iterator[Message]:
    """Where TensorFlow 1 put them: CollectionDef.any_list (5), Any.value (2)."""
    for key, collection in meta.message.entries(4):
        if key == ASSET_COLLECTION:
            for listed in collection.messages(5):
                for each in listed.messages(1):
                    yield from each.messages(2)
