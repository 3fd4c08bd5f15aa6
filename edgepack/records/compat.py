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
    "litert-swift",
    "litertjs",
    "play-services-tflite",
]
Proven = Literal["run", "read", "taken"]
RemedyProven = Literal["run", "read", ""]
# What an app links, and whose releases its version counts. Of Google Play services' numbering
# nothing is known beyond its name (compat/numberings.toml): no least release is in it.
ARTIFACTS: dict[str, Numbering] = {
    "tensorflow": "tensorflow",
    "org.tensorflow:tensorflow-lite": "tensorflow-lite-maven",
    "TensorFlowLiteSwift": "tensorflow-lite-swift",
    "TensorFlowLiteC": "tensorflow-lite-swift",
    "TensorFlowLiteObjC": "tensorflow-lite-swift",
    "tflite-runtime": "tflite-runtime",
    "ai-edge-litert": "ai-edge-litert",
    "com.google.ai.edge.litert:litert": "litert-maven",
    "google-ai-edge/LiteRT": "litert-swift",
    "@litertjs/core": "litertjs",
    "com.google.android.gms:play-services-tflite-java": "play-services-tflite",
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
    lost: tuple[str, ...] = Field(
        (), description="releases before it that lack what decides, though an older one has it"
    )
    proven: Proven = Field(
        description="run: the releases themselves were asked, this one and the one before it; "
        "read: not the one before it; taken: those of another package, which is built from the "
        "same sources under the same number"
    )
    remedy: str = Field(
        "", description="what would lower it, or that nothing is known; empty where nothing decides"
    )
    remedy_proven: RemedyProven = Field(
        "", description="run: a test builds a model both ways; read: it was not built"
    )


class Share(Record):
    """How much of what is known of a package's releases is proven by running."""

    package: str
    rows: int = Field(description="operators by version, and what is asked beyond a version")
    run: int = Field(description="of them: the first release that has it and the one before it ran")
    read: int = Field(description="the rest")
    deciding: int = Field(description="rows that an older release was found not to have")
    deciding_run: int = Field(description="of them proven by running")
