"""What is known of each file on the devices that targets stand for, added to its evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.delegates import lists
from edgepack.delegates.fit import fit as delegated
from edgepack.edgetpu.fit import fit as edgetpu
from edgepack.tflite import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.pipeline.measuring import Measured
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.delegates import DelegateFit
    from edgepack.records.edgetpu import EdgeTpuFit
    from edgepack.records.evidence import VariantEvidence
    from edgepack.records.target import Target

COMPILED = "edgetpu"  # directory below the output: files of edgetpu_compiler's


def look(session: Session, plan: Plan, measured: Measured) -> Measured:
    """Hold every variant against what its targets run it on.

    Raises:
        OutputError: what a device's compiler makes cannot be written.
    """
    files = {one.evidence.variant: Path(one.file.path) for one in measured.built}
    variants = tuple(
        _seen(session, plan, one, files[one.variant]) for one in measured.evidence.variants
    )
    return replace(measured, evidence=measured.evidence.model_copy(update={"variants": variants}))


def _seen(session: Session, plan: Plan, one: VariantEvidence, file: Path) -> VariantEvidence:
    found = {
        "delegates": delegate_fits(file, plan.targets),
        "edgetpu": _edgetpu(session, plan, one.variant, file),
    }
    return one.model_copy(update=found)


def delegate_fits(file: Path, targets: Iterable[Target]) -> tuple[DelegateFit, ...]:
    """What each delegate that a target names would take of a file, by its published list.

    Raises:
        ModelError: it is not a whole .tflite.
        ConfigError: there is no list of that name.
    """
    names = dict.fromkeys(name for target in targets for name in target.delegates)
    if not names:
        return ()
    graphs = subgraphs.read(file)
    return tuple(delegated(graphs, lists.load(name)) for name in names)


def _edgetpu(session: Session, plan: Plan, variant: str, file: Path) -> EdgeTpuFit | None:
    """None where no target is one."""
    if not any(target.platform == "edgetpu" for target in plan.targets):
        return None
    session.tell(COMPILED, f"holding {variant} against the Edge TPU")
    target = Path(plan.settings.output) / COMPILED / f"{variant}_edgetpu.tflite"
    found = edgetpu(file, target)
    return found.model_copy(update={"path": variant})  # the report goes to other machines
