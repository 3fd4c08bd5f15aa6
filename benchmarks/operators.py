"""Ask releases of runtimes which operators they register, and write the tables of edgepack.compat.

usage: operators.py [PACKAGE ...]
       operators.py --kernels PACKAGE==RELEASE ...

The second form asks only what the releases compute, and leaves the rest of the table as it is:
each of TensorFlow's is 600 MB.
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
from edgepack.compat import registered
from edgepack.compat.proof import share
from edgepack.compat.registered import TABLES, UNASKED, Registered, versioned
from edgepack.runtimes.environment import Environments
from edgepack.runtimes.requirement import LITERTJS, Requirement
from edgepack.runtimes.runtime import prepared

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import kernel_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
RELEASES = {
    "ai-edge-litert": LITERT,
    "tflite-runtime": TFLITE,
    "litertjs": "0.1.1 0.2.1 2.0.0 2.5.2 2.5.3",  # all that npm has
    "tensorflow": TENSORFLOW,
}
WHOLE = {"ai-edge-litert", "litertjs"}  # from its first release on
NAMES = {"tensorflow": "tensorflow-cpu", "litertjs": LITERTJS}  # the smaller, and npm's
NOT_SMALLER = {"1.13.1", "1.14.0", "2.0.0"}  # releases that there is one package of


def main() -> None:
    environments = Environments(default_root() / "runtimes")
    if "--kernels" in sys.argv[1:2]:
        packages = compute(environments, sys.argv[2:])
    else:
        packages = tuple(sys.argv[1:] or RELEASES)
        for package in packages:
            register(environments, package)
    registered.table.cache_clear()
    for package in packages:
        found = share(package)
        print(
            f"{package}: {found.run} of {found.rows} rows are proven by running; of the "
            f"{found.deciding} that can decide, {found.deciding_run}"
        )


def register(environments: Environments, package: str) -> None:
    """Ask all releases of a package everything."""
    asked: dict[str, Answer] = {}
    for release in RELEASES[package].split():
        wanted = requirement(package, release)
        asked[release] = answer(wanted, environments)
        print(f"{wanted}: {asked[release]}", flush=True)
    write(package, asked, today(), {name: letters(asked, name) for name in kernel_files.KINDS})


def compute(environments: Environments, wanted: list[str]) -> tuple[str, ...]:
    """Ask some releases what they compute, and lay it over what the tables say."""
    asked: dict[str, dict[str, frozenset[str]]] = {}
    for text in wanted:
        package, _, release = text.partition("==")
        found = kernels(environments.python(requirement(package, release)))
        asked.setdefault(package, {})[release] = found
        print(f"{text}: {len(found)} right", flush=True)
    for package, by_release in asked.items():
        overlay(package, by_release)
    return tuple(asked)


def overlay(package: str, right: dict[str, frozenset[str]]) -> None:
    known = registered.table(package)
    computes = {
        name: "".join(
            letter if release not in right else "ny"[name in right[release]]
            for release, letter in zip(known.releases, letters_known(known, name), strict=True)
        )
        for name in kernel_files.KINDS
    }
    changed = known.model_copy(update={"computes": computes, "computed": today()})
    (TABLES / f"{package}.toml").write_text(table(changed), encoding="utf-8")


def letters_known(known: Registered, name: str) -> str:
    return known.computes.get(name, UNASKED * len(known.releases))


def requirement(package: str, release: str) -> Requirement:
    alone = package == "tensorflow" and release in NOT_SMALLER
    name = package if alone else NAMES.get(package, package)
    return Requirement(name, release)


@dataclass(frozen=True)
class Answer:
    """What one release registers, and what of the kernels it computes right."""

    versions: Versions
    right: frozenset[str] | None  # None: it takes other inputs than those files have

    def __str__(self) -> str:
        right = "no" if self.right is None else len(self.right)
        return f"{sum(map(len, self.versions.values()))} versions, {right} kernels right"


def answer(wanted: Requirement, environments: Environments) -> Answer:
    versions = prepared(wanted, environments).registered()
    python = wanted.kind == "python"
    return Answer(versions, kernels(environments.python(wanted)) if python else None)


def kernels(python: Path) -> frozenset[str]:
    """The kinds of layers that a release computes right."""
    with tempfile.TemporaryDirectory() as directory:
        return frozenset(kernel_files.right(python, list(kernel_files.KINDS), Path(directory)))


def write(package: str, asked: dict[str, Answer], day: str, computes: dict[str, str]) -> None:
    names = sorted({name for found in asked.values() for name in found.versions})
    found = Registered(
        package=package,
        measured=day,
        computed=day,
        releases=tuple(asked),
        whole=package in WHOLE,
        since={name: tuple(since(asked, name)) for name in names},
        lost=dict(lost(asked, names)),
        computes=computes,
    )
    (TABLES / f"{package}.toml").write_text(table(found), encoding="utf-8")


def table(found: Registered) -> str:
    """The table, as TOML."""
    width = max(map(len, found.computes)) + 2
    lines = [
        f"# What releases of {found.package} register, as they said themselves: written by",
        "# `make operators`. For each operator the releases that its versions 1, 2, ... are there",
        "# from on; empty where the newest release does not have one.",
        f'package = "{found.package}"',
        f'measured = "{found.measured}"',
        f'computed = "{found.computed}"',
        f"releases = {json.dumps(found.releases)}",
        f"whole = {json.dumps(found.whole)}",
        "",
        "# What no version says, by files with known answers: a letter for each release above,",
        "# y computes it right, n does not or refuses it, ? was not asked.",
        "[computes]",
        *(f'{json.dumps(name):{width}} = "{row}"' for name, row in found.computes.items()),
        "",
        "# Releases that knew what a later one does not.",
        "[lost]",
        *(f"{json.dumps(name)} = {json.dumps(row)}" for name, row in found.lost.items()),
        "",
        "[since]",
        *(f"{name} = {json.dumps(row)}" for name, row in found.since.items()),
    ]
    return "\n".join(lines) + "\n"


def letters(asked: dict[str, Answer], name: str) -> str:
    rights = (found.right for found in asked.values())
    return "".join(UNASKED if right is None else "ny"[name in right] for right in rights)


def lost(asked: dict[str, Answer], names: list[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in names:
        for version, first in enumerate(since(asked, name), 1):
            older = list(asked)[: list(asked).index(first) if first else None]
            had = [one for one in older if version in asked[one].versions.get(name, ())]
            if had:
                yield versioned(name, version), tuple(had)


def since(asked: dict[str, Answer], name: str) -> list[str]:
    """By version, the first release from which on all have it."""
    last = max(max(found.versions.get(name, [0])) for found in asked.values())
    return [
        first(asked, lambda found, v=version: v in found.versions.get(name, ()))
        for version in range(1, last + 1)
    ]


def first(asked: dict[str, Answer], holds: Callable[[Answer], bool]) -> str:
    holding = takewhile(lambda release: holds(asked[release]), reversed(asked))
    return deque(holding, maxlen=1)[0] if holds(list(asked.values())[-1]) else ""


def today() -> str:
    return str(datetime.now(tz=UTC).date())


if __name__ == "__main__":
    main()
