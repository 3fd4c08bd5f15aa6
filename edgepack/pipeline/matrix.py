"""Runs the variants of a bundle on releases of runtimes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgepack.cache import default_root
from edgepack.errors import MissingExtraError, UsageError
from edgepack.pipeline import releases
from edgepack.pipeline.releases import FOLDER, File, Manner, Recording
from edgepack.pipeline.unpacking import unpacked
from edgepack.records.runtimes import RuntimeMatrix
from edgepack.runtimes import requirement
from edgepack.runtimes.environment import Environments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgepack.pipeline.unpacking import Unpacked


@dataclass(frozen=True)
class Asked:
    """What is to be run, and on what.

    Args:
        bundle: the file, with golden vectors.
        runtimes: such as tflite-runtime==2.14.0.
        variants: names; none for all that have vectors.
        threads: of each interpreter.
        jobs: how many run at a time; more than one disturbs latency.
        offline: take only what was installed before.
        cache: keeps the environments; None for the user's cache directory.
    """

    bundle: Path
    runtimes: Sequence[str]
    variants: Sequence[str] = ()
    threads: int = 1
    jobs: int = 1
    offline: bool = False
    cache: Path | None = None


def matrix(asked: Asked) -> RuntimeMatrix:
    """Every variant on every release.

    Raises:
        UsageError: no runtime is named, or what is none; the bundle has no vectors.
        VerificationError: the bundle is not whole.
        RuntimeInstallError: a release cannot be installed.
        MissingExtraError: NumPy, which compares, is not installed.
    """
    _require_numpy()
    wanted = tuple(dict.fromkeys(map(requirement.parse, asked.runtimes)))
    if not wanted:
        raise UsageError("no runtime is named", hint=f"{requirement.HINT} Repeat it for several.")
    with unpacked(asked.bundle, asked.variants) as found:
        environments = Environments((asked.cache or default_root()) / FOLDER, asked.offline)
        manner = Manner(asked.threads, asked.jobs)
        runs = releases.run(_recording(found), wanted, environments, manner)
    return RuntimeMatrix(
        path=str(asked.bundle),
        sha256=found.sha256,
        name=found.manifest.name,
        version=found.manifest.version,
        count=found.count,
        threads=asked.threads,
        runs=runs,
    )


def _recording(found: Unpacked) -> Recording:
    files = {
        name: File(found.root / one.path, one.signatures) for name, one in found.models.items()
    }
    return Recording(
        root=found.root,
        count=found.count,
        files=files,
        entries=found.entries,
        scratch=found.root / "answers",
    )


def _require_numpy() -> None:
    """Refuse before anything is installed.

    Raises:
        MissingExtraError: it is not there.
    """
    if not find_spec("numpy"):
        raise MissingExtraError(
            "comparing needs numpy, not installed here", hint="Install it with: pip install numpy"
        )
