"""Target profiles: `targets/*.toml` as `Target` records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from edgepack import builtin, tomlfile
from edgepack.errors import ConfigError
from edgepack.records.target import Target
from edgepack.tomlfile.plain import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIX = ".toml"


def names() -> tuple[str, ...]:
    """The names of the built-in profiles, sorted."""
    return tuple(sorted(file.stem for file in builtin.path("targets").glob(f"*{SUFFIX}")))


def load(name_or_path: str) -> Target:
    """A built-in profile by its name, or one of the user's by its path.

    Raises:
        ConfigError: there is no such profile, or it says something that is not allowed.
    """
    if is_path(name_or_path):
        return tomlfile.load(Path(name_or_path), Target, _faults)
    known = names()
    if name_or_path not in known:
        raise ConfigError(
            f'no target is called "{name_or_path}"; {nearest(name_or_path, known)}',
            hint=f"Built-in targets: {', '.join(known)}. A profile of your own: path/to/NAME.toml.",
        )
    return tomlfile.load(builtin.path("targets") / f"{name_or_path}{SUFFIX}", Target, _faults)


def load_all() -> tuple[Target, ...]:
    """Every built-in profile, by name."""
    return tuple(load(name) for name in names())


def is_path(name_or_path: str) -> bool:
    """Whether this is the path of a profile, not the name of a built-in one."""
    return name_or_path.endswith(SUFFIX) or "/" in name_or_path


def _faults(target: Target) -> Iterator[Problem]:
    if not target.name:
        yield Problem(("name",), "name must not be empty")
    if not target.precisions:
        yield Problem(("precisions",), "precisions is empty: the target could take nothing")
    if len(set(target.precisions)) < len(target.precisions):
        yield Problem(("precisions",), "precisions names one twice")
    if target.runtime and not _is_version(target.runtime.least_version):
        yield Problem(("runtime", "least_version"), "runtime.least_version is no version")
    for key, dtypes in (
        ("input_dtypes", target.input_dtypes),
        ("output_dtypes", target.output_dtypes),
    ):
        for unknown in sorted(set(dtypes) - DTYPES):
            yield Problem((key,), f'{key}: no element type is called "{unknown}"; {_near(unknown)}')


def _is_version(text: str) -> bool:
    try:
        return bool(Version(text or "0"))
    except InvalidVersion:
        return False


def _near(dtype: str) -> str:
    return nearest(dtype, DTYPES)


# As the readers name them: NumPy's names, and TensorFlow's where NumPy has none.
DTYPES = frozenset(
    (
        *("float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool", "string"),
        *("int4", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    )
)
