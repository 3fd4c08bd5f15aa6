"""`edgepack init`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Json, SavedModel, Verbose, utf8

Output = Annotated[
    Path, typer.Option("--output", "-o", callback=utf8, help="The config file to write.")
]
Dataset = Annotated[
    Path | None,
    typer.Option(
        callback=utf8,
        help="The dataset spec; one that is there is kept.  [default: dataset.toml beside it]",
    ),
]
Signature = Annotated[
    str, typer.Option(help="The signature to build, if there are several.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace a config file that is there.")]


def init(
    saved_model: SavedModel,
    output: Output = Path("edgepack.toml"),
    dataset: Dataset = None,
    signature: Signature = "",
    force: Force = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Write a commented edgepack.toml for a SavedModel."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack.config.start import start

        done = start(saved_model, output, dataset=dataset, signature=signature, force=force)
        if json:
            said = {"config": str(done.config), "dataset": str(done.dataset)}
            terminal.document({**said, "dataset_is_new": done.dataset_is_new})
            return
        terminal.text(f"Wrote {done.config}: fill in version and expected_accuracy.")
        if done.dataset_is_new:
            terminal.text(f"Wrote {done.dataset}: name your samples and how they are prepared.")
        else:
            terminal.text(f"Kept  {done.dataset}")
        terminal.text(f"Next  edgepack build {shlex.quote(str(done.config))}")
