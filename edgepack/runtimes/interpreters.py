"""The Pythons of this machine: older runtimes have wheels for older ones only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MINORS = range(14, 6, -1)  # 3.14 to 3.7, which has TensorFlow 1.15
TELL = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
SECONDS = 30


@dataclass(frozen=True)
class Interpreter:
    """A Python that can make virtual environments.

    Args:
        path: its program.
        version: such as 3.9.
    """

    path: Path
    version: str


@cache
def interpreters() -> tuple[Interpreter, ...]:
    """One of each version from 3.7 on, newest first: this one, PATH's, pyenv's and uv's."""
    found: dict[str, Interpreter] = {}
    for path in _candidates():
        version = _version(path)
        if re.fullmatch(r"3\.(?:[7-9]|1[0-4])", version):
            found.setdefault(version, Interpreter(path, version))
    order = [f"3.{minor}" for minor in MINORS]
    return tuple(found[version] for version in order if version in found)


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    for minor in MINORS:
        if program := shutil.which(f"python3.{minor}"):
            yield Path(program)
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "uv/python"
    for directory in (pyenv, data):
        yield from sorted(directory.glob("*/bin/python3"))


def _version(program: Path) -> str:
    """What it says of itself; nothing where it does not run, or cannot make environments."""
    try:
        done = subprocess.run(  # noqa: S603 - a Python of this machine
            [program, "-I", "-c", TELL], capture_output=True, text=True, timeout=SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
