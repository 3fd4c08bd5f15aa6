"""Which release of a runtime a file needs at least."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgepack.records.base import Record

Numbering = Literal[
    "tensorflow",
    "tensorflow-lite-maven",
    "tensorflow-lite-swift",
    "tflite-runtime",
    "ai-edge-litert",
    "litert-maven",
]
# What an app links, and whose releases its version counts.
ARTIFACTS: dict[str, Numbering] = {
    "tensorflow": "tensorflow",
    "org.tensorflow:tensorflow-lite": "tensorflow-lite-maven",
    "TensorFlowLiteSwift": "tensorflow-lite-swift",
    "TensorFlowLiteC": "tensorflow-lite-swift",
    "tflite-runtime": "tflite-runtime",
    "ai-edge-litert": "ai-edge-litert",
    "com.google.ai.edge.litert:litert": "litert-maven",
}


class LeastRelease(Record):
    """The first release from which on every one that was tried knows all of a file's operators."""

    numbering: Numbering = Field(description="whose releases are counted")
    release: str | None = Field(description="None: no release that was tried knows them")
    or_earlier: bool = Field(
        False, description="it is the earliest that was tried: an earlier one may do as well"
    )
    operators: tuple[str, ...] = Field(
        (), description="what decides, as NAME version N, or what is asked beyond a version"
    )
    without: str | None = Field(None, description="what would do if it were not for them")
    proven: Literal["run", "taken"] = Field(
        description="run: the releases themselves were asked; taken: those of another package, "
        "which is built from the same sources under the same number"
    )
