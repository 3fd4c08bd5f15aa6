"""`edgepack export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Json, Verbose, utf8

Platform = Annotated[
    Literal["android", "ios", "java", "microcontroller"],
    typer.Argument(
        help="Whose build checks bundles, or takes a model as a C array.", show_default=False
    ),
]
Output = Annotated[
    Path, typer.Option("--output", "-o", callback=utf8, help="The directory to write to.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there and differ.")]
Bundle = Annotated[
    Path | None,
    typer.Option(callback=utf8, help="microcontroller: the bundle that has the model."),
]
Variant = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="microcontroller: the variant.  [default: the best for such a target]",
    ),
]
Key = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="microcontroller: public key that must have signed; repeatable."
    ),
]


def export(
    platform: Platform,
    output: Output = Path(),
    force: Force = False,
    bundle: Bundle = None,
    variant: Variant = None,
    key: Key = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write the files that check bundles in an app's build.

    For a microcontroller: a model of a bundle as a C array with its header.
    """
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        done = api.export(
            platform, output, force=force, bundle=bundle, variant=variant, keys=key or ()
        )
        if json:
            terminal.record(done)
            return
        for file in done.files:
            terminal.text(f"{file.state.capitalize():8}  {file.path}")
        terminal.text(f"{'Next':8}  {done.next}\n{'Read':8}  {done.page}")
