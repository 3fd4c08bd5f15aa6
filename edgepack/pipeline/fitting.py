"""Files held against target profiles, without running them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import formats, targets
from edgepack.compat.fit import fit
from edgepack.compat.least import least
from edgepack.errors import UsageError
from edgepack.micro.fit import check
from edgepack.pipeline import unpacking
from edgepack.pipeline.devices import delegate_fits, is_micro
from edgepack.records.target import Candidate, TargetFits
from edgepack.tflite import reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgepack.records.target import Target, TargetFit


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
    profiles = targets.load_each(wanted) or targets.load_all()
    with _offered(path) as offered:
        pairs = ((target, one) for target in profiles for one in offered)
        return TargetFits(path=str(path), fits=tuple(_fit(target, one) for target, one in pairs))


def _fit(target: Target, one: Candidate) -> TargetFit:
    path = Path(one.facts.path)
    found = fit(target, one.model_copy(update={"micro": check(path) if is_micro(target) else None}))
    return found.model_copy(update={"delegates": delegate_fits(path, (target,))})


@contextmanager
def _offered(path: Path) -> Iterator[tuple[Candidate, ...]]:
    """The file, or those of a bundle as long as they are unpacked."""
    found = formats.recognise(path)
    if found.kind == "bundle":
        with unpacking.held(path) as bundle:
            models = bundle.found.manifest.models
            bundle.unpack(one.path for one in models)
            yield tuple(_candidate(bundle.root / one.path, one.variant) for one in models)
    elif found.kind == "tflite":
        yield (_candidate(path, path.stem),)
    else:
        raise UsageError(
            "it is neither a .tflite file nor a bundle",
            where=path,
            hint="edgepack build makes both of a SavedModel; targets name them in edgepack.toml.",
        )


def _candidate(path: Path, name: str) -> Candidate:
    facts = reader.read(path)
    return Candidate(variant=name, facts=facts, least_releases=least(facts.asked, facts.kernels))
