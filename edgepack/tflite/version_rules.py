"""When an operator's node asks for which version: the rules of op_versions.txt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgepack.tflite.graph import Graph, GraphOperator, GraphTensor

RULES = Path(__file__).with_name("op_versions.txt")
BY_RUNNING = "by-running"
BROADCAST = 2  # inputs that may differ in shape
PARTS = 3  # inputs of a SELECT
CHANNELS = 3  # place among the dimensions of what a convolution is given, and of its weights


@dataclass(frozen=True)
class Node:
    """One operator and what it is given and makes; nothing where a tensor is absent."""

    operator: GraphOperator
    graph: Graph

    def given(self, place: int) -> GraphTensor | None:
        """An input by its place."""
        return self._tensor(self.operator.inputs, place)

    def made(self, place: int) -> GraphTensor | None:
        """An output by its place."""
        return self._tensor(self.operator.outputs, place)

    def side(self, word: str) -> Callable[[int], GraphTensor | None]:
        """Outputs where a condition starts with `>`, else inputs."""
        return self.made if word == ">" else self.given

    def _tensor(self, places: tuple[int, ...], place: int) -> GraphTensor | None:
        index = places[place] if place < len(places) else -1
        return self.graph.tensor(index) if index >= 0 else None


@dataclass(frozen=True)
class Rule:
    """The least version for nodes that all conditions hold for.

    Args:
        version: of the operator.
        conditions: what must hold.
        by_running: what a runtime computes was run, and decides instead.
    """

    version: int
    conditions: tuple[Callable[[Node], bool], ...]
    by_running: bool

    def holds(self, node: Node) -> bool:
        """Whether it is about a node."""
        return all(condition(node) for condition in self.conditions)


@cache
def rules() -> dict[str, tuple[Rule, ...]]:
    """Rules by operator."""
    found: dict[str, tuple[Rule, ...]] = {}
    for line in RULES.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version, *words = line.split()
            found[name] = (*found.get(name, ()), _rule(int(version), words))
    return found


def _rule(version: int, words: list[str]) -> Rule:
    conditions = tuple(_condition(word) for word in words if word != BY_RUNNING)
    return Rule(version, conditions, BY_RUNNING in words)


def _condition(word: str) -> Callable[[Node], bool]:
    for pattern, make in FORMS:
        if found := re.fullmatch(pattern, word):
            return make(*found.groups())
    raise ValueError(f"{RULES.name}: {word!r} is no condition")


def _typed(side: str, place: str, unlike: str, types: str) -> Callable[[Node], bool]:
    wanted = set(types.split("|"))

    def holds(node: Node) -> bool:
        tensor = node.side(side)(int(place))
        return tensor is not None and (tensor.dtype in wanted) != bool(unlike)

    return holds


def _scaled(side: str, place: str, unlike: str) -> Callable[[Node], bool]:
    return lambda node: bool(_scales(node.side(side)(int(place)))) != bool(unlike)


def _spread(side: str, place: str, axis: str) -> Callable[[Node], bool]:
    def holds(node: Node) -> bool:
        tensor = node.side(side)(int(place))
        scales = _scales(tensor)
        if tensor is None or not scales:
            return False
        own = tensor.quantization.axis if tensor.quantization else None
        along = own if axis == "axis" else int(axis)
        return along is not None and _size(tensor, along) == len(scales)

    return holds


def _ranked(sign: str, rank: str) -> Callable[[Node], bool]:
    return lambda node: _compare(_rank(node.given(0)), sign, int(rank))


def _any_ranked(rank: str) -> Callable[[Node], bool]:
    return lambda node: any(_rank(node.given(place)) == int(rank) for place in range(PARTS))


def _apart(rank: str) -> Callable[[Node], bool]:
    def holds(node: Node) -> bool:
        first, second = (node.given(place) for place in range(BROADCAST))
        if first is None or second is None or first.shape == second.shape:
            return False
        return max(_rank(first), _rank(second)) > int(rank)

    return holds


def _counted(count: str) -> Callable[[Node], bool]:
    return lambda node: len(node.operator.inputs) == int(count)


def _grouped(node: Node) -> bool:
    fed, weights = node.given(0), node.given(1)
    sizes = [_size(tensor, CHANNELS) for tensor in (fed, weights) if tensor is not None]
    return len(sizes) == BROADCAST and None not in sizes and sizes[0] != sizes[1]


def _sparse(node: Node) -> bool:
    weights = node.given(1)
    return weights is not None and weights.sparse


def _rescaled(node: Node) -> bool:
    scales = [_scales(one)[:1] for one in (node.given(0), node.given(1), node.made(0))]
    first, second, made = (one[0] if one else 0.0 for one in scales)
    return made > 0 and math.isfinite(made) and first * second / made >= 1


def _set(unlike: str, option: str) -> Callable[[Node], bool]:
    return lambda node: (option in node.operator.options) != bool(unlike)


def _scales(tensor: GraphTensor | None) -> tuple[float, ...]:
    return tensor.quantization.scales if tensor and tensor.quantization else ()


def _rank(tensor: GraphTensor | None) -> int:
    return len(tensor.shape or ()) if tensor else 0


def _size(tensor: GraphTensor, place: int) -> int | None:
    shape = tensor.shape or ()
    return shape[place] if 0 <= place < len(shape) else None


def _compare(rank: int, sign: str, other: int) -> bool:
    return {">": rank > other, "=": rank == other, "!=": rank != other}[sign]


FORMS: tuple[tuple[str, Callable[..., Callable[[Node], bool]]], ...] = (
    (r"(>?)(\d):(!?)([a-z0-9|]+)", _typed),
    (r"(>?)(\d)(!?)~", _scaled),
    (r"(>?)(\d)@(\d|axis)", _spread),
    (r"ranks(>|=|!=)(\d)", _ranked),
    (r"any-rank=(\d)", _any_ranked),
    (r"apart>(\d)", _apart),
    (r"inputs=(\d)", _counted),
    ("grouped", lambda: _grouped),
    ("sparse", lambda: _sparse),
    ("rescaled", lambda: _rescaled),
    (r"(!?)([a-z]\w+)", _set),
)


def version(node: Node, ran: bool = False) -> int:
    """The least version whose kernel knows what a node asks of it.

    Args:
        node: of a builtin operator.
        ran: heed also the rules that running decides in place of.
    """
    known = rules().get(node.operator.name, ())
    return max((one.version for one in _heeded(known, ran) if one.holds(node)), default=1)


def _heeded(known: tuple[Rule, ...], ran: bool) -> Iterator[Rule]:
    return (one for one in known if ran or not one.by_running)
