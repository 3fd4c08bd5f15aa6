"""`edgepack verify`."""

from edgepack.cli.boundary import command
from edgepack.cli.options import Bundle, Json, Verbose


def verify(bundle: Bundle, json: Json = False, verbose: Verbose = False) -> None:
    """Check every byte of a bundle against its manifest."""
    with command(json=json, verbose=verbose) as terminal:
        from edgepack import api

        found = api.verify(bundle)
        if json:
            terminal.record(found)
            return
        variants = ", ".join(found.variants)
        terminal.text(
            f"{found.path} holds: {found.name} {found.version} ({variants})\nsha256 {found.sha256}"
        )
        if found.failed:
            terminal.note("warning: its gate refused this build; it was shipped by --allow-failed")
