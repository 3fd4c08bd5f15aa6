"""Which project a command is about."""

from __future__ import annotations

from pathlib import Path


def config_file(config: Path | None, *, demo: bool = False, enough: bool = False) -> Path | None:
    """The config file to read; None where flags say everything.

    Args:
        config: a file or directory that was named, if any.
        demo: whether the embedded project is meant.
        enough: whether no file is needed.

    Raises:
        UsageError: there is none.
    """
    from edgepack import builtin
    from edgepack.config.settings import DEFAULT
    from edgepack.errors import UsageError

    if demo:
        if config:
            raise UsageError("--demo is about the embedded project", hint=f"Leave {config} out.")
        return builtin.path("calibration") / "digits" / DEFAULT
    found = config or Path()
    if not found.is_dir():
        return found
    if (found / DEFAULT).is_file():
        return found / DEFAULT
    if config is None and enough:
        return None
    model = found if (found / "saved_model.pb").is_file() else "SAVED_MODEL"
    hint = f"Write one: edgepack init {model}. Or see one at work: edgepack build --demo."
    raise UsageError(f"there is no {DEFAULT} here", where=found.absolute(), hint=hint)
