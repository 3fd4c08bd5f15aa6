"""The worker's side of the pipe: `python -m edgepack.workers.child FD [MEMORY_BYTES]`."""

from __future__ import annotations

import errno
import resource
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from edgepack.errors import EdgepackError, ModelError, OutputError
from edgepack.workers.protocol import Failure, Request


def main(arguments: list[str]) -> None:
    """Serve requests until the parent closes the pipe or dies."""
    _die_with_parent()
    if len(arguments) > 1:
        resource.setrlimit(resource.RLIMIT_DATA, (int(arguments[1]),) * 2)
    pipe = Connection(int(arguments[0]))
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(request))


def _answer(request: Request) -> Any:
    try:
        return request.function(*request.args, **request.kwargs)
    except EdgepackError as error:
        return Failure(error)
    except MemoryError:
        return Failure(
            ModelError(
                "not enough memory", hint="Raise limits.memory_bytes, or use a larger machine."
            )
        )
    except OSError as error:
        return Failure(_denied(request, error))
    except Exception as error:  # noqa: BLE001 - whatever a library raises becomes one typed error
        traceback.print_exc()
        return Failure(_unexpected(request, error))


def _denied(request: Request, error: OSError) -> OutputError:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return OutputError(
        f"could not {_phase(request)}: {error.strerror or error}",
        where=error.filename,
        hint="Free space, or name other directories with --cache-dir and TMPDIR." if full else "",
    )


def _phase(request: Request) -> str:
    return request.function.__name__.replace("_", " ")


def _unexpected(request: Request, error: Exception) -> ModelError:
    text = str(error).strip().splitlines() or [""]
    return ModelError(
        f"could not {_phase(request)}: {type(error).__name__}: {text[0][:500]}",
        hint="Run again with --verbose to see everything that was said.",
    )


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the parent dies, however it dies."""
    if sys.platform != "linux":
        return
    import ctypes

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
