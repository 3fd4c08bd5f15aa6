"""The worker's side of the pipe: `python -m edgepack.workers.child FD MEMORY_BYTES`."""

from __future__ import annotations

import errno
import faulthandler
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from edgepack.errors import EdgepackError, ModelError, OutputError, WorkerMemoryError
from edgepack.workers.death import MORE_MEMORY
from edgepack.workers.protocol import Failure, Request

EXHAUSTED = "ResourceExhaustedError"  # TensorFlow's, known by its name: this imports no TensorFlow


def main(arguments: list[str]) -> None:
    """Serve requests until the parent closes the pipe or dies."""
    _die_with_parent()
    _limit(int(arguments[1]))
    faulthandler.enable()  # a crash says where, in the log
    pipe = Connection(int(arguments[0]))
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(request))


def _limit(memory_bytes: int) -> None:
    """Leave no core files, and use no more data memory than may be; no limit is ever raised."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))


def _answer(request: Request) -> Any:
    try:
        return request.function(*request.args, **request.kwargs)
    except EdgepackError as error:
        return Failure(_ran_out(request, error) or error)
    except OSError as error:
        return Failure(_ran_out(request, error) or _denied(request, error))
    except Exception as error:  # noqa: BLE001 - whatever a library raises becomes one typed error
        traceback.print_exc()
        return Failure(_ran_out(request, error) or _unexpected(request, error))


def _denied(request: Request, error: OSError) -> OutputError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return OutputError(
        f"could not {_phase(request)}: {error.strerror or error}",
        where=error.filename,
        hint="Free space, or name other directories with --cache-dir and TMPDIR." if full else "",
    )


def _phase(request: Request) -> str:
    return request.function.__name__.replace("_", " ")


def _ran_out(request: Request, error: BaseException) -> WorkerMemoryError | None:
    """The error for memory that ran out, whatever an engine took it for."""
    cause: BaseException | None = error
    while cause is not None:
        denied = isinstance(cause, OSError) and cause.errno == errno.ENOMEM
        if denied or isinstance(cause, MemoryError) or type(cause).__name__ == EXHAUSTED:
            said = f": {str(cause).splitlines()[0][:300]}" if str(cause) else ""
            message = f"out of memory while it was to {_phase(request)}{said}"
            return WorkerMemoryError(message, hint=MORE_MEMORY)
        cause = cause.__cause__ or cause.__context__
    return None


def _unexpected(request: Request, error: Exception) -> ModelError:
    text = str(error).strip().splitlines() or [""]
    return ModelError(f"could not {_phase(request)}: {type(error).__name__}: {text[0][:500]}")


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent dies, however it dies."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
