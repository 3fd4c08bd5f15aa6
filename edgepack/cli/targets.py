"""`edgepack targets`."""

from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Json, Verbose

app = typer.Typer(rich_markup_mode=None, help="List the built-in target profiles, or show one.")

Name = Annotated[
    str,
    typer.Argument(help="A built-in profile, or the path of one's own.", show_default=False),
]


@app.callback(invoke_without_command=True)
def targets(context: typer.Context, json: Json = False, verbose: Verbose = False) -> None:
    """List the built-in target profiles, or show one."""
    if context.invoked_subcommand:
        return
    with command(json=json, verbose=verbose) as terminal:
        from edgepack.targets import load_all

        found = load_all()
        if json:
            terminal.document([target.model_dump(mode="json") for target in found])
            return
        from edgepack.cli import tables

        terminal.show(tables.targets(found))


@app.command("show")
def show(name: Name, json: Json = False, verbose: Verbose = False) -> None:
    """Show what one target profile asks of a build."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack.targets import load

        found = load(name)
        if json:
            terminal.record(found)
            return
        from edgepack.cli import tables

        terminal.show(tables.target(found))
