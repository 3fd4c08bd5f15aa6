"""Which release of which runtime is asked for: `tflite-runtime==2.14.0`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name
from packaging.version import Version

from edgepack.errors import UsageError

Kind = Literal["python", "browser"]
MICRO = "tflite-micro"
PYTHON = ("ai-edge-litert", "tflite-runtime", "tensorflow", "tensorflow-cpu", MICRO)
LITERTJS = "@litertjs/core"
PLAIN = "litertjs"  # the same, for those who read requirements as Python does
PACKAGES = (*PYTHON, LITERTJS)
HINT = "Such as tflite-runtime==2.14.0, ai-edge-litert==1.0.1 or @litertjs/core==2.5.3."


@dataclass(frozen=True, order=True)
class Requirement:
    """One release of one package.

    Args:
        package: its name on the Python package index, or npm's.
        version: of the release.
    """

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"

    @property
    def kind(self) -> Kind:
        """What runs it."""
        return "browser" if self.package == LITERTJS else "python"

    @property
    def folder(self) -> str:
        """The release as the name of a directory."""
        return f"{self.package.removeprefix('@').replace('/', '-')}-{self.version}"

    @property
    def companions(self) -> tuple[str, ...]:
        """What is installed beside it, as releases do not say what they are too old for."""
        if self.package == MICRO:
            return ()  # it takes any NumPy
        old = self.package.startswith("tensorflow") and Version(self.version) < Version("2.12")
        return ("numpy<1.24", "protobuf<3.20") if old else ("numpy<2",)


def parse(text: str) -> Requirement:
    """A requirement that names one release.

    Raises:
        UsageError: it does not, or of something that is no runtime.
    """
    try:
        found = Parsed(_plain(text))
    except InvalidRequirement as error:
        raise UsageError(f"{text!r} is no requirement", hint=HINT) from error
    plain, pins = canonicalize_name(found.name), list(found.specifier)
    name = LITERTJS if plain == PLAIN else str(plain)
    if name not in PACKAGES:
        raise UsageError(f"{found.name} is no runtime known here", hint=_known())
    if len(pins) != 1 or pins[0].operator != "==" or pins[0].version.endswith("*"):
        raise UsageError(f"{text!r} does not name one release", hint=HINT)
    if found.extras or found.marker or found.url:
        raise UsageError(f"{text!r} says more than a release", hint=HINT)
    return Requirement(name, pins[0].version)


def _plain(text: str) -> str:
    """Without what names of npm have, and Python's have not."""
    return PLAIN + text.removeprefix(LITERTJS) if text.startswith(LITERTJS) else text


def _known() -> str:
    return f"Known are {', '.join(PACKAGES)}."
