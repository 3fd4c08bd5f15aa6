"""A target profile: what a build for one kind of device must satisfy, and whether a file does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.compat import LeastRelease
from edgepack.records.delegates import DelegateFit
from edgepack.records.edgetpu import EdgeTpuFit
from edgepack.records.facts import Precision, TFLiteFacts
from edgepack.records.manifest import RuntimeNeed
from edgepack.records.micro import MicroFit
from edgepack.records.runtimes import RuntimeRun

Platform = Literal[
    "android", "ios", "linux", "macos", "windows", "browser", "microcontroller", "edgetpu"
]


class OsNeed(Record):
    """The oldest system that the runtime works on."""

    name: str
    least_version: str


class FigureSource(Record):
    """Where a figure of a profile was taken from."""

    at: str = Field(min_length=1, description="document, page or command; or that it is a choice")
    read: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="the day, as 2026-11-28")


class Target(Record):
    """A device profile, as `targets/*.toml` declares it."""

    name: str
    description: str
    platform: Platform
    extends: str = Field(
        "", description="the profile that says what this one does not: a built-in name, or a path"
    )
    precisions: tuple[Precision, ...] = Field(description="accepted precisions, best first")
    input_dtypes: tuple[str, ...] = Field((), description="accepted input types; any when empty")
    output_dtypes: tuple[str, ...] = Field((), description="accepted output types; any when empty")
    weight_dtypes: tuple[str, ...] = Field(
        (), description="accepted types of constant tensors; any when empty"
    )
    static_shapes: bool = Field(False, description="no dimension may be open")
    integer_only: bool = Field(False, description="no operator may compute in float")
    custom_operators: bool = Field(
        True, description="whether apps can bring operators along, Select-TF's among them"
    )
    max_size_bytes: int | None = Field(None, gt=0, description="largest .tflite accepted")
    max_memory_bytes: int | None = Field(
        None, gt=0, description="largest peak of loading and one inference, measured on the host"
    )
    max_arena_bytes: int | None = Field(
        None, gt=0, description="largest tensor arena of TensorFlow Lite Micro"
    )
    operators: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description="builtin operators that the platform has, with the highest version of each, "
        "0 where versions do not count; all when empty",
    )
    runtime: RuntimeNeed | None = Field(
        None, description="what the app links: artifact and its versions"
    )
    os: OsNeed | None = None
    delegates: tuple[str, ...] = Field(
        (), description="whose published lists of operators the report holds files against"
    )
    runtimes: tuple[str, ...] = Field(
        (), description="releases that builds run every variant on, as NAME==VERSION"
    )
    packaging: tuple[str, ...] = Field((), description="hints for the app's build")
    sources: dict[str, FigureSource] = Field(
        default_factory=dict, description="by key, where its figure was taken from"
    )


class Candidate(Record):
    """A file that is offered to targets, and what was measured of it."""

    variant: str = Field(description="of a bundle; of a single file its name")
    facts: TFLiteFacts
    least_releases: tuple[LeastRelease, ...] = ()
    memory_bytes: int | None = Field(None, description="peak on the host; None: not measured")
    micro: MicroFit | None = Field(None, description="on microcontrollers; None: not looked at")
    edgetpu: EdgeTpuFit | None = Field(None, description="on the Edge TPU; None: not looked at")
    runs: tuple[RuntimeRun, ...] = Field((), description="on releases of runtimes")


ObjectionKind = Literal[
    "precision", "dtype", "shape", "float", "operator", "release", "size", "memory", "arena", "run"
]


class Objection(Record):
    """One reason why a target does not take a file."""

    kind: ObjectionKind
    what: str
    change: str = Field("", description="the smallest change that helps, where one is known")

    def __str__(self) -> str:
        """The reason, and what would help."""
        return f"{self.what}; {self.change}" if self.change else self.what


class TargetFit(Record):
    """One file held against one target."""

    target: str
    variant: str = Field(description="of a bundle; of a single file its name")
    delegates: tuple[DelegateFit, ...] = Field(
        (), description="what those that the target names would take, by published lists"
    )
    objections: tuple[Objection, ...] = Field(description="none where the target takes it")
    unchecked: tuple[str, ...] = Field(
        (), description="what the profile asks and nothing here could tell"
    )

    @property
    def fits(self) -> bool:
        """Whether the target takes the file."""
        return not self.objections


class TargetFits(Record):
    """Files held against targets."""

    path: str
    fits: tuple[TargetFit, ...]

    @property
    def refused(self) -> tuple[str, ...]:
        """Targets that take none of the files."""
        taken = {one.target for one in self.fits if one.fits}
        return tuple(dict.fromkeys(o.target for o in self.fits if o.target not in taken))
