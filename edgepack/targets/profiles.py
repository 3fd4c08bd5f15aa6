"""A profile by its name or path, with what it takes over from others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepack import builtin, tomlfile
from edgepack.errors import ConfigError
from edgepack.records.target import Target
from edgepack.runtimes import requirement
from edgepack.targets.faults import faults
from edgepack.tomlfile.plain import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.tomlfile import Document

SUFFIX = ".toml"
Data = dict[str, Any]


def names() -> tuple[str, ...]:
    """The names of the built-in profiles, sorted."""
    return tuple(sorted(file.stem for file in builtin.path("targets").glob(f"*{SUFFIX}")))


def load(name_or_path: str) -> Target:
    """A built-in profile by its name, or one of the user's by its path.

    Raises:
        ConfigError: there is no such profile, or it says something that is not allowed.
    """
    return _load(_path(name_or_path, Path(), ""), ())[0]


def load_each(names_or_paths: Iterable[str]) -> tuple[Target, ...]:
    """Several, each with a name of its own: reports and checks tell them apart by it.

    Raises:
        ConfigError: as `load`, or two have one name.
    """
    found: dict[str, tuple[str, Target]] = {}
    for one in names_or_paths:
        target = load(one)
        if target.name in found:
            both = f"{found[target.name][0]} and {one}"
            hint = "Set name in one of them; a profile that extends another takes its name over."
            raise ConfigError(f'two targets are called "{target.name}": {both}', hint=hint)
        found[target.name] = one, target
    return tuple(target for _, target in found.values())


def load_all() -> tuple[Target, ...]:
    """Every built-in profile, by name."""
    return tuple(load(name) for name in names())


def is_path(name_or_path: str) -> bool:
    """Whether this is the path of a profile, not the name of a built-in one."""
    return name_or_path.endswith(SUFFIX) or "/" in name_or_path


def _path(name_or_path: str, beside: Path, where: str) -> Path:
    """Where it lies; paths in a profile start at its own directory."""
    if is_path(name_or_path):
        return beside / name_or_path
    known = names()
    if name_or_path not in known:
        raise ConfigError(
            f'no target is called "{name_or_path}"; {nearest(name_or_path, known)}',
            where=where or None,
            hint=f"Built-in targets: {', '.join(known)}. A profile of your own: path/to/NAME.toml.",
        )
    return builtin.path("targets") / f"{name_or_path}{SUFFIX}"


def _load(path: Path, below: tuple[Path, ...]) -> tuple[Target, Data]:
    """The profile, and all that it says with what it takes over.

    What is taken over was found right by itself, so whatever is wrong here stands in this file.
    """
    document = tomlfile.read(path)
    data = _inherited(document, (*below, path.resolve()))
    found = tomlfile.check(Target, data)
    problems = found if isinstance(found, tuple) else tuple(faults(found))
    if problems or isinstance(found, tuple):
        raise tomlfile.complaint(document.located(problems))
    # as runs are named, whatever spelling stands in the file: what is run is found by its name
    runtimes = tuple(str(requirement.parse(text)) for text in found.runtimes)
    return found.model_copy(update={"runtimes": runtimes}), data


def _inherited(document: Document, chain: tuple[Path, ...]) -> Data:
    base = document.data.get("extends")
    if not isinstance(base, str) or not base:
        return document.data
    ((where, _),) = document.located([Problem(("extends",), "")])
    path = _path(base, document.path.parent, where)
    if path.resolve() in chain:
        raise ConfigError("the profile extends itself, by way of others or not", where=where)
    return _over(_load(path, chain)[1], document.data)


def _over(base: Data, own: Data) -> Data:
    """What stands here in place of what stood there; versions and sources key by key.

    A list of operators stays whole, versions are of one artifact, and the source of a figure goes
    with it.
    """
    taken = {key: one for key, one in base.get("sources", {}).items() if not _says(own, key)}
    above = base | {"sources": taken}
    both = [key for key in ("sources", "runtime", "os") if isinstance(own.get(key), dict)]
    added = (key for key in both if key == "sources" or not _other(own[key]))
    merged = {key: above.get(key, {}) | own[key] for key in added}
    return above | own | merged


def _says(data: Data, key: str) -> bool:
    """Whether a key, such as runtime.least_version, is set, or belonged to what starts anew."""
    table, _, inner = key.partition(".")
    found = data.get(table)
    return inner in found or _other(found) if inner and isinstance(found, dict) else table in data


def _other(table: Data) -> bool:
    """Whether it stands for itself: it names its artifact or system, even the inherited one."""
    return "artifact" in table or "name" in table
