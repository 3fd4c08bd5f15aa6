"""Versions of the tools that builds use, as installed."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from edgepack.errors import MissingExtraError

TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-macos")


@dataclass(frozen=True)
class Versions:
    """Versions of the tools that this build will use, as installed."""

    edgepack: str
    python: str
    tensorflow: str
    quantizer: str
    runtime: str
    numpy: str
    pillow: str
    scipy: str
    scikit_learn: str


def installed(runtime: str) -> Versions:
    """The versions of the build extra's parts.

    Raises:
        MissingExtraError: one of them is not there.
    """
    return Versions(
        edgepack=version("edgepack"),
        python=platform.python_version(),
        tensorflow=_version(*TENSORFLOW),
        quantizer=f"litert-quantizer {_version('litert-quantizer')}",
        runtime=f"{runtime} {_version(runtime)}",
        numpy=_version("numpy"),
        pillow=_version("pillow"),
        scipy=_version("scipy"),
        scikit_learn=_version("scikit-learn"),
    )


def _version(*names: str) -> str:
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    hint = 'Install what builds need with: pip install "edgepack[build]"'
    if names == ("tflite-runtime",):
        hint = "It has wheels for Python 3.11 and older only; use latency.runtime = ai-edge-litert."
    raise MissingExtraError(f"{names[0]} is not installed", hint=hint)


def tensorflow_version() -> str:
    """TensorFlow's, whatever distribution it came in.

    Raises:
        MissingExtraError: it is not there.
    """
    return _version(*TENSORFLOW)
