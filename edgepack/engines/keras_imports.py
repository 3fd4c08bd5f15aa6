"""Imports the user's modules that register custom layers with Keras. Runs in a worker."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgepack.engines.refusals import first_line
from edgepack.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgepack.records.formats import KerasExport


def register(job: KerasExport, keras: Any) -> tuple[str, ...]:
    """Import what registers custom objects.

    Args:
        job: names the modules, and a folder where they may lie.
        keras: Keras 3.

    Returns:
        Names of the objects that they registered with it.

    Raises:
        ExportError: a module cannot be imported.
    """
    before = set(keras.saving.get_custom_objects())
    with _on_path(job.folder):
        for name in job.imports:
            _import_one(name, job)
    return tuple(sorted(set(keras.saving.get_custom_objects()) - before))


def _import_one(name: str, job: KerasExport) -> None:
    try:
        import_module(name)
    except Exception as error:
        raise ExportError(
            f"the module {name} cannot be imported: {type(error).__name__}: {first_line(error)}",
            where=job.path,
            hint=f"imports under [model] names modules that Python finds, or that lie in "
            f"{job.folder or 'the folder of the dataset spec'}.",
        ) from error


@contextmanager
def _on_path(folder: str) -> Iterator[None]:
    if not folder:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
