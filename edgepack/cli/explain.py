"""`edgepack explain`."""

import difflib
from collections.abc import Iterator
from typing import Annotated

import typer

from edgepack.cli.boundary import command
from edgepack.cli.options import Json, Verbose
from edgepack.errors import EdgepackError, UsageError

Code = Annotated[
    str | None,
    typer.Argument(
        help="An error's code, such as unsupported-ops.  [default: list them all]",
        show_default=False,
    ),
]


def explain(code: Code = None, json: Json = False, verbose: Verbose = False) -> None:
    """Say what an error means and what to change."""
    with command(json=json, verbose=verbose) as terminal:
        known = {kind.code: kind for kind in _kinds(EdgepackError)}
        if code is None:
            rows = [
                {"code": one, "cause": _cause(one), "exit_code": kind.exit_code}
                for one, kind in known.items()
            ]
            if json:
                terminal.document(rows)
                return
            width = max(map(len, known))
            terminal.text("\n".join(f"{row['code']:{width}}  {row['cause']}" for row in rows))
            return
        _require(code, known)
        if json:
            said = {"code": code, "cause": _cause(code), "exit_code": known[code].exit_code}
            terminal.document({**said, "page": _page(code)})
            return
        terminal.text(_page(code).rstrip())


def _kinds(kind: type[EdgepackError]) -> Iterator[type[EdgepackError]]:
    """A class of errors and all below it; those without a code of their own are their parent's."""
    if "code" in vars(kind):
        yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _require(code: str, known: dict[str, type[EdgepackError]]) -> None:
    if code in known:
        return
    begun = [one for one in known if code and one.startswith(code)]
    near = begun or difflib.get_close_matches(code, known, 1)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise UsageError(
        f"no error has the code {code!r}", hint=f"{hint}`edgepack explain` lists them all."
    )


def _page(code: str) -> str:
    from edgepack import builtin

    return (builtin.path("errors") / f"{code}.md").read_text(encoding="utf-8")


def _cause(code: str) -> str:
    """The one line under the page's title."""
    return _page(code).split("\n")[2]
