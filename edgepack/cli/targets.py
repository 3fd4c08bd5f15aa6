"""`edgepack targets`."""

from pathlib import Path
from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Json, Verbose, utf8

HELP = "List target profiles, or hold files against them."

app = typer.Typer(rich_markup_mode=None, help=HELP)

Name = Annotated[
    str,
    typer.Argument(help="A built-in profile, or the path of one's own.", show_default=False),
]
Model = Annotated[
    Path, typer.Argument(callback=utf8, help="A .tflite file or a bundle.", show_default=False)
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Profile to hold it against, by name or path; repeatable.  [default: all, built in]",
    ),
]


@app.callback(invoke_without_command=True)
def targets(context: typer.Context, json: Json = False, verbose: Verbose = False) -> None:
    """List target profiles, or hold files against them."""
    if context.invoked_subcommand:
        return
    with command(json=json, verbose=verbose) as terminal:
        from edgepack.targets import load_all

        found = load_all()
        if json:
            terminal.document([target.model_dump(mode="json") for target in found])
            return
        from edgepack.cli import profiles
        from edgepack.compat.proof import shares

        terminal.show(profiles.listed(found), profiles.proven(shares()))


@app.command("show")
def show(name: Name, json: Json = False, verbose: Verbose = False) -> None:
    """Show what one target profile asks of a build."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack.targets import load

        found = load(name)
        if json:
            terminal.record(found)
            return
        from edgepack.cli import profiles

        terminal.show(*profiles.shown(found))


@app.command("check")
def check(
    path: Model, target: Targets = None, json: Json = False, verbose: Verbose = False
) -> None:
    """Say which targets take a .tflite file, or the files of a bundle, and why others do not."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api
        from edgepack.errors import IncompatibleError
        from edgepack.report import fitting

        found = api.check_targets(path, targets=target or ())
        if json:
            terminal.record(found)
        else:
            terminal.show(fitting.table(found))
        if target and found.refused:
            raise IncompatibleError(
                f"nothing here is for {', '.join(found.refused)}",
                where=path,
                hint="The reasons stand beside each target above, with what would help.",
            )
