"""Which release of which runtime is asked for: `tflite-runtime==2.14.0`."""

from __future__ import annotations

from dataclasses import dataclass

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name
from packaging.version import Version

from edgepack.errors import UsageError

MICRO = "tflite-micro"
PACKAGES = ("ai-edge-litert", "tflite-runtime", "tensorflow", "tensorflow-cpu", MICRO)
HINT = "Such as tflite-runtime==2.14.0 or ai-edge-litert==1.0.1."


@dataclass(frozen=True, order=True)
class Requirement:
    """One release of one package.

    Args:
        package: its name on the Python package index.
        version: of the release.
    """

    package: str
    version: str

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"

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
        found = Parsed(text)
    except InvalidRequirement as error:
        raise UsageError(f"{text!r} is no requirement", hint=HINT) from error
    name, pins = canonicalize_name(found.name), list(found.specifier)
    if name not in PACKAGES:
        raise UsageError(f"{found.name} is no runtime known here", hint=_known())
    if len(pins) != 1 or pins[0].operator != "==" or pins[0].version.endswith("*"):
        raise UsageError(f"{text!r} does not name one release", hint=HINT)
    if found.extras or found.marker or found.url:
        raise UsageError(f"{text!r} says more than a release", hint=HINT)
    return Requirement(name, pins[0].version)


def _known() -> str:
    return f"Known are {', '.join(PACKAGES)}."
