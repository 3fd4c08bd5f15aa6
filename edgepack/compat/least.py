"""The least release of a runtime that loads a file, recomputed from its operators.

A runtime looks up each operator by name and version before anything else, so these decide whether
it loads a file at all. The file's own `min_runtime_version` is not looked at: it is advisory,
leaves operators out and counts TensorFlow's releases only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from edgepack.compat.registered import ASKED, table
from edgepack.records.compat import LeastRelease, Numbering

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgepack.compat.registered import Registered
    from edgepack.records.tensors import OpUse


def least(operators: Iterable[OpUse]) -> tuple[LeastRelease, ...]:
    """The least release in each numbering.

    Custom operators, Select-TF's among them, are left out: the app brings them along.
    """
    builtin = sorted({(one.name, one.version) for one in operators if not one.custom})
    return tuple(_least(builtin, numbering) for numbering in get_args(Numbering))


def _least(builtin: list[tuple[str, int]], numbering: Numbering) -> LeastRelease:
    package, proven = ASKED[numbering]
    found = table(package)
    places = {one: _place(found, *one) for one in builtin}
    last = max(places.values(), default=0)
    deciding = tuple(one for one, place in places.items() if place == last) if last else ()
    rest = max((place for place in places.values() if place < last), default=0)
    known = last < len(found.releases)
    return LeastRelease(
        numbering=numbering,
        release=found.releases[last] if known else None,
        or_earlier=not last and not found.whole,
        operators=tuple(f"{name} version {version}" for name, version in deciding),
        without=found.releases[rest] if last else None,
        proven=proven,
    )


def _place(found: Registered, name: str, version: int) -> int:
    """Among the releases; behind the last where none knows it."""
    place = found.first(name, version)
    return len(found.releases) if place is None else place
