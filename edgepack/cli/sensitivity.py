"""`edgepack sensitivity`."""

from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import CacheDir, Config, Demo, Json, NoCache, Quiet, Verbose
from edgepack.cli.projects import config_file

Engine = Annotated[str | None, typer.Option(metavar="NAME", help="auto, quantizer or converter.")]
Clip = Annotated[
    str | None,
    typer.Option("--clipping", metavar="NAME", help="min-max, percentile, mse or auto."),
]
Curve = Annotated[
    bool, typer.Option("--curve", help="Calibrate with fewer samples too, and compare.")
]


def sensitivity(
    config: Config = None,
    demo: Demo = False,
    engine: Engine = None,
    clipping: Clip = None,
    curve: Curve = False,
    cache_dir: CacheDir = None,
    no_cache: NoCache = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say what int8 does to each layer, and what the calibration samples are worth."""
    with command(json=json, quiet=quiet, verbose=verbose) as terminal:
        from edgepack import api
        from edgepack.cli.progress import progress
        from edgepack.config import settings

        flags = settings.Flags(engine=engine, clipping=clipping)
        wanted = settings.load(config_file(config, demo=demo), flags)
        with progress(terminal) as emit:
            found = api.sensitivity(
                wanted, curve=curve, cache=cache_dir, no_cache=no_cache, on_event=emit
            )
        if json:
            terminal.record(found)
            return
        from edgepack.report.search import sensitivity_table

        terminal.show(sensitivity_table(found), "")
