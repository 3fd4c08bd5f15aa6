"""`edgepack diff`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgepack.cli.boundary import command
from edgepack.cli.codes import OVER_BUDGET
from edgepack.cli.options import Json, Verbose, utf8

Before = Annotated[
    Path, typer.Argument(callback=utf8, help="The bundle that apps have.", show_default=False)
]
After = Annotated[
    Path, typer.Argument(callback=utf8, help="The bundle that they would get.", show_default=False)
]
FailOn = Annotated[
    Literal["breaking", "any"] | None,
    typer.Option("--fail-on", help="Exit with 3 on such a change.", show_default=False),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print it for a pull request.")]


def diff(
    before: Before,
    after: After,
    fail_on: FailOn = None,
    markdown: Markdown = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say what changed between two bundles, and what breaks an app."""
    if markdown and json:
        raise typer.BadParameter("--markdown and --json exclude each other.")
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api
        from edgepack.report import difference

        found = api.diff(before, after)
        if json:
            terminal.record(found)
        elif markdown:
            terminal.text(difference.markdown(found).rstrip("\n"))
        else:
            terminal.text(difference.text(found))
        if (fail_on == "breaking" and found.breaking) or (fail_on == "any" and found.changes):
            raise typer.Exit(OVER_BUDGET)
