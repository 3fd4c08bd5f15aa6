"""`edgepack export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Json, Verbose, utf8

Platform = Annotated[
    Literal["android", "ios", "java"],
    typer.Argument(help="Whose build checks bundles.", show_default=False),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", callback=utf8, help="The directory to write to.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there and differ.")]


def export(
    platform: Platform,
    output: Output = Path(),
    force: Force = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write the files that check bundles in an app's build."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        done = api.export(platform, output, force=force)
        if json:
            terminal.record(done)
            return
        for file in done.files:
            terminal.text(f"{file.state.capitalize():8}  {file.path}")
        terminal.text(f"{'Next':8}  {done.next}\n{'Read':8}  {done.page}")
