"""`edgepack sign` and `edgepack keygen`."""

from pathlib import Path
from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Bundle, Json, Verbose, utf8
from edgepack.cli.passphrase import new_passphrase, passphrase

Keys = Annotated[
    list[str],
    typer.Option(
        "--key",
        metavar="KEY",
        help="Private key: a file, env:NAME or command:ARGUMENTS; repeatable.",
        show_default=False,
    ),
]
PublicKey = Annotated[
    Path | None, typer.Option(callback=utf8, help="Public key of a command that signs.")
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", callback=utf8, help="Where the signed bundle goes."),
]
AllowFailed = Annotated[
    bool, typer.Option("--allow-failed", help="Sign a bundle that its own gate refused.")
]
KeyPath = Annotated[
    Path, typer.Option("--output", "-o", callback=utf8, help="The private key's file.")
]
Encrypt = Annotated[
    bool, typer.Option("--encrypt", help="Ask for a passphrase, and encrypt the private key.")
]


def sign(
    bundle: Bundle,
    key: Keys,
    public_key: PublicKey = None,
    output: Output = None,
    allow_failed: AllowFailed = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Add signatures to a bundle, after checking it."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        done = api.sign(
            bundle,
            key,
            public_key=public_key,
            output=output,
            passphrase=passphrase,
            allow_failed=allow_failed,
        )
        if json:
            terminal.record(done)
            return
        terminal.text(f"Signed {output or bundle}\nsha256 {done.sha256}")


def keygen(
    output: KeyPath = Path("edgepack.key"),
    encrypt: Encrypt = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Make a pair of keys (ECDSA P-256) to sign bundles with."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        made = api.keygen(output, passphrase=new_passphrase() if encrypt else None)
        if json:
            terminal.record(made)
            return
        terminal.text(
            f"Wrote {made.private_key}: keep it secret, and out of the repository.\n"
            f"Wrote {made.public_key}: commit it where apps are built. Its id is {made.key_id}"
        )
