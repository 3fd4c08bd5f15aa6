"""What is wrong with a profile beyond the types of its keys."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from edgepack.delegates import lists as delegates
from edgepack.errors import UsageError
from edgepack.runtimes import requirement
from edgepack.tflite import schema
from edgepack.tomlfile.plain import Problem, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.target import Target

# As the readers name them: NumPy's names, and TensorFlow's where NumPy has none.
DTYPES = frozenset(
    (
        *("float16", "float32", "float64", "bfloat16", "complex64", "complex128", "bool", "string"),
        *("int2", "int4", "int8", "int16", "int32", "int64"),
        *("uint4", "uint8", "uint16", "uint32", "uint64"),
    )
)


def faults(target: Target) -> Iterator[Problem]:
    """Each with the key that it is about."""
    if not target.name:
        yield Problem(("name",), "name must not be empty")
    if not target.precisions:
        yield Problem(("precisions",), "precisions is empty: the target could take nothing")
    if len(set(target.precisions)) < len(target.precisions):
        yield Problem(("precisions",), "precisions names one twice")
    yield from _dtype_faults(target)
    yield from _version_faults(target)
    for place, runtime in enumerate(target.runtimes):
        if said := _release_fault(runtime):
            yield Problem(("runtimes", place), f"runtimes (item {place + 1}): {said}")
    for unknown in sorted(target.operators.keys() - set(schema.OPERATORS)):
        near = _nearest_operator(unknown)
        yield Problem(("operators", unknown), f'operators: none is called "{unknown}"{near}')
    for unknown in sorted(set(target.delegates) - set(delegates.names())):
        near = nearest(unknown, delegates.names())
        yield Problem(("delegates",), f'delegates: no list is called "{unknown}"; {near}')
    for key in target.sources.keys() - _keys(target):
        what = f'"{key}" names no key of a profile; {nearest(key, _keys(target))}'
        yield Problem(("sources", key), f"sources: {what}")


def _dtype_faults(target: Target) -> Iterator[Problem]:
    for key in ("input_dtypes", "output_dtypes", "weight_dtypes"):
        for unknown in sorted(set(getattr(target, key)) - DTYPES):
            near = nearest(unknown, DTYPES)
            yield Problem((key,), f'{key}: no element type is called "{unknown}"; {near}')


def _version_faults(target: Target) -> Iterator[Problem]:
    if (need := target.runtime) is None:
        return
    bounds = {"least_version": need.least_version, "below_version": need.below_version}
    for key, text in bounds.items():
        if text and not _is_version(text):
            yield Problem(("runtime", key), f"runtime.{key} is no version")
            return
    if all(bounds.values()) and Version(need.least_version) >= Version(need.below_version):
        said = "runtime.below_version is not above least_version: no release is between them"
        yield Problem(("runtime", "below_version"), said)


def _is_version(text: str) -> bool:
    try:
        return bool(Version(text))
    except InvalidVersion:
        return False


def _release_fault(text: str) -> str:
    try:
        requirement.parse(text)
    except UsageError as error:
        return f"{error.message}. {error.hint}"
    return ""


def _nearest_operator(unknown: str) -> str:
    """The one that was meant, if that can be told; there are too many to list."""
    close = difflib.get_close_matches(unknown.upper(), schema.OPERATORS, 1)
    return f'; did you mean "{close[0]}"?' if close else ""


def _keys(target: Target) -> frozenset[str]:
    """Whatever a source may be given for."""
    runtime = {f"runtime.{key}" for key in ("artifact", "api", "least_version", "below_version")}
    return frozenset(type(target).model_fields) | runtime | {"os.least_version"}
