"""What the accuracy-aware search tried, found and chose."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record
from edgepack.records.evidence import Agreement, Drop, Metric, OutputHealth
from edgepack.records.facts import Precision
from edgepack.records.recipe import Clipping, Engine, Group, Mode, Recipe, Rest

Objective = Literal["latency", "size"]
Stopped = Literal["done", "time", "trials", "interrupted"]


class Candidate(Record):
    """One point of the search space: what is quantized how, and which groups are not."""

    mode: Mode | Literal["float32"] = "int8"
    engine: Engine = "quantizer"
    clipping: Clipping = "min-max"
    kept: tuple[int, ...] = Field((), description="groups not quantized, ascending")
    rest: Rest = Field("float32", description="precision of the groups that are kept")


class Trial(Record):
    """A candidate, made, allocated, invoked and measured on the tune split, or why not."""

    number: int = Field(description="from 1, in the order of the search; names the trial for pick")
    candidate: Candidate
    stage: str = Field(description="what the search tried it for, such as sensitivity")
    failure: str = Field("", description="why the file could not be made or run, or collapsed")
    sha256: str = ""
    precision: Precision | None = None
    size_bytes: int = 0
    samples: int = Field(0, description="of the tune split it was run on; fewer when scouting")
    harm: float | None = Field(
        None, description="what the budget limits: drop of the first metric, or 1 - agreement"
    )
    error: float | None = Field(
        None, description="largest relative L2 error of an output against the source"
    )
    latency_ms: float | None = Field(None, description="median of the medians of rounds")
    latency_ratio: float | None = Field(
        None, description="median over interleaved rounds of p50 to float32's"
    )


class TrialMeasure(Record):
    """What a worker measured of one candidate's file."""

    samples: int
    drops: tuple[Drop, ...] = ()
    metrics: tuple[Metric, ...] = ()
    agreement: tuple[Agreement, ...] = ()
    health: tuple[OutputHealth, ...] = Field(
        (), description="constant only where the source's output varies"
    )
    latency_ms: float | None = None
    latency_ratio: float | None = None


class Goal(Record):
    """What the search looks for."""

    objective: Objective = "latency"
    max_harm: float = Field(description="largest drop of the first metric, or 1 - agreement")
    measure: str = Field(description="what harm is, in words, such as drop of top-1")
    metric: str = Field("", description="whose unit harm has; empty where it is a share")


class LayerSensitivity(Record):
    """What quantizing one group does, measured on the tune split."""

    group: str
    ops: tuple[str, ...]
    tensor: str = Field(description="of the group's tensors, the one with the least SNR")
    snr_db: float | None = Field(
        None, description="of that tensor in the fully quantized file against float32"
    )
    error_over_scale: float | None = Field(
        None, description="RMS error of that tensor over its scale; rounding alone gives 0.29"
    )
    harm: float | None = Field(None, description="with this group alone quantized")
    error: float | None = Field(
        None, description="relative error of the outputs with this group alone quantized"
    )
    share: float | None = Field(
        None, description="of the sum over groups of that error squared, 0 to 1"
    )
    low: float | None = Field(None, description="least calibrated value of the tensor")
    high: float | None = Field(None, description="largest calibrated value of the tensor")
    saturation: float | None = Field(
        None, description="share of the tune split's values outside the calibrated range"
    )
    channels: int = Field(0, description="of the tensor's last dimension")
    dead_channels: int = Field(0, description="of those, with one value for every sample")
    float16_headroom: float | None = Field(
        None, description="65504 over the largest absolute value; near 1 overflows float16"
    )


class CalibrationAdvice(Record):
    """Something about the calibration samples that a measurement showed."""

    code: Literal["halves-disagree", "outliers", "duplicates", "noise", "few-samples", "saturation"]
    message: str
    tensors: tuple[str, ...] = ()


class Layers(Record):
    """Sensitivity of every group, as the cache keeps it."""

    layers: tuple[LayerSensitivity, ...]


class Advice(Record):
    """What is said of the calibration samples, as the cache keeps it."""

    advice: tuple[CalibrationAdvice, ...]


class SearchResult(Record):
    """The whole search, as report and trial log keep it."""

    schema_version: Literal[1] = 1
    goal: Goal
    groups: tuple[Group, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...] = Field(
        description="numbers of the trials that no other beats on harm, latency and size"
    )
    chosen: int = Field(description="number of the trial that is built")
    picked: bool = Field(False, description="the user's choice, not the search's")
    met: bool = Field(description="the chosen trial is within the goal on the tune split")
    stopped: Stopped
    seconds: float
    samples: int = Field(description="of the tune split")
    why: str = Field(description="one sentence about the choice")


class Option(Record):
    """One way to make a variant, and what it did on the samples it was compared on."""

    recipe: Recipe
    failure: str = Field("", description="why the file could not be made or run, or collapsed")
    harm: float | None = Field(None, description="drop of the first metric, or 1 - agreement")
    error: float | None = Field(
        None, description="largest relative L2 error of an output against the source"
    )
    size_bytes: int = 0


class EngineChoice(Record):
    """Which of several ways to make a variant was kept, and why."""

    variant: str
    split: Literal["calibrate", "tune"] = Field(description="samples that they were compared on")
    metric: str = Field("", description="whose unit harm has; empty where it is a share")
    samples: int
    options: tuple[Option, ...]
    chosen: int = Field(description="position among the options")
    why: str = Field(description="one sentence")


class Findings(Record):
    """What a build found out about quantizing the model."""

    choices: tuple[EngineChoice, ...] = Field((), description="variants made in several ways")
    search: SearchResult | None = None
    sensitivity: tuple[LayerSensitivity, ...] = Field((), description="by group, in graph order")
    advice: tuple[CalibrationAdvice, ...] = ()


class CurvePoint(Record):
    """What a file calibrated with so many samples does."""

    samples: int
    harm: float | None
    error: float | None


class Sensitivity(Record):
    """What `edgepack sensitivity` prints."""

    schema_version: Literal[1] = 1
    name: str
    recipe: Recipe = Field(description="of the fully quantized file that is looked into")
    measure: str = Field(description="what harm is, in words")
    metric: str = Field("", description="whose unit harm has; empty where it is a share")
    harm: float | None = Field(description="of the fully quantized file")
    error: float | None = Field(description="of the fully quantized file's outputs")
    split: Literal["calibrate", "tune"] = Field(description="samples that harm is measured on")
    samples: int
    layers: tuple[LayerSensitivity, ...] = Field(description="by group, in graph order")
    advice: tuple[CalibrationAdvice, ...] = ()
    curve: tuple[CurvePoint, ...] = Field((), description="by calibration samples, where asked")
