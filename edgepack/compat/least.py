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

    from edgepack.records.tensors import OpUse


def least(operators: Iterable[OpUse], kernels: Iterable[str] = ()) -> tuple[LeastRelease, ...]:
    """The least release in each numbering.

    Custom operators, Select-TF's among them, are left out: the app brings them along.

    Args:
        operators: of the file.
        kernels: what it asks of them beyond their versions (`TFLiteFacts.kernels`).
    """
    builtin = sorted({(one.name, one.version) for one in operators if not one.custom})
    return tuple(_least(builtin, tuple(kernels), numbering) for numbering in get_args(Numbering))


def _least(
    builtin: list[tuple[str, int]], kernels: tuple[str, ...], numbering: Numbering
) -> LeastRelease:
    package, proven = ASKED[numbering]
    found = table(package)
    places = {f"{name} version {version}": found.first(name, version) for name, version in builtin}
    places |= {kernel: found.right(kernel) for kernel in kernels}
    end = len(found.releases)  # behind them all where none has it
    known = {name: end if place is None else place for name, place in places.items()}
    last = max(known.values(), default=0)
    rest = max((place for place in known.values() if place < last), default=0)
    return LeastRelease(
        numbering=numbering,
        release=found.releases[last] if last < end else None,
        or_earlier=not last and not found.whole,
        operators=tuple(name for name, place in known.items() if place == last) if last else (),
        without=found.releases[rest] if last else None,
        proven=proven,
    )
