"""What parent and worker say to each other over the pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgepack.errors import EdgepackError


@dataclass(frozen=True)
class Request:
    """A function, importable in the worker, and what to call it with."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """The function raised."""

    error: EdgepackError
