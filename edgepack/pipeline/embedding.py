"""A model of a bundle as a C array, once the bundle holds and TFLite Micro can run the model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edgepack.bundle import trust
from edgepack.errors import IncompatibleError, UsageError
from edgepack.micro import carray
from edgepack.micro.fit import check
from edgepack.pipeline import unpacking
from edgepack.records.micro import CModel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgepack.bundle.keys import PublicKey
    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.records.micro import MicroFit

PLATFORM = "microcontroller"


@dataclass(frozen=True)
class Asked:
    """Which model of which bundle.

    Args:
        bundle: the file.
        variant: None for the best one of the targets that are microcontrollers.
        keys: one of them must have signed, where there are any.
    """

    bundle: Path
    variant: str | None = None
    keys: Sequence[PublicKey] = ()


def c_array(asked: Asked) -> dict[str, bytes]:
    """A header and a source by name.

    Raises:
        VerificationError: the bundle is not whole, not signed, expired, or failed its gate.
        UsageError: there is no such file or variant, or none can be chosen.
        IncompatibleError: TFLite Micro cannot run the model.
    """
    with unpacking.held(asked.bundle, asked.keys) as bundle:
        manifest = bundle.found.manifest
        trust.check_gate(manifest, asked.bundle, allowed=False)
        trust.check_day(manifest, asked.bundle, datetime.now(UTC))
        entry = _chosen(manifest, asked)
        bundle.unpack((entry.path,))
        return _files(manifest, entry, bundle.root / entry.path, asked.bundle)


def _files(manifest: Manifest, entry: ModelEntry, path: Path, where: Path) -> dict[str, bytes]:
    fit = check(path)
    _require_fit(fit, entry.variant, where)
    model = CModel(
        name=manifest.name,
        version=manifest.version,
        variant=entry.variant,
        sha256=entry.digest.sha256,
        size_bytes=entry.size_bytes,
        arena=fit.arena,
    )
    return carray.files(model, path.read_bytes())


def _chosen(manifest: Manifest, asked: Asked) -> ModelEntry:
    """The variant that is named, or the one that all microcontrollers take first.

    Raises:
        UsageError: there is none, or several.
    """
    models = {one.variant: one for one in manifest.models}
    best = {
        one.variants[0] for one in manifest.targets if one.platform == PLATFORM and one.variants
    }
    names = {asked.variant} if asked.variant else best
    known = [models[name] for name in sorted(names) if name in models]
    if len(known) == 1:
        return known[0]
    raise UsageError(
        _why_none(asked.variant, best),
        where=asked.bundle,
        hint=f"Name one by --variant: there are {', '.join(models)}.",
    )


def _why_none(variant: str | None, best: set[str]) -> str:
    if variant:
        return f"the bundle has no variant {variant}"
    if best:
        return f"its microcontrollers take different variants first: {', '.join(sorted(best))}"
    return "no target of the bundle is a microcontroller that takes a variant"


def _require_fit(fit: MicroFit, variant: str, where: Path) -> None:
    """Refuse what cannot run.

    Raises:
        IncompatibleError: with every reason.
    """
    reasons = [f"it has no {name}" for name in fit.unsupported] + list(fit.objections)
    if reasons:
        raise IncompatibleError(
            f"TFLite Micro cannot run {variant}: " + "\n  ".join(reasons),
            where=where,
            hint="Export another variant; an int8 one takes the least.",
        )
