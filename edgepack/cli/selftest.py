"""`edgepack selftest`."""

from typing import TYPE_CHECKING, Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Bundle, Json, Verbose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from edgepack.cli.terminal import Terminal
    from edgepack.records.vectors import ReplayedOutput, SelfTest

Variant = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Variant to replay; repeatable.  [default: all]"),
]
Runtime = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="ai-edge-litert or tflite-runtime.  [default: what is here]"),
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the interpreter.")]


def selftest(
    bundle: Bundle,
    variant: Variant = None,
    runtime: Runtime = None,
    threads: Threads = 1,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Replay the golden vectors of a bundle on this machine."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api
        from edgepack.errors import SelfTestError

        found = api.selftest(bundle, variants=variant or (), runtime=runtime, threads=threads)
        _say(terminal, found)
        if failed := [one for one in found.outputs if not one.holds]:
            raise SelfTestError(
                "\n  ".join(dict.fromkeys(map(_fault, failed))),
                where=bundle,
                hint="Do not ship it for this runtime before you know why.",
            )


def _say(terminal: "Terminal", found: "SelfTest") -> None:
    if terminal.json:
        terminal.record(found)
        return
    terminal.show(*_tables(found))
    for doubt in found.cannot_tell:
        terminal.note(f"warning: {doubt}")


def _tables(found: "SelfTest") -> "Iterator[RenderableType]":
    from edgepack.report.tables import table

    headings = ("variant", "output", "", "difference", "tolerance")
    yield table(headings, map(_cells, found.outputs), texts=3)
    how = found.configuration
    threads = "one thread" if how.threads == 1 else f"{how.threads} threads"
    yield f"{found.count} invocations of each file by {how.runtime} {how.version}, {threads}"


def _cells(one: "ReplayedOutput") -> tuple[str, ...]:
    if one.difference is None:
        return one.variant, one.output, "not run", "-", f"{one.tolerance:g}"
    verdict = "holds" if one.holds else "differs"
    return one.variant, one.output, verdict, f"{one.difference:.2g}", f"{one.tolerance:g}"


def _fault(one: "ReplayedOutput") -> str:
    if one.difference is None:
        return f"{one.variant} cannot be run: {one.reason}"
    return (
        f"{one.variant}: {one.output!r} is off by {one.difference:g} in invocation "
        f"{one.invocation}, and {one.tolerance:g} is allowed"
    )
