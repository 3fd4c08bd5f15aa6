"""What a microcontroller needs for each variant, as a part of `report.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.report import figures
from edgepack.report.markup import items

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.micro import ArenaSize, MicroFit


def section(fits: Mapping[str, MicroFit]) -> str:
    """A line for each variant; nothing where there is none.

    Args:
        fits: by variant.
    """
    lines = (f"{variant}: {line(fit)}" for variant, fit in fits.items())
    return f"**Microcontrollers**\n\n{items(lines)}" if fits else ""


def line(fit: MicroFit) -> str:
    """Flash and arena, and what would not run, or not quickly."""
    return "; ".join(_parts(fit))


def _parts(fit: MicroFit) -> Iterator[str]:
    yield f"{figures.size(fit.flash_bytes)} of flash"
    yield f"{fit.arena.bytes} bytes of tensor arena, {_known(fit.arena)}"
    for what, names in (
        ("it has no", fit.unsupported),
        ("in float", fit.float_operators),
        ("not by CMSIS-NN", fit.unaccelerated),
    ):
        if names:
            yield f"{what}: {', '.join(names)}"
    yield from fit.objections


def _known(arena: ArenaSize) -> str:
    if arena.method == "measured":
        return f"measured by {arena.runtime}"
    return f"estimated: {arena.reason}" if arena.reason else "estimated"
