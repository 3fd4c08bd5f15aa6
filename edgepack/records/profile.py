"""Where one file spends its time on this machine, and how much of it a delegate has taken."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record


class OpTime(Record):
    """One operator of the runtime, in the order that they first ran."""

    type: str = Field(description="such as CONV_2D; a delegate's own, such as Convolution")
    name: str = Field(
        description="as the runtime gives it, such as Convolution (NHWC, QC8) IGEMM of XNNPACK"
    )
    delegate: str = Field("", description="XNNPACK, or empty for the runtime's own kernel")
    subgraph: int = Field(0, description="above 0 in a further signature, a loop or a branch")
    partition: int | None = Field(None, description="of the subgraph's; None for own kernels")
    node: int = Field(description="place in the subgraph, or in the delegate's partition")
    tensor: str = Field("", description="first output, as the file names it; own kernels only")
    calls: float = Field(description="times in one inference; above 1 in a loop")
    mean_us: float = Field(
        description="microseconds of one inference, all calls together; 0 of what runs a "
        "subgraph, such as WHILE, whose operators count for themselves"
    )
    share: float = Field(description="of the time of all operators, 0 to 1")


class TypeTime(Record):
    """All operators of one type."""

    type: str
    delegate: str = ""
    count: int = Field(description="operators")
    mean_us: float = Field(description="microseconds of one inference")
    share: float = Field(description="of the time of all operators, 0 to 1")


class OpCount(Record):
    """How many operators of a type."""

    type: str
    count: int


class Coverage(Record):
    """How much of a signature's graph the default delegate has taken."""

    delegate: str = Field("", description="XNNPACK, or empty where it took nothing")
    nodes: int = Field(description="operators of the file's graph")
    delegated: int = Field(description="those of them that the delegate computes")
    partitions: int = Field(description="that it computes; data go back and forth between")
    left: tuple[OpCount, ...] = Field((), description="types that stay with the runtime's kernels")
    seen_by: Literal["interpreter", "profiler"] = "interpreter"


class OpProfile(Record):
    """Time by operator on this machine, by the runtime's own profiler."""

    runtime: str = Field(description="with its version, such as ai-edge-litert 2.3.0")
    threads: int
    reason: str = Field("", description="why there are no times")
    invocations: int = Field(
        0, description="that times are means of, without those that were disturbed"
    )
    total_us: float = Field(0.0, description="sum over all operators, of one inference")
    hidden_us: float = Field(
        0.0,
        description="less than this is missing from the sum, as the delegate tells whole "
        "microseconds, rounded down",
    )
    ops: tuple[OpTime, ...] = ()
    types: tuple[TypeTime, ...] = Field((), description="the costliest first")
    coverage: Coverage | None = Field(None, description="None where the runtime does not tell")


class CoverageResult(Record):
    """What was seen of a delegate, as the cache keeps it."""

    coverage: Coverage | None
