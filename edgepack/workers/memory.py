"""The machine's memory: how much a worker may have of it, and whether the kernel ran out."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

# Of the machine's memory. What the limit counts (RLIMIT_DATA: private writable pages) stays below
# what a worker really touches: 0.7 GB where TensorFlow has 0.9 resident and 2.8 reserved.
SHARE = 0.8
# Of a container: version 2 and 1 of Linux' control groups, as they are mounted in it.
CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
VMSTAT = Path("/proc/vmstat")  # https://docs.kernel.org/admin-guide/cgroup-v2.html: oom_kill


def default_limit() -> int:
    """Bytes of data memory that one worker may use where the user names no limit."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(SHARE * min([physical, *map(_container_limit, CONTAINER_LIMITS)]))


def _container_limit(file: Path) -> float:
    with suppress(OSError, ValueError):  # absent, or "max"
        return int(file.read_text())
    return float("inf")


def out_of_memory_kills() -> int:
    """Processes that Linux killed since it started, because memory ran out; 0 elsewhere."""
    with suppress(OSError):
        if found := re.search(r"^oom_kill (\d+)$", VMSTAT.read_text(), re.MULTILINE):
            return int(found[1])
    return 0
