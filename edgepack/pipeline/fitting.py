"""Files held against target profiles, without running them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import formats, targets
from edgepack.bundle import archive, verify
from edgepack.bundle import reader as bundles
from edgepack.compat.fit import fit
from edgepack.compat.least import least
from edgepack.errors import UsageError
from edgepack.pipeline.session import SCRATCH
from edgepack.records.target import Candidate, TargetFits
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Sequence


def fits(path: Path, wanted: Sequence[str] = ()) -> TargetFits:
    """Hold a .tflite file, or every file of a bundle, against profiles.

    What only running tells (peak memory, releases of `runtimes`) stays unchecked.

    Args:
        path: the file.
        wanted: names of built-in profiles, or paths; none for all that are built in.

    Raises:
        ConfigError: there is no such profile, or it says something that is not allowed.
        UsageError: the path is neither a .tflite nor a bundle.
        ModelError: it is a damaged .tflite.
        VerificationError: it is a bundle, and not whole.
    """
    profiles = tuple(map(targets.load, wanted)) or targets.load_all()
    found = formats.recognise(path)
    if found.kind == "bundle":
        offered = _of_bundle(path)
    elif found.kind == "tflite":
        offered = (_candidate(path, path.stem),)
    else:
        raise UsageError(
            "it is neither a .tflite file nor a bundle",
            where=path,
            hint="edgepack build makes both of a SavedModel; targets name them in edgepack.toml.",
        )
    pairs = ((target, one) for target in profiles for one in offered)
    return TargetFits(path=str(path), fits=tuple(fit(target, one) for target, one in pairs))


def _candidate(path: Path, name: str) -> Candidate:
    facts = reader.read(path)
    return Candidate(variant=name, facts=facts, least_releases=least(facts.asked, facts.kernels))


def _of_bundle(path: Path) -> tuple[Candidate, ...]:
    """Its files, once every byte has been checked."""
    with (
        bundles.opened(path) as file,
        tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch,
    ):
        found = verify.check(file, path)
        models = found.manifest.models
        archive.unpack(file, (found.entries[one.path] for one in models), Path(scratch))
        return tuple(_candidate(Path(scratch) / one.path, one.variant) for one in models)
