"""Peak memory of one inference, in a process of its own. Runs in a worker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.engines.arrays import first_batch
from edgepack.engines.interpreter import MODULES, open_session
from edgepack.records.evidence import Memory

if TYPE_CHECKING:
    from edgepack.records.dataset import SplitData
    from edgepack.records.stages import TFLiteModel

STATUS = Path("/proc/self/status")
KIB = 1024


def measure_memory(model: TFLiteModel, split: SplitData) -> Memory | None:
    """Peak resident memory of loading, allocating and one inference; None off Linux.

    Must be a fresh process's only call: memory that an earlier model freed would be used again.
    VmHWM minus the RSS before loading repeats within kilobytes, which ru_maxrss, inherited from
    the parent, does not.
    """
    if not STATUS.exists():
        return None
    __import__(MODULES[model.runtime])
    sample = first_batch(split, 1)
    before = _status_bytes("VmRSS")
    session = open_session(model, split)
    session(sample if session.batch == 1 else first_batch(split, session.batch))
    peak = _status_bytes("VmHWM") - before
    return Memory(peak_bytes=max(0, peak), method="VmHWM minus VmRSS before loading")


def _status_bytes(field: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * KIB
    raise OSError(f"{STATUS} has no {field}")
