"""`edgepack verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Bundle, Json, Verbose, utf8

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.verification import Verification

Key = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Public key that must have signed; repeatable: any of them."),
]
Detached = Annotated[
    Path | None,
    typer.Option("--signature", callback=utf8, help="A signature beside the bundle."),
]
LockFile = Annotated[
    Path | None, typer.Option("--lock", callback=utf8, help="edgepack.lock: refuse what is older.")
]
UpdateLock = Annotated[
    bool, typer.Option("--update-lock", help="Write into the lock that this one was taken.")
]
AllowFailed = Annotated[
    bool, typer.Option("--allow-failed", help="Take a bundle that its own gate refused.")
]
SHOWN = 16  # hexadecimal digits of a key's id


def verify(
    bundle: Bundle,
    key: Key = None,
    signature: Detached = None,
    lock: LockFile = None,
    update_lock: UpdateLock = False,
    allow_failed: AllowFailed = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Check a bundle: every byte, who signed it, and its age."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        found = api.verify(
            bundle,
            keys=key or (),
            signature=signature,
            lock=lock,
            update_lock=update_lock,
            allow_failed=allow_failed,
        )
        if json:
            terminal.record(found)
            return
        terminal.text("\n".join(_lines(found, signature, given=bool(key))))
        if found.failed:
            terminal.note("warning: its gate refused this build; it was shipped by --allow-failed")


def _lines(found: "Verification", detached: Path | None, *, given: bool) -> "Iterator[str]":
    variants = ", ".join(found.variants)
    yield f"{found.path} holds: {found.name} {found.version} ({variants})"
    yield f"sha256 {found.sha256}"
    if found.sequence is not None:
        yield f"sequence {found.sequence}"
    if found.expires:
        yield f"expires {found.expires}"
    if detached:
        yield f"signed, by the signature {detached}"
    for one in found.signatures:
        checked = one.checked and given
        how = "signed by" if checked else "not checked: a signature by"
        yield f"{how} {one.key_id[:SHOWN]}{'' if checked else '; name its key by --key'}"
    if not found.signatures and not detached:
        yield "not signed: whoever can change the file can change what it says"
