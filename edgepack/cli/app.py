"""The commands, put together."""

import sys
from typing import Annotated

import typer

from edgepack.cli import (
    build,
    diff,
    explain,
    export,
    init,
    inspect,
    runtimes,
    schema,
    selftest,
    sensitivity,
    sign,
    targets,
    verify,
)

# Plain help: it comes up in half the time, and reads the same in a terminal, a log and a README.
app = typer.Typer(
    name="edgepack",
    help="Convert TensorFlow SavedModels to TFLite, measure what it costs, ship only what holds.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"edgepack {version('edgepack')}\n")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options before a command."""


app.command("build")(build.build)
app.command("verify")(verify.verify)
app.command("sign")(sign.sign)
app.command("keygen")(sign.keygen)
app.command("selftest")(selftest.selftest)
app.command("runtimes")(runtimes.runtimes)
app.command("inspect")(inspect.inspect)
app.command("diff")(diff.diff)
app.command("export")(export.export)
app.command("sensitivity")(sensitivity.sensitivity)
app.command("init")(init.init)
app.add_typer(targets.app, name="targets")
app.command("schema")(schema.schema)
app.command("explain")(explain.explain)
