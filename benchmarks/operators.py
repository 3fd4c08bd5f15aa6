"""Ask releases of runtimes which operators they register, and write the tables of edgepack.compat.

usage: operators.py [PACKAGE ...]
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.cache import default_root
from edgepack.compat.registered import TABLES
from edgepack.runtimes import running
from edgepack.runtimes.environment import Environments
from edgepack.runtimes.requirement import Requirement

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import kernel_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.runtimes.running import Versions

# Every final release with a wheel for x86-64 Linux; of TensorFlow the first of each minor version,
# as later ones mend faults and register the same.
LITERT = """
1.0.0 1.0.1 1.1.0 1.1.1 1.1.2 1.2.0 1.3.0 1.4.0 2.0.2 2.0.3 2.1.0 2.1.1 2.1.2 2.1.3 2.1.4 2.1.5
2.1.6 2.2.0 2.3.0
"""
TFLITE = "2.7.0 2.8.0 2.9.1 2.10.0 2.11.0 2.12.0 2.13.0 2.14.0"
TENSORFLOW = """
1.13.1 1.14.0 1.15.0 2.0.0 2.1.0 2.2.0 2.3.0 2.4.0 2.5.0 2.6.0 2.7.0 2.8.0 2.9.0 2.10.0 2.11.0
2.12.0 2.13.0 2.14.0 2.15.0 2.16.1 2.17.0 2.18.0 2.19.0 2.20.0 2.21.0
"""
RELEASES = {"ai-edge-litert": LITERT, "tflite-runtime": TFLITE, "tensorflow": TENSORFLOW}
WHOLE = {"ai-edge-litert"}  # from its first release on
SMALLER = {"tensorflow": "tensorflow-cpu"}  # with the same interpreter
NOT_SMALLER = {"1.13.1", "1.14.0", "2.0.0"}  # releases that there is one package of


def main() -> None:
    environments = Environments(default_root() / "runtimes")
    for package in sys.argv[1:] or RELEASES:
        asked: dict[str, Answer] = {}
        for release in RELEASES[package].split():
            name = package if release in NOT_SMALLER else SMALLER.get(package, package)
            wanted = Requirement(name, release)
            asked[release] = answer(environments.python(wanted))
            print(f"{wanted}: {asked[release]}", flush=True)
        (TABLES / f"{package}.toml").write_text(table(package, asked), encoding="utf-8")


@dataclass(frozen=True)
class Answer:
    """What one release registers, and what of the kernels it computes right."""

    versions: Versions
    right: frozenset[str]

    def __str__(self) -> str:
        return f"{sum(map(len, self.versions.values()))} versions, {', '.join(self.right) or '-'}"


def answer(python: Path) -> Answer:
    with tempfile.TemporaryDirectory() as directory:
        right = (
            name
            for name, kind in kernel_files.KINDS.items()
            if kernel_files.right(python, kind, Path(directory))
        )
        return Answer(running.registered(python), frozenset(right))


def table(package: str, asked: dict[str, Answer]) -> str:
    """The table, as TOML."""
    names = sorted({name for found in asked.values() for name in found.versions})
    lines = [
        f"# What releases of {package} register, as they said themselves: written by",
        "# `make operators`. For each operator the releases that its versions 1, 2, ... are there",
        "# from on; empty where the newest release does not have one.",
        f'package = "{package}"',
        f'measured = "{datetime.now(tz=UTC).date()}"',
        f"releases = {json.dumps(list(asked))}",
        f"whole = {json.dumps(package in WHOLE)}",
        "",
        "# What no version says, by files whose answers are known.",
        "[computes]",
        *(f'"{name}" = "{right(asked, name)}"' for name in kernel_files.KINDS),
        "",
        "[since]",
        *(f"{name} = {json.dumps(since(asked, name))}" for name in names),
    ]
    return "\n".join(lines) + "\n"


def since(asked: dict[str, Answer], name: str) -> list[str]:
    """By version, the first release from which on all have it."""
    last = max(max(found.versions.get(name, [0])) for found in asked.values())
    return [
        first(asked, lambda found, v=version: v in found.versions.get(name, ()))
        for version in range(1, last + 1)
    ]


def right(asked: dict[str, Answer], name: str) -> str:
    """The first release from which on all compute it right."""
    return first(asked, lambda found: name in found.right)


def first(asked: dict[str, Answer], holds: Callable[[Answer], bool]) -> str:
    holding = takewhile(lambda release: holds(asked[release]), reversed(asked))
    return deque(holding, maxlen=1)[0] if holds(list(asked.values())[-1]) else ""


if __name__ == "__main__":
    main()
