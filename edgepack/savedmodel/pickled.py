"""Python code that Keras put into a SavedModel's metadata: Lambda layers.

TensorFlow's loader leaves it alone, the graph holds what it computed; Keras' loader would run it.
Layout: keras/protobuf/saved_metadata.proto, and SavedUserObject before TensorFlow 2.5.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from edgepack.savedmodel.wire import Message, WireError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edgepack.savedmodel.messages import MetaGraph

METADATA = "keras_metadata.pb"


def pickled_layers(path: Path, meta: MetaGraph) -> tuple[str, ...]:
    """Names of layers that carry Python code as bytes, sorted.

    Raises:
        OSError: keras_metadata.pb cannot be read.
    """
    found: set[str] = set()
    for text in [*_beside(path / METADATA), *_within(meta)]:
        if "lambda" in text:
            with suppress(ValueError, RecursionError):  # nothing runs what is no JSON
                found.update(_lambdas(json.loads(text)))
    return tuple(sorted(found))


def _beside(file: Path) -> list[str]:
    if not file.is_file():
        return []
    with suppress(WireError):  # the loader reads none of it
        return [node.text(5) for node in Message(file.read_bytes()).messages(1)]
    return []


def _within(meta: MetaGraph) -> list[str]:
    objects = meta.message.message(7)
    nodes = objects.messages(1) if objects else ()
    return [user.text(3) for node in nodes for user in node.messages(4)]


def _lambdas(value: Any) -> Iterator[str]:
    """Layers whose function is bytecode: function_type lambda, or Keras 3's __lambda__."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
        if isinstance(one, dict) and _holds_code(one):
            yield str(one.get("name", "lambda"))


def _holds_code(config: dict[str, Any]) -> bool:
    function = config.get("function")
    kind = function.get("class_name") if isinstance(function, dict) else ""
    return config.get("function_type") == "lambda" or kind == "__lambda__"
