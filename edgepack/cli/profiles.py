"""Target profiles as `targets` prints them for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from edgepack.cli.tables import facts, grid, row
from edgepack.report import figures

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.table import Table

    from edgepack.records.compat import Share
    from edgepack.records.manifest import RuntimeNeed
    from edgepack.records.target import Target


def listed(found: Iterable[Target]) -> Table:
    """Target profiles, one a row."""
    table = grid("target", "runtime", "releases", "best")
    for one in found:
        artifact = one.runtime.artifact if one.runtime else ""
        row(table, one.name, artifact, _releases(one.runtime), one.precisions[0])
    return table


def proven(found: Iterable[Share]) -> Text:
    """How much of what is known of the runtimes' operators is proven by running."""
    said = (f"{one.package} {one.run} of {one.rows}" for one in found)
    return Text(f"Operators by release, proven by running: {', '.join(said)}", "dim")


def shown(one: Target) -> Iterator[Table]:
    """One target profile, a line a key, and where its figures are from."""
    yield facts(
        ("name", one.name),
        ("description", one.description),
        ("extends", one.extends),
        ("platform", one.platform),
        ("system", _system(one) if one.os else ""),
        ("runtime", _runtime(one.runtime)),
        ("precisions", f"{', '.join(one.precisions)} (best first)"),
        ("inputs", ", ".join(one.input_dtypes) or "any"),
        ("outputs", ", ".join(one.output_dtypes) or "any"),
        ("constants", ", ".join(one.weight_dtypes) or "any"),
        ("refuses", ", ".join(_refused(one))),
        ("operators", _operators(one)),
        ("largest file", _size(one.max_size_bytes) or "any"),
        ("most memory", _size(one.max_memory_bytes)),
        ("largest arena", _size(one.max_arena_bytes)),
        ("delegates", ", ".join(one.delegates)),
        ("is run on", ", ".join(one.runtimes)),
        ("packaging", " ".join(one.packaging)),
    )
    if one.sources:
        yield _sources(one)


def _sources(one: Target) -> Table:
    table = grid("figure", "from", "read")
    for key, source in sorted(one.sources.items()):
        row(table, key, source.at, source.read)
    return table


def _system(one: Target) -> str:
    return f"{one.os.name} {one.os.least_version}" if one.os else one.platform


def _runtime(need: RuntimeNeed | None) -> str:
    if need is None:
        return ""
    api = f"({need.api})" * bool(need.api)
    return " ".join(filter(None, (need.artifact, _releases(need), api)))


def _releases(need: RuntimeNeed | None) -> str:
    if need is None:
        return ""
    least = f"from {need.least_version}" * bool(need.least_version)
    below = f"below {need.below_version}" * bool(need.below_version)
    return " ".join(filter(None, (least, below)))


def _refused(one: Target) -> Iterator[str]:
    if one.static_shapes:
        yield "open dimensions"
    if one.integer_only:
        yield "operators that compute in float"
    if not one.custom_operators:
        yield "operators that are not built in"


def _operators(one: Target) -> str:
    if not one.operators:
        return "what the runtime has"
    names = (f"{name} to version {most}" if most else name for name, most in one.operators.items())
    return f"{len(one.operators)}: {', '.join(sorted(names))}"


def _size(count: int | None) -> str:
    return "" if count is None else figures.size(count)
