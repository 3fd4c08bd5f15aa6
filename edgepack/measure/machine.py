"""Which machine the measurements are of."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from edgepack.records.evidence import Machine

CPUINFO = Path("/proc/cpuinfo")
TELLING = ("avx", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "fma", "f16c", "sse4_1")
TELLING_ARM = ("asimd", "asimddp", "i8mm", "fphp", "asimdhp", "sve")


def machine() -> Machine:
    """CPU model, cores, the flags that kernels are chosen by, system and Python."""
    fields = _cpuinfo()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return Machine(
        cpu=fields.get("model name") or platform.processor() or platform.machine(),
        cores=os.cpu_count() or 1,
        flags=tuple(flag for flag in (*TELLING, *TELLING_ARM) if flag in flags),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )


def _cpuinfo() -> dict[str, str]:
    """The first processor's fields of /proc/cpuinfo; none where there is no such file."""
    try:
        first = CPUINFO.read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
