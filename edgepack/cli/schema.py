"""`edgepack schema`."""

from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Verbose

Name = Annotated[
    str,
    typer.Argument(
        help="config, dataset, target, contract, manifest or report.", show_default=False
    ),
]


def schema(name: Name, verbose: Verbose = False) -> None:
    """Print the JSON Schema of a file of edgepack's."""
    with command(json=False, verbose=verbose) as terminal:
        from edgepack import schemas

        terminal.document(schemas.schema(name))
