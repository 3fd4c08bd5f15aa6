"""`edgepack runtimes`."""

from typing import TYPE_CHECKING, Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Bundle, CacheDir, Json, Verbose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from edgepack.cli.terminal import Terminal
    from edgepack.records.runtimes import RuntimeMatrix, RuntimeRun

Runtime = Annotated[
    list[str],
    typer.Option(
        "--runtime",
        metavar="NAME==VERSION",
        help="Release to run on, such as tflite-runtime==2.14.0, or @litertjs/core==2.5.3 in "
        "Chromium; repeatable.",
        show_default=False,
    ),
]
Variant = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Variant to run; repeatable.  [default: all]"),
]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
Jobs = Annotated[int, typer.Option(min=1, help="How many run at a time; latency suffers.")]
Offline = Annotated[
    bool, typer.Option("--offline", help="Take only releases that were installed before.")
]


def runtimes(
    bundle: Bundle,
    runtime: Runtime,
    variant: Variant = None,
    threads: Threads = 1,
    jobs: Jobs = 1,
    offline: Offline = False,
    cache_dir: CacheDir = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Run the files of a bundle on releases of runtimes."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api
        from edgepack.errors import IncompatibleError

        found = api.runtime_matrix(
            bundle,
            runtime,
            variants=variant or (),
            threads=threads,
            jobs=jobs,
            offline=offline,
            cache=cache_dir,
        )
        _say(terminal, found)
        if failed := [one for one in found.runs if not one.holds]:
            raise IncompatibleError(
                "\n  ".join(map(_fault, failed)),
                where=bundle,
                hint="Do not ship these files to apps that have these releases.",
            )


def _say(terminal: "Terminal", found: "RuntimeMatrix") -> None:
    if terminal.json:
        terminal.record(found)
    else:
        terminal.show(*_tables(found))


def _tables(found: "RuntimeMatrix") -> "Iterator[RenderableType]":
    from edgepack.report.tables import table

    names = tuple(dict.fromkeys(one.variant for one in found.runs))
    cells = {(one.runtime, one.variant): _cell(one) for one in found.runs}
    rows = {one.runtime: _host(one) for one in found.runs}
    yield table(
        ("runtime", "run by", *names),
        [(name, host, *(cells[name, variant] for variant in names)) for name, host in rows.items()],
        texts=2,
    )
    threads = "one thread" if found.threads == 1 else f"{found.threads} threads"
    yield f"Median latency of {found.count} recorded invocations here, {threads}"


def _host(one: "RuntimeRun") -> str:
    if one.browser:
        return f"Chromium {one.browser}"
    return f"Python {one.python}" if one.python else "-"


def _cell(one: "RuntimeRun") -> str:
    from edgepack.report import figures

    if one.p50_ms is None:
        return one.failure
    return figures.milliseconds(one.p50_ms) if one.agrees else "differs"


def _fault(one: "RuntimeRun") -> str:
    return f"{one.variant} on {one.runtime}: {one.fault}"
