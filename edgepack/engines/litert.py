"""LiteRT's C interface, by which alone Python reaches the runtime's profiler. Runs in a worker.

The wheel ships the library without its headers, and no Python binding of the profiler. The calls
and structures here are those of LiteRT's public headers, and hold for the versions that they were
run with: an unknown one is not called at all, as a wrong structure would be read as garbage.
"""

from __future__ import annotations

import ctypes as c
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

RUNTIME = "ai-edge-litert"
RECOGNISED = ("2.3",)  # major and minor versions that this was run with
LIBRARIES = ("libLiteRt.so", "libLiteRt.dylib", "LiteRt.dll")
CPU = 1  # LiteRtHwAccelerators
ACCELERATORS = 24  # LiteRtEnvOptionTag: which of them to look for; the others load GPU drivers
INTEGER = 2  # LiteRtAnyType
READ, WRITE = 0, 1  # LiteRtTensorBufferLockMode
RANK = 8  # most dimensions of a tensor
STATUSES = {1: "invalid argument", 2: "no memory", 3: "failed", 5: "unsupported", 6: "not found"}
CAPACITY = 512 * 1024  # events that the profiler keeps; it drops those beyond

Handle = c.c_void_p
Pointer = c.c_void_p
Size = c.c_size_t


class UnavailableError(Exception):
    """The profiler cannot be reached, or does not take the model; the message says why."""


class _Layout(c.Structure):
    _fields_: ClassVar = [
        ("rank", c.c_uint, 7),
        ("has_strides", c.c_uint, 1),
        ("dimensions", c.c_int32 * RANK),
        ("strides", c.c_uint32 * RANK),
    ]


class _TensorType(c.Structure):
    _fields_: ClassVar = [("element", c.c_int), ("layout", _Layout)]


class _Any(c.Structure):
    _fields_: ClassVar = [("type", c.c_int), ("integer", c.c_int64)]


class _EnvironmentOption(c.Structure):
    _fields_: ClassVar = [("tag", c.c_int), ("value", _Any)]


class _Event(c.Structure):
    _fields_: ClassVar = [
        ("tag", c.c_char_p),
        ("kind", c.c_int),
        ("start_us", c.c_uint64),
        ("elapsed_us", c.c_uint64),
        ("memory", Size * 6),
        ("node", c.c_int64),
        ("subgraph", c.c_int64),
        ("source", c.c_int),
    ]


class Event(NamedTuple):
    """What the profiler recorded: of an operator, with its place; of anything else, with a name."""

    name: str
    kind: int
    start_us: int
    elapsed_us: int
    node: int
    subgraph: int


FREE = c.CFUNCTYPE(None, c.c_void_p)
CALLS: dict[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c.c_int, Pointer, Pointer),
    "CreateModelFromFile": (Handle, c.c_char_p, Pointer),
    "CreateOptions": (Pointer,),
    "SetOptionsHardwareAccelerators": (Handle, c.c_int),
    "CreateOpaqueOptions": (c.c_char_p, Pointer, FREE, Pointer),
    "AddOpaqueOptions": (Handle, Handle),
    "CreateCompiledModel": (Handle, Handle, Handle, Pointer),
    "GetNumModelSignatures": (Handle, Pointer),
    "GetModelSignature": (Handle, Size, Pointer),
    "GetSignatureKey": (Handle, Pointer),
    "GetNumSignatureInputs": (Handle, Pointer),
    "GetSignatureInputName": (Handle, Size, Pointer),
    "GetSignatureInputTensorByIndex": (Handle, Size, Pointer),
    "GetNumSignatureOutputs": (Handle, Pointer),
    "GetSignatureOutputTensorByIndex": (Handle, Size, Pointer),
    "GetRankedTensorType": (Handle, Pointer),
    "CompiledModelResizeInputTensorNonStrict": (Handle, Size, Size, Pointer, Size),
    "GetCompiledModelOutputTensorLayouts": (Handle, Size, Size, Pointer, c.c_bool),
    "GetCompiledModelInputBufferRequirements": (Handle, Size, Size, Pointer),
    "GetCompiledModelOutputBufferRequirements": (Handle, Size, Size, Pointer),
    "CreateManagedTensorBufferFromRequirements": (Handle, Pointer, Handle, Pointer),
    "GetTensorBufferPackedSize": (Handle, Pointer),
    "LockTensorBuffer": (Handle, Pointer, c.c_int),
    "UnlockTensorBuffer": (Handle,),
    "RunCompiledModel": (Handle, Size, Size, Pointer, Size, Pointer),
    "CompiledModelGetProfiler": (Handle, Pointer),
    "StartProfiler": (Handle,),
    "StopProfiler": (Handle,),
    "GetNumProfilerEvents": (Handle, Pointer),
    "GetProfilerEvents": (Handle, c.c_int, Pointer),
}
ENDS = ("TensorBuffer", "CompiledModel", "Options", "Model", "Environment")  # LiteRtDestroy...


class Library:
    """The shared library of the installed ai-edge-litert, its calls checked.

    Raises:
        UnavailableError: it is not there, or of a version that is not known here.
    """

    def __init__(self) -> None:
        found = version(RUNTIME)
        if ".".join(found.split(".")[:2]) not in RECOGNISED:
            known = ", ".join(RECOGNISED)
            raise UnavailableError(
                f"the profiler of {RUNTIME} {found} is not known, only those of {known}"
            )
        try:
            self._library = c.CDLL(str(_path()))
            self._declare()
        except (AttributeError, OSError) as error:
            raise UnavailableError(f"the library of {RUNTIME} {found} fails: {error}") from error

    def _declare(self) -> None:
        for name, arguments in CALLS.items():
            function = getattr(self._library, f"LiteRt{name}")
            function.argtypes, function.restype = arguments, c.c_int
        for name in ENDS:
            function = getattr(self._library, f"LiteRtDestroy{name}")
            function.argtypes, function.restype = (Handle,), None

    def call(self, name: str, *arguments: Any) -> None:
        """Call LiteRtNAME.

        Raises:
            UnavailableError: it answers with a status that is not 0.
        """
        if status := getattr(self._library, f"LiteRt{name}")(*arguments):
            meant = STATUSES.get(status, f"status {status}")
            raise UnavailableError(f"the profiler does not take the file: LiteRt{name}: {meant}")

    def made(self, name: str, *arguments: Any) -> Handle:
        """What LiteRtNAME leaves behind its last argument, a handle."""
        handle = Handle()
        self.call(name, *arguments, c.byref(handle))
        return handle

    def number(self, name: str, *arguments: Any) -> int:
        """What LiteRtNAME leaves behind its last argument, a size."""
        found = Size()
        self.call(name, *arguments, c.byref(found))
        return found.value

    def text(self, name: str, *arguments: Any) -> str:
        """What LiteRtNAME leaves behind its last argument, a text."""
        found = c.c_char_p()
        self.call(name, *arguments, c.byref(found))
        return (found.value or b"").decode(errors="replace")

    def destroy(self, name: str, handle: Handle) -> None:
        """Give back what was made."""
        getattr(self._library, f"LiteRtDestroy{name}")(handle)


def _path() -> Path:
    spec = find_spec("ai_edge_litert")
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    for path in (folder / name for folder in folders for name in LIBRARIES):
        if path.exists():
            return path
    raise UnavailableError(f"{RUNTIME} has no {LIBRARIES[0]} here")


_keep = FREE(lambda _: None)  # nothing to free: Python owns the text


class Profiled:
    """One signature of a file, compiled for this CPU with the profiler on. A context manager.

    Args:
        path: the file.
        signature: its name; empty for the only one, or where the file has none.
        threads: of the runtime's kernels and of the delegate.

    Raises:
        UnavailableError: the runtime does not take it this way.
    """

    def __init__(self, library: Library, path: str, signature: str, threads: int) -> None:
        self._library, self._path = library, path
        self._wanted, self._threads = signature, threads
        self._texts: list[Any] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stack = stack
            self._open()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _owned(self, kind: str, handle: Handle) -> Handle:
        self._stack.callback(self._library.destroy, kind, handle)
        return handle

    def _open(self) -> None:
        made = self._library.made
        only = _EnvironmentOption(ACCELERATORS, _Any(INTEGER, CPU))
        self._environment = self._owned("Environment", made("CreateEnvironment", 1, c.byref(only)))
        path = str(self._path).encode()
        self._model = self._owned("Model", made("CreateModelFromFile", self._environment, path))
        options = self._owned("Options", made("CreateOptions"))
        self._library.call("SetOptionsHardwareAccelerators", options, CPU)
        self._set(options, b"runtime_options_string", b"enable_profiling = true\n")
        self._set(options, b"xnnpack", f"num_threads = {self._threads}\n".encode())
        compiled = made("CreateCompiledModel", self._environment, self._model, options)
        self._compiled = self._owned("CompiledModel", compiled)
        self._number, self._signature = self._find()
        self._profiler = made("CompiledModelGetProfiler", compiled)

    def _set(self, options: Handle, name: bytes, toml: bytes) -> None:
        text = c.create_string_buffer(toml)
        self._texts.append(text)
        opaque = self._library.made("CreateOpaqueOptions", name, c.addressof(text), _keep)
        self._library.call("AddOpaqueOptions", options, opaque)

    def _find(self) -> tuple[int, Handle]:
        """The signature; a file without any has one of no name that matters."""
        count = self._library.number("GetNumModelSignatures", self._model)
        for number in range(count):
            found = self._library.made("GetModelSignature", self._model, number)
            if not self._wanted or self._library.text("GetSignatureKey", found) == self._wanted:
                return number, found
        raise UnavailableError(f"the profiler finds no signature {self._wanted}")

    def feed(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Give every input its values, as the file stores them, and make room for the outputs."""
        names = self._input_names()
        if set(names) != set(arrays):
            raise UnavailableError(f"the profiler names the inputs {', '.join(names)}")
        for index, name in enumerate(names):
            self._resize(index, arrays[name].shape)
        layouts = self._layouts()
        self._inputs = self._buffers("Input", [_layout(arrays[name].shape) for name in names])
        self._outputs = self._buffers("Output", layouts)
        for buffer, name in zip(self._inputs, names, strict=True):
            self._write(buffer, arrays[name])

    def _input_names(self) -> list[str]:
        count = self._library.number("GetNumSignatureInputs", self._signature)
        name = self._library.text
        return [name("GetSignatureInputName", self._signature, n) for n in range(count)]

    def _resize(self, index: int, shape: tuple[int, ...]) -> None:
        if self._type("Input", index).layout.dimensions[: len(shape)] == list(shape):
            return
        call = "CompiledModelResizeInputTensorNonStrict"
        dimensions = (c.c_int * len(shape))(*shape)
        self._library.call(
            call, self._compiled, self._number, index, c.byref(dimensions), len(shape)
        )

    def _type(self, side: str, index: int) -> _TensorType:
        found = _TensorType()
        tensor = self._library.made(f"GetSignature{side}TensorByIndex", self._signature, index)
        self._library.call("GetRankedTensorType", tensor, c.byref(found))
        return found

    def _layouts(self) -> list[_Layout]:
        """Those of the outputs, for the shapes that the inputs have now."""
        count = self._library.number("GetNumSignatureOutputs", self._signature)
        found = (_Layout * count)()
        call = "GetCompiledModelOutputTensorLayouts"
        self._library.call(call, self._compiled, self._number, count, c.byref(found), True)
        return list(found)

    def _buffers(self, side: str, layouts: Iterable[_Layout]) -> list[Handle]:
        made, found = self._library.made, []
        for index, layout in enumerate(layouts):
            kind = self._type(side, index)
            kind.layout = layout
            need = f"GetCompiledModel{side}BufferRequirements"
            needed = made(need, self._compiled, self._number, index)
            call = "CreateManagedTensorBufferFromRequirements"
            buffer = made(call, self._environment, c.byref(kind), needed)
            found.append(self._owned("TensorBuffer", buffer))
        return found

    def _write(self, buffer: Handle, values: NDArray[Any]) -> None:
        stored = np.ascontiguousarray(values)
        if self._library.number("GetTensorBufferPackedSize", buffer) != stored.nbytes:
            raise UnavailableError("the profiler has another size for an input than the file")
        place = c.c_void_p()
        self._library.call("LockTensorBuffer", buffer, c.byref(place), WRITE)
        c.memmove(place, stored.ctypes.data, stored.nbytes)
        self._library.call("UnlockTensorBuffer", buffer)

    def run(self) -> None:
        """Run once on what was fed."""
        sides = (self._inputs, self._outputs)
        arrays = [(Handle * len(side))(*(handle.value for handle in side)) for side in sides]
        given = [part for array in arrays for part in (len(array), c.byref(array))]
        self._library.call("RunCompiledModel", self._compiled, self._number, *given)

    def read(self, index: int, size: int) -> bytes:
        """So many bytes of an output of the last run."""
        place = c.c_void_p()
        self._library.call("LockTensorBuffer", self._outputs[index], c.byref(place), READ)
        content = c.string_at(place, size)
        self._library.call("UnlockTensorBuffer", self._outputs[index])
        return content

    def record(self, invocations: int) -> list[list[Event]]:
        """Run so many times; what the profiler has of each, in order.

        Raises:
            UnavailableError: that is more than it keeps.
        """
        self._library.call("StartProfiler", self._profiler)
        ends = [0]
        for _ in range(invocations):
            self.run()
            ends.append(self._count())
        self._library.call("StopProfiler", self._profiler)
        found = self._events(ends[-1])
        return [found[start:end] for start, end in pairwise(ends)]

    def _count(self) -> int:
        count = c.c_int()
        self._library.call("GetNumProfilerEvents", self._profiler, c.byref(count))
        return count.value

    def _events(self, count: int) -> list[Event]:
        if count >= CAPACITY:
            raise UnavailableError(f"one inference has over {CAPACITY} events, which is too many")
        found = (_Event * max(1, count))()
        self._library.call("GetProfilerEvents", self._profiler, count, c.byref(found))
        return [_read(one) for one in found[:count]]


def _read(one: _Event) -> Event:
    name = (one.tag or b"").decode(errors="replace")
    return Event(name, one.kind, one.start_us, one.elapsed_us, one.node, one.subgraph)


def _layout(shape: tuple[int, ...]) -> _Layout:
    if len(shape) > RANK:
        raise UnavailableError(f"the profiler takes no input of {len(shape)} dimensions")
    return _Layout(rank=len(shape), has_strides=0, dimensions=(*shape,))
