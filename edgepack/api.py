"""The Python interface: what `import edgepack` offers. The command line is a thin layer over it."""

from __future__ import annotations

import importlib.util
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from os import PathLike

    from edgepack.pipeline.build import Request
    from edgepack.records.events import Event
    from edgepack.records.facts import SavedModelFacts, TFLiteFacts
    from edgepack.records.manifest import Manifest
    from edgepack.records.report import BuildResult
    from edgepack.records.search import Sensitivity
    from edgepack.records.settings import Settings
    from edgepack.records.verification import Verification

BUILD_PARTS = {  # module: distribution
    "tensorflow": "tensorflow",
    "ai_edge_litert": "ai-edge-litert",
    "litert_quantizer": "litert-quantizer",
    "numpy": "numpy",
    "PIL": "pillow",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
}


def build(  # noqa: PLR0913 - each is an option of its own
    config: str | PathLike[str] | Settings,
    *,
    baseline: str | PathLike[str] | None = None,
    strict: bool = False,
    allow_failed: bool = False,
    cache: str | PathLike[str] | None = None,
    no_cache: bool = False,
    verbose: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> BuildResult:
    """Convert, quantize, measure, judge, and leave a bundle and its reports behind.

    A build that the gate refuses is returned, not raised: its `passed` is False, its reports are
    written, and its bundle is withheld unless `allow_failed`.

    Args:
        config: an `edgepack.toml`, or settings with absolute paths.
        baseline: bundle of an earlier release, to compare with.
        strict: a check that the samples cannot decide fails the build.
        allow_failed: write the bundle all the same, marked as failed in its manifest.
        cache: directory of stage results; EDGEPACK_CACHE or the user's cache directory by default.
        no_cache: neither take stage results from a cache nor keep them.
        verbose: let what TensorFlow and the interpreters print reach stderr.
        on_event: takes what the build says of its progress, from several threads.

    Returns:
        What was built, with the paths of what was written.

    Raises:
        EdgepackError: what stopped the build before it could be judged.
    """
    _require_build_parts()
    from edgepack.pipeline.build import build as run

    with _request(_settings(config), cache, on_event, no_cache=no_cache) as request:
        asked = replace(
            request,
            baseline=Path(baseline) if baseline else None,
            strict=strict,
            allow_failed=allow_failed,
            verbose=verbose,
        )
        return run(asked)


def sensitivity(
    config: str | PathLike[str] | Settings,
    *,
    curve: bool = False,
    cache: str | PathLike[str] | None = None,
    no_cache: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> Sensitivity:
    """Measure what int8 does to each group of layers, without building or judging anything.

    Args:
        config: an `edgepack.toml`, or settings with absolute paths.
        curve: whether to calibrate with fewer samples too, and say what each number gives.
        cache: directory of stage results; EDGEPACK_CACHE or the user's cache directory by default.
        no_cache: neither take stage results from a cache nor keep them.
        on_event: takes what is said of progress, from several threads.

    Raises:
        EdgepackError: what stopped it, such as a model that no engine can quantize.
    """
    _require_build_parts()
    from edgepack.pipeline.sensitivity import sensitivity as run

    with _request(_settings(config), cache, on_event, no_cache=no_cache) as request:
        return run(request, curve=curve)


@contextmanager
def _request(
    settings: Settings,
    cache: str | PathLike[str] | None,
    on_event: Callable[[Event], None] | None,
    *,
    no_cache: bool,
) -> Iterator[Request]:
    from edgepack.cache import Cache, default_root
    from edgepack.pipeline.build import Request
    from edgepack.pipeline.session import SCRATCH

    with ExitStack() as stack:
        root = Path(cache) if cache else default_root()
        if no_cache:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=SCRATCH)))
        yield Request(settings=settings, cache=Cache(root), emit=on_event or _ignore)


def verify(bundle: str | PathLike[str]) -> Verification:
    """Check every byte of a bundle against its manifest. Needs neither TensorFlow nor NumPy.

    Raises:
        VerificationError: it is not whole; lists every difference.
        UsageError: there is no such file.
    """
    from edgepack.bundle.verify import verify as run

    return run(Path(bundle))


def inspect(
    path: str | PathLike[str], *, identity: bool = False
) -> SavedModelFacts | TFLiteFacts | Manifest:
    """Read a SavedModel directory, a .tflite file or a bundle, without running or trusting it.

    Args:
        path: where it lies.
        identity: whether to digest what a SavedModel computes, which reads all of its weights.

    Raises:
        UsageError: it is none of these.
        EdgepackError: it is one of these, and damaged.
    """
    from edgepack.inspection import inspect as run

    return run(Path(path), identity=identity)


def _settings(config: str | PathLike[str] | Settings) -> Settings:
    from edgepack.config import settings
    from edgepack.records.settings import Settings

    return config if isinstance(config, Settings) else settings.load(Path(config))


def _require_build_parts() -> None:
    """Look for what building takes, without importing it.

    Raises:
        MissingExtraError: names what is missing, and how to install it.
    """
    missing = [name for part, name in BUILD_PARTS.items() if not importlib.util.find_spec(part)]
    if missing:
        raise MissingExtraError(
            f"building needs {', '.join(missing)}, not installed here",
            hint='Install it with: pip install "edgepack[build]"',
        )


def _ignore(_: Event) -> None:
    """What becomes of events that nobody wants."""
