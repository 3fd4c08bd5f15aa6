"""The last release's models, run again beside the new ones on the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack import contract
from edgepack.bundle import archive, reader, verify
from edgepack.pipeline import judging, running
from edgepack.records.evidence import BaselineEvidence
from edgepack.records.stages import ModelFile

if TYPE_CHECKING:
    from pathlib import Path

    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.variants import Built
    from edgepack.records.dataset import SplitData
    from edgepack.records.evidence import Drop
    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.records.stages import TFLiteModel


@dataclass(frozen=True)
class Release:
    """A verified bundle whose models lie unpacked beside it."""

    bundle: Path
    manifest: Manifest
    directory: Path

    def entry(self, variant: str) -> ModelEntry | None:
        """The model of one variant, if that release had it."""
        return next((m for m in self.manifest.models if m.variant == variant), None)


@dataclass(frozen=True)
class Rerun:
    """One old variant, ready to be timed beside the new one."""

    evidence: BaselineEvidence
    model: TFLiteModel | None


def load(bundle: Path, directory: Path) -> Release:
    """Verify a bundle and unpack its models.

    Raises:
        VerificationError: the bundle is not whole.
    """
    with reader.opened(bundle) as file:
        found = verify.check(file, bundle)
        archive.unpack(file, found.entries.values(), directory)
    return Release(bundle, found.manifest, directory)


def rerun(session: Session, plan: Plan, release: Release, built: Built, split: SplitData) -> Rerun:
    """Run one old variant on the samples the new one was judged on."""
    variant = built.evidence.variant
    entry = release.entry(variant)
    if entry is None:
        return Rerun(_evidence(release, built, None), None)
    path = str(release.directory / entry.path)
    file = ModelFile(variant=variant, path=path, sha256=entry.digest.sha256)
    changes = _changes(entry, built)
    if changes:
        return Rerun(_evidence(release, built, entry, changes=changes), None)
    model = running.runnable(plan, file, built.model.signature, stateful=entry.stateful)
    before, after = (running.outputs(session, plan, m, split) for m in (model, built.model))
    drops = judging.compare(session, plan, split, after, before)
    return Rerun(_evidence(release, built, entry, drops=drops), model)


def _changes(entry: ModelEntry, built: Built) -> tuple[str, ...]:
    name = built.model.signature
    old, new = (
        next((signature for signature in side if signature.name == name), None)
        for side in (entry.signatures, built.facts.signatures)
    )
    return contract.changes(old, new) if old and new else (f"signature {name} is new",)


def _evidence(
    release: Release,
    built: Built,
    entry: ModelEntry | None,
    *,
    changes: tuple[str, ...] = (),
    drops: tuple[Drop, ...] = (),
) -> BaselineEvidence:
    return BaselineEvidence(
        bundle=release.bundle.name,
        name=release.manifest.name,
        version=release.manifest.version,
        variant=built.evidence.variant,
        sha256=entry.digest.sha256 if entry else "",
        size_bytes=entry.size_bytes if entry else 0,
        drops=drops,
        signature_changes=changes,
    )
