"""GitHub's Markdown, in which text of the user's can neither format nor notify."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MARKUP = re.compile(r"([\\`*_\[\]|~]|^[-+#])")
HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LINKING = re.compile(r"([@#])(?=\w)|(?<=\w)(:)(?=//)|(?<=\bwww)(\.)")
INVISIBLE = "\u200b"  # between the parts of what GitHub would make a mention or a link of


def escape(text: str) -> str:
    """Text of the user's as text: no markup, no HTML, no mention, no link, one line."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    unlinked = LINKING.sub(lambda found: f"{found.group()}{INVISIBLE}", flat)
    marked = MARKUP.sub(r"\\\1", unlinked)
    return "".join(HTML.get(character, character) for character in marked)


def items(lines: Iterable[str]) -> str:
    """A list of lines, which are escaped."""
    return "\n".join(f"- {escape(line)}" for line in lines)


def folded(title: str, body: str) -> str:
    """What few readers want, folded away."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def table(
    headings: tuple[str, ...], lines: Iterable[tuple[str, ...]], *, texts: int | None = None
) -> str:
    """A table of cells, which are escaped.

    Args:
        headings: by column.
        lines: cells.
        texts: columns that are not figures; those after them are set to the right. All by default.
    """
    left = len(headings) if texts is None else texts
    rule = ["---"] * left + ["---:"] * (len(headings) - left)
    body = ([escape(cell) for cell in line] for line in (headings, *lines))
    first, *rest = ("| " + " | ".join(line) + " |" for line in body)
    return "\n".join((first, "| " + " | ".join(rule) + " |", *rest))
