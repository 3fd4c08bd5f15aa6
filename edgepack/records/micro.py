"""What a model asks of a microcontroller that runs TFLite Micro."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

ArenaMethod = Literal["measured", "estimated"]


class ArenaSize(Record):
    """Memory that the app reserves for everything TFLite Micro allocates, in bytes."""

    bytes: int
    method: ArenaMethod = Field(
        description="measured: a release of TFLite Micro ran the file and said it; estimated: by "
        "the rules of its planner"
    )
    runtime: str = Field("", description="which measured it, such as tflite-micro==1.0")
    planned: int = Field(description="of it, for tensors and scratch, which share their place")
    kept: int = Field(description="of it, for what lives as long as the interpreter")
    starting: int = Field(
        0, description="of it, what is needed beyond both, and only while the interpreter starts"
    )
    detail: str = Field("", description="what the figure covers")
    reason: str = Field("", description="why it was not measured")
    refused: str = Field("", description="TFLite Micro's own words, where it does not run the file")


class MicroFit(Record):
    """What stands between a file and a microcontroller."""

    flash_bytes: int = Field(description="of the file, up to the next multiple of its alignment")
    arena: ArenaSize
    unsupported: tuple[str, ...] = Field(description="operators that TFLite Micro does not have")
    float_operators: tuple[str, ...] = Field(description="operators that compute in float")
    unaccelerated: tuple[str, ...] = Field(
        description="of what computes on int8 or int16, operators that CMSIS-NN has no kernel of"
    )
    open_shapes: tuple[str, ...] = Field(
        description="inputs with a dimension that is left open: they run at the shape in the file"
    )
    objections: tuple[str, ...] = Field(description="what else keeps it from running, as sentences")

    @property
    def integer_only(self) -> bool:
        """Whether nothing computes in float."""
        return not self.float_operators

    @property
    def runs(self) -> bool:
        """Whether nothing is known that keeps TFLite Micro from running it."""
        return not (self.unsupported or self.objections)


class CModel(Record):
    """Which file of which release a C array is of."""

    name: str
    version: str
    variant: str
    sha256: str
    size_bytes: int
    arena: ArenaSize | None = None
