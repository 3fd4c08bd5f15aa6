"""`labels.txt`: the classes of a model, one a line, as bundles and TFLite's metadata have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "labels.txt"


def text(classes: Sequence[str]) -> bytes:
    """One class a line, in the order of the model's outputs.

    Raises:
        UsageError: a class has no name, or one that is not a line.
    """
    for number, name in enumerate(classes):
        if name.splitlines() != [name]:
            raise UsageError(
                f"class {number} is named {name!r}, which is not one line of {NAME}",
                hint="Rename the class in the dataset spec.",
            )
    return "".join(f"{name}\n" for name in classes).encode()
