"""A user's function, called once: what it yields streams into arrays on disk. Runs in a worker."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgepack.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from edgepack.records.dataset import DatasetSpec

LABEL = "label"
PAIR = 2
CHUNK = 4096  # rows read and written at once


class _Column:
    """A .npy file that grows by a row at a time; its header has room for count and width."""

    def __init__(self, path: Path, first: NDArray[Any]) -> None:
        self.path, self.rows = path, 0
        self.dtype, self.shape = first.dtype, first.shape
        self._file = path.open("w+b")
        self._write_header()

    def append(self, row: NDArray[Any]) -> None:
        if row.dtype.kind == "S" and row.dtype.itemsize > self.dtype.itemsize:
            self._widen(row.dtype.itemsize)
        self._file.write(row.astype(self.dtype).tobytes())
        self.rows += 1

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _widen(self, width: int) -> None:
        """Write what there is again with room for longer strings: at least twice as much."""
        import numpy as np

        self.close()
        narrow = self.path.rename(self.path.with_suffix(".narrow"))
        rows = np.load(narrow, mmap_mode="r")
        self.dtype = np.dtype((np.bytes_, max(width, 2 * self.dtype.itemsize)))
        self._file = self.path.open("w+b")
        self._write_header()
        for start in range(0, len(rows), CHUNK):
            self._file.write(rows[start : start + CHUNK].astype(self.dtype).tobytes())
        narrow.unlink()

    def _write_header(self) -> None:
        from numpy.lib.format import write_array_header_1_0

        header = {"descr": self.dtype.str, "fortran_order": False}
        write_array_header_1_0(self._file, header | {"shape": (self.rows, *self.shape)})  # type: ignore[no-untyped-call]


def write_samples(spec: DatasetSpec, root: Path, scratch: Path) -> dict[str, str]:
    """Call the spec's function and store what it yields: the file of each array by its name.

    Raises:
        DatasetError: it fails, yields nothing, or samples of different shapes or types.
    """
    columns: dict[str, _Column] = {}
    with ExitStack() as stack:
        for number, sample in enumerate(_yielded(spec, root)):
            for name, value in _named(sample, spec, number).items():
                if name not in columns:
                    columns[name] = _Column(scratch / f"{len(columns)}.npy", value)
                    stack.callback(columns[name].close)
                _require_alike(spec, name, number, value, columns[name])
                columns[name].append(value)
    if not columns:
        raise DatasetError(f"{spec.function} yielded no sample", where=root)
    return {name: str(column.path) for name, column in columns.items()}


def _yielded(spec: DatasetSpec, root: Path) -> Iterator[Any]:
    module, _, name = spec.function.partition(":")
    sys.path.insert(0, str(root))
    try:
        yield from getattr(import_module(module), name)()
    except (Exception, SystemExit) as error:
        raise DatasetError(
            f"{spec.function} failed: {type(error).__name__}: {error}", where=root
        ) from error
    finally:
        sys.path.remove(str(root))


def _named(sample: Any, spec: DatasetSpec, number: int) -> dict[str, NDArray[Any]]:
    """One sample: an array, a dict of arrays, or a pair of either and a label."""
    inputs, label = sample, None
    if isinstance(sample, tuple):
        if len(sample) != PAIR:
            raise DatasetError(
                f"{spec.function} yielded {len(sample)} values as sample {number}",
                hint="Yield (inputs, label); of several inputs, a dict by name.",
            )
        inputs, label = sample
    named = dict(inputs) if isinstance(inputs, dict) else {"x": inputs}
    if label is not None:  # numbers of either type may mix among targets
        named[LABEL] = float(label) if spec.task == "regression" else label
    try:
        return {name: _stored(value, text=name != LABEL) for name, value in named.items()}
    except DatasetError as error:
        where = f"{spec.function}, sample {number}"
        raise DatasetError(error.message, where=where, hint=error.hint) from error


def _stored(value: Any, *, text: bool) -> NDArray[Any]:
    """A value as an array; strings as bytes. Labels are no strings, whatever they are."""
    import numpy as np

    array = np.asarray(value)
    if not text or array.dtype.kind not in "SUO":
        return array
    from edgepack.datasets import strings

    # what is an array already was padded before it came here; all else shows where it ends
    return strings.encoded(array if isinstance(value, np.ndarray) else np.asarray(value, object))


def _require_alike(
    spec: DatasetSpec, name: str, number: int, value: NDArray[Any], column: _Column
) -> None:
    """Streaming cannot go back: shape and type are those of the first sample."""
    import numpy as np

    if column.rows != number:
        raise DatasetError(
            f"{spec.function} yielded {name!r} with sample {number}, but not with each before it"
        )
    if value.shape != column.shape:
        raise DatasetError(
            f"{spec.function} yielded samples of different shapes: {name!r} is "
            f"{list(value.shape)} in sample {number}, {list(column.shape)} in the first"
        )
    texts = {value.dtype.kind, column.dtype.kind} == {"S"}  # columns of strings widen
    mixed = not texts and "S" in {value.dtype.kind, column.dtype.kind}
    if mixed or not (texts or np.can_cast(value.dtype, column.dtype, "safe")):
        raise DatasetError(
            f"{spec.function} yielded {name!r} as {value.dtype.name} in sample {number}, as "
            f"{column.dtype.name} in the first",
            hint="Yield one type.",
        )
