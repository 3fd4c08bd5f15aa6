"""What every test may use: the installed command, golden files, a cache of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable

settings.register_profile("edgepack", deadline=None, print_blob=True)
settings.load_profile("edgepack")

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"


class Command(Protocol):
    """Runs `edgepack` with arguments and returns what came of it."""

    def __call__(
        self, *arguments: str | Path, cwd: Path | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite golden files, and what README.md quotes, from what the program says now",
    )


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def plain_env() -> dict[str, str]:
    """The environment of a command whose output is compared: no colour, 80 columns, English."""
    names = ("PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"COLUMNS": "80", "LANG": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.fixture(scope="session")
def edgepack(plain_env: dict[str, str]) -> Command:
    """The installed command, or the package itself where no command was installed."""
    script = Path(sys.executable).with_name("edgepack")
    start = [str(script)] if script.exists() else [sys.executable, "-m", "edgepack"]
    env = plain_env if script.exists() else plain_env | {"PYTHONPATH": str(ROOT)}

    def run(
        *arguments: str | Path, cwd: Path | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*start, *map(str, arguments)],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares text with `tests/golden/NAME`, or rewrites that under `--update-golden`."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("update_golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), "run pytest --update-golden and read it"

    return check
