"""`edgepack inspect`."""

from pathlib import Path
from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import AnyPath, Json, Verbose, utf8

ContractFile = Annotated[
    Path | None,
    typer.Option(
        "--contract",
        callback=utf8,
        metavar="FILE",
        help="Write the signature that an app expects, for builds to check.",
        show_default=False,
    ),
]
Variant = Annotated[
    str, typer.Option(help="Variant that the contract is about.", show_default=False)
]
SignatureName = Annotated[
    str, typer.Option(help="Signature that the contract is about.", show_default=False)
]
Scales = Annotated[
    bool, typer.Option("--scales", help="State scales and zero points in the contract.")
]
Identity = Annotated[
    bool, typer.Option("--identity", help="Digest what a SavedModel computes, weights included.")
]


def inspect(
    path: AnyPath,
    contract: ContractFile = None,
    variant: Variant = "",
    signature: SignatureName = "",
    scales: Scales = False,
    identity: Identity = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Say what is in a SavedModel, .tflite file or bundle."""
    _require_contract(contract, variant=variant, signature=signature, scales=scales)
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        found = api.inspect(path, identity=identity)
        if contract:
            from edgepack.contract import choice, document

            chosen = choice.Choice(variant, signature, scales)
            document.write(choice.contract_of(found, chosen), contract)
            terminal.note(f"The contract is in {contract}.")
        if json:
            terminal.record(found)
            return
        from edgepack.cli import tables

        terminal.show(*tables.of(found, path))


def _require_contract(contract: Path | None, **options: object) -> None:
    """Refuse what only says how a contract is written, where none is."""
    if contract is None and any(options.values()):
        given = next(name for name, value in options.items() if value)
        raise typer.BadParameter(f"--{given} is about a contract: give --contract FILE too.")
