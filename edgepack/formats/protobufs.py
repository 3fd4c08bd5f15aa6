"""Protocol buffers that are no SavedModel directory: graphs, ONNX, Core ML.

Field numbers: tensorflow/core/framework/{graph,node_def}.proto, tensorflow/core/protobuf/
{saved_model,meta_graph}.proto, onnx/onnx.proto, coremltools/mlmodel/format/Model.proto.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from edgepack.formats import graphs
from edgepack.formats.graphs import Ends, Node
from edgepack.savedmodel.wire import BYTES, FIXED32, FIXED64, VARINT, WireError, varint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edgepack.formats.opened import Opened

KEY = 20  # bytes of the longest key with the longest length after it
MANY = 20_000  # fields looked at
FEW = 64  # fields enough to tell what a message is
NODE = 4096  # bytes of a node read: its name, op and inputs stand before its attributes
OP = re.compile(r"[A-Z_][A-Za-z0-9_>.]{0,99}")
NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]{0,999}")
# Fields of the messages that are told apart.
NODES, LIBRARY, OLD_VERSION, VERSIONS = 1, 2, 3, 4  # of a GraphDef
NODE_NAME, NODE_OP, NODE_INPUT = 1, 2, 3
META_INFO, META_GRAPH, META_LAST = 1, 2, 7  # of a MetaGraphDef
SCHEMA, META_GRAPHS = 1, 2  # of a SavedModel
FORMAT_VERSION, DESCRIPTION = 1, 2  # of a Core ML Model, whose model is one of:
CORE_ML_MODELS = range(200, 3001)
IR_VERSION, PRODUCER, PRODUCER_VERSION, ONNX_GRAPH = 1, 2, 3, 7  # of an ONNX model
ONNX_FIELDS = frozenset((*range(1, 9), 14, 20, 25, 26))
VERSION_NUMBERS = range(1, 100)


@dataclass(frozen=True)
class Place:
    """A field of the outermost message: its number, wire type, number value, and place."""

    number: int
    kind: int
    value: int
    start: int
    end: int


def skim(file: Opened, start: int = 0, end: int | None = None) -> Iterator[Place]:
    """Fields of the message in a part of a file, without reading what is in them.

    Raises:
        WireError: the bytes are no message.
    """
    at, end = start, file.size if end is None else end
    while at < end:
        head = file.read(at, KEY)
        key, used = varint(head, 0, len(head))
        number, kind, value = key >> 3, key & 7, 0
        if kind in {BYTES, VARINT}:
            value, used = varint(head, used, len(head))
            size = value if kind == BYTES else 0
        elif kind in {FIXED32, FIXED64}:
            size = 4 if kind == FIXED32 else 8
        else:
            raise WireError(f"wire type {kind} at byte {at}")
        first = at + used
        at = first + size
        if not number or at > end:
            raise WireError(f"field {number} at byte {first} leads out of its message")
        yield Place(number, kind, value, first, at)


def outline(file: Opened) -> tuple[Place, ...]:
    """The first fields of a file that is one message; none where it is no message."""
    try:
        return tuple(islice(skim(file), FEW))
    except WireError:
        return ()


def is_graph(file: Opened, places: Iterable[Place]) -> bool:
    """Whether these are fields of a GraphDef: nodes first, a library and versions after."""
    found = list(places)
    kinds = {NODES: BYTES, LIBRARY: BYTES, OLD_VERSION: VARINT, VERSIONS: BYTES}
    nodes = [place for place in found if place.number == NODES][:8]
    return bool(
        nodes
        and all(kinds.get(place.number) == place.kind for place in found)
        and all(_node(file, place) for place in nodes)
    )


def is_meta_graph(file: Opened, places: tuple[Place, ...]) -> bool:
    """Whether these are fields of a MetaGraphDef."""
    graphs = [place for place in places if place.number == META_GRAPH and place.kind == BYTES]
    known = all(place.kind == BYTES and place.number <= META_LAST for place in places)
    return known and len(graphs) == 1 and is_graph(file, _inner(file, graphs[0]))


def is_saved_model(file: Opened, places: tuple[Place, ...]) -> bool:
    """Whether these are fields of a SavedModel: its schema version, and meta graphs."""
    kinds = {SCHEMA: VARINT, META_GRAPHS: BYTES}
    metas = [place for place in places if place.number == META_GRAPHS]
    known = all(kinds.get(place.number) == place.kind for place in places)
    return bool(known and metas) and is_meta_graph(file, _inner(file, metas[0]))


def is_core_ml(places: tuple[Place, ...]) -> bool:
    """Whether these are fields of a Core ML Model: version, description, and one kind of model."""
    messages = [place.number for place in places if place.kind == BYTES]
    models = [number for number in messages if number in CORE_ML_MODELS]
    version = _number(places, FORMAT_VERSION)
    return len(models) == 1 and DESCRIPTION in messages and version in VERSION_NUMBERS


def onnx_producer(file: Opened, places: tuple[Place, ...]) -> str | None:
    """Who made an ONNX model, perhaps nobody; None where it is no ONNX model."""
    by_number = {place.number: place for place in places}
    graph = by_number.get(ONNX_GRAPH)
    if graph is None or graph.kind != BYTES or by_number.keys() - ONNX_FIELDS:
        return None
    if _number(places, IR_VERSION) not in VERSION_NUMBERS:
        return None
    names = (_text(file, by_number.get(number)) for number in (PRODUCER, PRODUCER_VERSION))
    return " ".join(filter(None, names))


def _number(places: tuple[Place, ...], number: int) -> int:
    found = (p.value for p in places if p.number == number and p.kind == VARINT)
    return next(found, 0)


def ends(file: Opened, *, meta: bool) -> Ends:
    """Inputs and outputs of a GraphDef, or of a MetaGraphDef's; none where it is damaged."""
    try:
        graph = next((p for p in skim(file) if p.number == META_GRAPH), None) if meta else None
        places = skim(file, graph.start, graph.end) if graph else skim(file)
        nodes = (_node(file, place) for place in islice(places, MANY) if place.number == NODES)
        return graphs.ends(filter(None, nodes))
    except WireError:
        return Ends((), ())


def _inner(file: Opened, place: Place) -> tuple[Place, ...]:
    try:
        return tuple(islice(skim(file, place.start, place.end), FEW))
    except WireError:
        return ()


def _node(file: Opened, place: Place) -> Node | None:
    """Name, op and inputs of a NodeDef; None where it is none."""
    data = file.read(place.start, min(place.end - place.start, NODE))
    found: dict[int, list[str]] = {NODE_NAME: [], NODE_OP: [], NODE_INPUT: []}
    at = 0
    try:
        while at < len(data):
            key, at = varint(data, at, len(data))
            size, at = varint(data, at, len(data))
            if key & 7 != BYTES:
                return None
            if key >> 3 in found:
                found[key >> 3].append(data[at : at + size].decode("utf-8", "replace"))
            at += size
    except WireError:
        if place.end - place.start <= NODE:
            return None
    name, op = ("".join(found[number][-1:]) for number in (NODE_NAME, NODE_OP))
    whole = NAME.fullmatch(name) and OP.fullmatch(op)
    return Node(name, op, tuple(found[NODE_INPUT])) if whole else None


def _text(file: Opened, place: Place | None) -> str:
    if place is None or place.kind != BYTES:
        return ""
    data = file.read(place.start, min(place.end - place.start, 60))
    text = data.decode("utf-8", "replace")
    return text if text.isprintable() else ""
