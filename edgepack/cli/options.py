"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer


def utf8(path: Path | None) -> Path | None:
    """Refuse a path that no JSON document and no TOML file could name."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter(f"{str(path)!a} is not UTF-8 text; rename it.") from error
    return path


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing of progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, tracebacks included.")]
Bundle = Annotated[
    Path, typer.Argument(callback=utf8, help="A bundle: NAME-VERSION.zip.", show_default=False)
]
AnyPath = Annotated[
    Path,
    typer.Argument(
        callback=utf8, help="A SavedModel directory, a .tflite file or a bundle.", metavar="PATH"
    ),
]
SavedModel = Annotated[Path, typer.Argument(callback=utf8, help="A SavedModel directory.")]
Config = Annotated[
    Path | None,
    typer.Argument(
        callback=utf8, help="The edgepack.toml, or its directory.  [default: ./edgepack.toml]"
    ),
]
Demo = Annotated[bool, typer.Option("--demo", help="Build the embedded digit classifier.")]
CacheDir = Annotated[
    Path | None,
    typer.Option(callback=utf8, help="Where stage results are kept (EDGEPACK_CACHE)."),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Take nothing from a cache.")]
