"""What Coral's Edge TPU would run of a file, and what its compiler made of it."""

from __future__ import annotations

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.delegates import Fallback


class OpStatus(Record):
    """One line of the compiler's table."""

    operator: str
    count: int = Field(ge=0)
    status: str = Field(description="the compiler's own words")
    mapped: bool


class EdgeTpuCompiled(Record):
    """What `edgetpu_compiler` said of a file, and what it wrote."""

    version: str = Field(description="of the compiler, by its own word")
    path: str = Field(description="of the compiled file")
    sha256: str = Field(description="of the compiled file")
    size_bytes: int = Field(ge=0)
    mapped: int = Field(ge=0, description="operators on the Edge TPU")
    total: int = Field(ge=0, description="operators that it counted")
    subgraphs: int | None = Field(None, description="on the Edge TPU, if it says")
    operators: tuple[OpStatus, ...] = ()
    on_chip: str = Field("", description="memory that caches weights, in its own words")
    off_chip: str = Field("", description="weights that are streamed, in its own words")
    log: str


class NotCompiled(Record):
    """Why there is no compiled file."""

    why: str
    version: str = Field("", description="of the compiler, where it said")
    log: str = Field("", description="what it printed")


class EdgeTpuFit(Record):
    """What the Edge TPU would run of a file."""

    path: str
    integer_only: bool = Field(description="no tensor of the main subgraph is of floats")
    static: bool = Field(description="no dimension is open")
    inputs: tuple[str, ...] = Field(description="element types")
    outputs: tuple[str, ...] = Field(description="element types")
    faults: tuple[str, ...] = Field(
        description="what goes against Coral's requirements of any model, in sentences"
    )
    operators: int = Field(ge=0, description="how many there are, in all subgraphs")
    mapped: int = Field(ge=0, description="how many come before the first unsupported one")
    unsupported: tuple[Fallback, ...] = Field(
        description="operators that are left, as the published list has it"
    )
    unchecked: tuple[str, ...] = Field((), description="limits that no tensor shows")
    size_bytes: int = Field(ge=0)
    fits_on_chip: bool = Field(description="the whole file is smaller than the chip's memory")
    read_on: str = Field(description="when the published list was read")
    compiled: EdgeTpuCompiled | None = None
    not_compiled: NotCompiled | None = None

    @property
    def share(self) -> float:
        """Of all operators, those before the first unsupported one."""
        return self.mapped / self.operators if self.operators else 0.0
