"""What a build is going to do, wholly read and checked before anything runs."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack import contract, targets
from edgepack.datasets import spec as dataset_spec
from edgepack.errors import MissingExtraError
from edgepack.pipeline import sources
from edgepack.savedmodel import reader

if TYPE_CHECKING:
    from edgepack.records.contract import Contract
    from edgepack.records.dataset import DatasetSpec
    from edgepack.records.facts import SavedModelFacts
    from edgepack.records.settings import Settings
    from edgepack.records.stages import SourceModel
    from edgepack.records.target import Target
    from edgepack.records.tensors import Signature

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


@dataclass(frozen=True)
class Plan:
    """One build: what was asked, and what was read of model, dataset and targets."""

    settings: Settings
    spec: DatasetSpec
    root: Path
    facts: SavedModelFacts
    signature: Signature
    source: SourceModel
    targets: tuple[Target, ...]
    contract: Contract | None
    versions: Versions


def make(settings: Settings, work: Path) -> Plan:
    """Read everything a build needs; the repaired private copy of the model goes below `work`.

    Raises:
        EdgepackError: whatever is wrong with model, dataset spec, targets or installation.
    """
    facts = reader.read(Path(settings.model.path), settings.model.tags)
    signature = sources.signature(facts, settings.model)
    sources.require_safe(facts, signature, settings.model)
    spec_path = Path(settings.dataset)
    spec = dataset_spec.load(spec_path)
    return Plan(
        settings=settings,
        spec=spec,
        root=spec_path.parent,
        facts=facts,
        signature=signature,
        source=sources.source(facts, signature, settings.model, work / "source"),
        targets=tuple(targets.load(name) for name in settings.targets),
        contract=contract.read(Path(settings.model.contract)) if settings.model.contract else None,
        versions=installed(settings.latency.runtime),
    )


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
