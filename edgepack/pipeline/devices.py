"""What is known of each file on the devices that targets stand for, added to its evidence."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.delegates import lists
from edgepack.delegates.fit import fit as delegated
from edgepack.edgetpu.fit import fit as edgetpu
from edgepack.errors import OutputError
from edgepack.micro import measured
from edgepack.micro.fit import check
from edgepack.micro.operators import operators
from edgepack.pipeline.releases import FOLDER
from edgepack.records.micro import ArenaSize
from edgepack.runtimes.environment import Environments
from edgepack.tflite import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.pipeline.measuring import Measured
    from edgepack.pipeline.plan import Plan
    from edgepack.pipeline.session import Session
    from edgepack.records.delegates import DelegateFit
    from edgepack.records.edgetpu import EdgeTpuFit
    from edgepack.records.evidence import VariantEvidence
    from edgepack.records.micro import MicroFit
    from edgepack.records.target import Target

ARENA = "arena"
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
        "micro": _micro(session, plan, one, file),
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
    if not found.compiled:
        _clear(target)
    return found.model_copy(update={"path": variant})  # the report goes to other machines


def _clear(compiled: Path) -> None:
    """Remove what an earlier build compiled: it would pass for this one's."""
    try:
        compiled.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot be removed: {error.strerror}", where=compiled) from error


def _micro(session: Session, plan: Plan, one: VariantEvidence, file: Path) -> MicroFit | None:
    """None where no target is one."""
    if not any(map(is_micro, plan.targets)):
        return None
    return check(file, _arena(session, one, file))


def _arena(session: Session, one: VariantEvidence, file: Path) -> ArenaSize:
    """Measured once; an estimate only until it can be measured, or where the file is refused."""
    release = operators().runtime
    key = {"model": one.sha256, "release": str(release), "machine": platform.machine()}

    def make(_: Path) -> ArenaSize:
        session.tell(ARENA, f"measuring the tensor arena of {one.variant}")
        return measured.arena(file, Environments(session.cache.root / FOLDER))

    found = session.cache.stage(ARENA, key, ArenaSize, make, _is_told)[0]
    if not _is_told(found):
        session.warn(ARENA, f"{one.variant}: estimated, not measured: {found.reason}")
    return found


def _is_told(found: ArenaSize) -> bool:
    """Whether TFLite Micro itself said it, or that it does not take the file."""
    return found.method == "measured" or bool(found.refused)


def is_micro(target: Target) -> bool:
    """Whether TensorFlow Lite Micro is what runs there."""
    return target.platform == "microcontroller" or target.max_arena_bytes is not None
