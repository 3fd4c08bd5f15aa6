"""What a build is going to do, wholly read and checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import contract, targets
from edgepack.datasets import spec as dataset_spec
from edgepack.pipeline import describing, exporting, sources
from edgepack.pipeline.versions import installed

if TYPE_CHECKING:
    from edgepack.pipeline.exporting import Found
    from edgepack.pipeline.session import Session
    from edgepack.pipeline.versions import Versions
    from edgepack.records.contract import Contract
    from edgepack.records.dataset import DatasetSpec
    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.settings import Settings
    from edgepack.records.stages import SourceModel
    from edgepack.records.target import Target
    from edgepack.records.tensors import Signature


@dataclass(frozen=True)
class Plan:
    """One build: what was asked, and what was read of model, dataset and targets."""

    settings: Settings
    spec: DatasetSpec
    root: Path
    found: Found
    signature: Signature
    source: SourceModel
    targets: tuple[Target, ...]
    contract: Contract | None
    versions: Versions

    @property
    def facts(self) -> SavedModelFacts:
        """What is known of the model as the user has it."""
        return self.found.facts


def make(session: Session, settings: Settings) -> Plan:
    """Read everything a build needs; the repaired private copy of the model is the session's.

    Raises:
        EdgepackError: whatever is wrong with model, dataset spec, targets or installation.
    """
    spec_path = Path(settings.dataset)
    spec = dataset_spec.load(spec_path)
    versions = installed(settings.latency.runtime)
    found = exporting.find(session, settings)
    facts = found.facts
    signature = sources.signature(facts, settings.model)
    sources.require_safe(facts, signature, settings.model)
    source = sources.source(found, signature, settings.model, session.work / "source")
    describing.require_one_signature(settings, source)
    return Plan(
        settings=settings,
        spec=spec,
        root=spec_path.parent,
        found=found,
        signature=signature,
        source=source,
        targets=targets.load_each(settings.targets),
        contract=contract.read(Path(settings.model.contract)) if settings.model.contract else None,
        versions=versions,
    )
