"""What git says of a directory: no hooks run, and no variables of the caller steer it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from edgepack.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 20.0  # seconds; a status of a large tree on a cold disk
# No hooks, no file watcher of the repository's choice.
_SAFE = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")
_OWN_SCOPES = ("local", "worktree")
_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}


def ask(directory: Path, *arguments: str) -> str | None:
    """Git's answer without its last line end; None where there is no git, repository or answer.

    Variables GIT_* of the caller are dropped: they may name another repository, or programs.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - git, with our own words
            ["git", *_SAFE, *arguments],  # noqa: S607 - the git of the user's PATH
            cwd=directory,
            env=kept | _ENVIRONMENT | {"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").rstrip("\n") if done.returncode == 0 else None


def changed(directory: Path) -> bool | None:
    """Whether tracked files differ from the commit; None where that cannot be told.

    Nor is it told where the repository's own configuration names filters: git would run them.
    """
    scopes = ask(directory, "config", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
    if any(line.startswith(_OWN_SCOPES) for line in (scopes or "").splitlines()):
        return None
    found = ask(
        directory, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"
    )
    return None if found is None else bool(found)


def commit_count(directory: Path) -> int:
    """Commits that lead to HEAD, itself included.

    Raises:
        UsageError: no git, no repository, no commit, or a shallow clone, which has too few.
    """
    if ask(directory, "rev-parse", "--is-shallow-repository") == "true":
        raise UsageError(
            "commits cannot be counted: the clone is shallow",
            where=directory,
            hint="Fetch all of it: git fetch --unshallow (GitHub's checkout: fetch-depth: 0).",
        )
    counted = ask(directory, "rev-list", "--count", "HEAD")
    if counted is None or not counted.isdecimal():
        raise UsageError(
            "commits cannot be counted: git finds no repository with a commit",
            where=directory,
            hint="Build in a checkout with git installed, or give a number: --sequence 1.",
        )
    return int(counted)
