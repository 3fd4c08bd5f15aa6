"""`edgepack inspect`."""

from edgepack.cli.boundary import command
from edgepack.cli.options import AnyPath, Json, Verbose


def inspect(path: AnyPath, json: Json = False, verbose: Verbose = False) -> None:
    """Say what is in a SavedModel, .tflite file or bundle."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        found = api.inspect(path)
        if json:
            terminal.record(found)
            return
        from edgepack.cli import tables

        terminal.show(*tables.of(found, path))
