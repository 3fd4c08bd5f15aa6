"""What a delegate takes, and which nodes of a file would run on it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Types = tuple[str, ...]


class Terms(Record):
    """On which terms a delegate takes an operator, as far as a file shows them."""

    version: int | None = Field(None, description="the newest that it takes; None: any")
    types: Types = Field((), description="of what the delegate checks, instead of the list's")
    outputs: Types = Field((), description="of results, instead of the list's")
    inputs: dict[str, Types] = Field({}, description="types of single inputs, by place")
    first: int = Field(0, ge=0, description="the place of the input that counts as the first one")
    ranks: tuple[int, ...] = Field((), description="of the first input; any when empty")
    most_rank: int | None = Field(None, description="of any of its tensors")
    constant: tuple[int, ...] = Field((), description="places of inputs that are constants")
    has: tuple[int, ...] = Field((), description="places of inputs that must be there")
    runtime: tuple[int, ...] = Field((), description="how many inputs are no constants")
    since: str = Field("", description="the runtime that brought it, where that was found")
    note: str = Field("", description="what it asks beside that: not checked")


class ListSource(Record):
    """Where a list was read."""

    what: str
    at: str = Field(description="the commit, or what stands for it")
    read_on: str = Field(description="the day")


class Delegate(Record):
    """The published list of one delegate: read, never run."""

    name: str
    description: str
    rule: Literal["tflite", "litert", "edgetpu"] = Field(
        description="how its nodes are gathered: as TFLite's interpreter does, by runs of "
        "neighbours in LiteRT's compiler, or up to the first node that is not taken"
    )
    checks: Literal["runtime", "first", "every"] = Field(
        description="whose types it looks at: of all tensors but constants, of the first input, "
        "or of all tensors"
    )
    types: Types = Field(description="element types that it takes; any when empty")
    most_rank: int | None = Field(None, description="of any tensor")
    dimensions: int | None = Field(
        None, description="how many of the innermost may be above 1, of tensors but constants"
    )
    most_partitions: int | None = Field(None, description="by its defaults; the largest are taken")
    least_nodes: int = Field(1, description="of a partition, by its defaults")
    float16_weights: bool = Field(
        False, description="reads float16 constants itself, past their DEQUANTIZE"
    )
    unlisted: bool = Field(False, description="takes what is not listed, and refuses what is")
    custom: tuple[str, ...] = Field((), description="custom operators that it takes")
    note: str = ""
    source: ListSource
    operators: dict[str, Terms]


class Fallback(Record):
    """Nodes that would stay behind."""

    operator: str
    count: int = Field(ge=1)
    why: str


class DelegateFit(Record):
    """Which nodes of a file a delegate would take, by its published list."""

    delegate: str
    nodes: int = Field(ge=0)
    delegated: int = Field(ge=0)
    partitions: int = Field(ge=0, description="how many run on it")
    fallback: tuple[Fallback, ...] = ()
    unchecked: tuple[str, ...] = Field(
        (), description="what it asks of nodes counted as delegated that no file's tensors show"
    )
    note: str = ""
    source: str
    at: str = Field(description="the commit of the source")
    read_on: str
    proven: Literal["read"] = Field("read", description="a list was read, no delegate was run")

    @property
    def whole(self) -> bool:
        """Whether all nodes would run on it."""
        return self.delegated == self.nodes
