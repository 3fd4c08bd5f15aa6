"""What files did on releases of runtimes."""

from __future__ import annotations

from pydantic import Field

from edgepack.records.base import Record


class ReplayedTensor(Record):
    """A tensor of every invocation, as raw bytes in a file."""

    name: str = Field("", description="in the signature, for APIs that name")
    tensor: str = Field("", description="in the graph, for APIs that name those")
    place: int = Field(description="among the interpreter's inputs or outputs")
    dtype: str = Field(description="NumPy's name of what is stored, or string")
    shape: tuple[int, ...] = Field(description="of one invocation")
    path: str


class ReplayJob(Record):
    """What a runtime's own Python, or a browser, is told to run."""

    model: str = Field(description="path of the .tflite")
    count: int = Field(description="invocations")
    threads: int
    rounds: int = Field(description="times that all invocations are run, for the latency")
    inputs: tuple[ReplayedTensor, ...]
    outputs: tuple[ReplayedTensor, ...] = Field(description="where the answers go")


class ReplayAnswer(Record):
    """What it reports: a Python in the last line that it prints."""

    python: str = ""
    browser: str = Field("", description="release of Chromium, where that ran it")
    loaded: bool = Field(description="the runtime made an interpreter, and allocated its tensors")
    reason: str = Field("", description="the runtime's own words, where something failed")
    seconds: tuple[float, ...] = Field((), description="of each invocation, after a first round")


class PageOutput(Record):
    """An output of one invocation, as a page of a browser got it."""

    dtype: str = Field(description="the runtime's name of it")
    shape: tuple[int, ...]


class PageAnswer(ReplayAnswer):
    """What a page reports, after it has posted the outputs."""

    outputs: tuple[PageOutput, ...] = ()


class RuntimeRun(Record):
    """One file on one release."""

    variant: str
    runtime: str = Field(description="such as tflite-runtime==2.14.0")
    python: str = Field("", description="release of the Python that ran it")
    browser: str = Field("", description="release of Chromium, where that ran it")
    loads: bool = Field(description="also False where nothing answered")
    agrees: bool = Field(description="every output is within its tolerance of the recorded one")
    output: str = Field("", description="the one that is furthest beyond its tolerance, or nearest")
    difference: float | None = Field(None, description="of that output, the largest")
    tolerance: float | None = None
    p50_ms: float | None = Field(None, description="median latency of one invocation here")
    reason: str = Field("", description="why it did not load, did not run, or did not answer")

    @property
    def answered(self) -> bool:
        """Whether what ran it said anything: it did not die, or hang."""
        return bool(self.python or self.browser)

    @property
    def holds(self) -> bool:
        """Whether it loads, and answers as recorded."""
        return self.loads and self.agrees

    @property
    def fault(self) -> str:
        """What is wrong where it does not hold."""
        if self.difference is not None:
            return (
                f"{self.output!r} is off by {self.difference:g}, and {self.tolerance:g} is allowed"
            )
        return f"{self.failure}: {self.reason}"

    @property
    def failure(self) -> str:
        """What came of a run that ended without outputs."""
        if not self.answered:
            return "gives no answer"
        return "fails on the samples" if self.loads else "does not load"


class RuntimeRuns(Record):
    """Files on releases, as the cache keeps them."""

    runs: tuple[RuntimeRun, ...]


class RuntimeMatrix(Record):
    """What `edgepack runtimes` found. Passed only if every file holds on every release."""

    path: str
    sha256: str = Field(description="of the bundle")
    name: str
    version: str
    count: int = Field(description="invocations of each file")
    threads: int
    runs: tuple[RuntimeRun, ...]

    @property
    def passed(self) -> bool:
        """Whether every file loads and agrees on every release."""
        return all(one.holds for one in self.runs)
