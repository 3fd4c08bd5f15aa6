"""Tables and text of a terminal, in which text of the user's is never markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable


def plain(text: str) -> str:
    """One line without control characters, so that a name cannot drive the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def table(headings: tuple[str, ...], lines: Iterable[tuple[str, ...]], *, texts: int = 1) -> Table:
    """A table without a frame.

    Args:
        headings: by column.
        lines: cells.
        texts: columns that are not figures: set to the left; of several the last one is folded.
    """
    found = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, padding=0)
    for index, heading in enumerate(headings):
        if index < texts:
            found.add_column(heading, no_wrap=index < max(texts - 1, 1), overflow="fold")
        else:
            found.add_column(heading, justify="right")
    for line in lines:
        found.add_row(*(Text(plain(cell)) for cell in line))
    return found
