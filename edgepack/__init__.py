"""edgepack: convert, measure, gate and bundle TensorFlow models for devices.

`build`, `diff`, `export`, `inspect`, `keygen`, `selftest`, `sensitivity`, `sign` and `verify` are
what the commands of the same names do, `check_targets` is `targets check`, and `runtime_matrix` is
`runtimes`; they return frozen records and raise `EdgepackError`.
Nothing is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgepack.api import (
        build,
        check_targets,
        diff,
        export,
        inspect,
        keygen,
        runtime_matrix,
        selftest,
        sensitivity,
        sign,
        verify,
    )
    from edgepack.errors import EdgepackError

    __version__: str

__all__ = [
    "EdgepackError",
    "__version__",
    "build",
    "check_targets",
    "diff",
    "export",
    "inspect",
    "keygen",
    "runtime_matrix",
    "selftest",
    "sensitivity",
    "sign",
    "verify",
]


def __getattr__(name: str) -> object:
    if name == "EdgepackError":
        from edgepack import errors

        return errors.EdgepackError
    if name == "__version__":
        from importlib.metadata import version

        return version("edgepack")
    if name in __all__:
        from edgepack import api

        return getattr(api, name)
    raise AttributeError(f"module 'edgepack' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
