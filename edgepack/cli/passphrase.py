"""Passphrases of keys: from the environment, or asked for on the terminal."""

from __future__ import annotations

import getpass
import os
import sys

from edgepack.errors import KeyFileError

VARIABLE = "EDGEPACK_KEY_PASSPHRASE"


def passphrase(key: str) -> bytes:
    """The passphrase of an encrypted key.

    Raises:
        KeyFileError: the environment has none, and there is no terminal to ask on.
    """
    return _given() or _asked(f"Passphrase of {key}: ", key)


def new_passphrase() -> bytes:
    """A passphrase for a new key, asked for twice on a terminal.

    Raises:
        KeyFileError: there is none, or the two differ.
    """
    if given := _given():
        return given
    first = _asked("Passphrase: ")
    if not first or first != _asked("Again: "):
        raise KeyFileError("the passphrase is empty, or not the same twice", hint="Start again.")
    return first


def _given() -> bytes:
    return os.fsencode(os.environ.get(VARIABLE, ""))


def _asked(prompt: str, key: str | None = None) -> bytes:
    if not sys.stdin.isatty():
        raise KeyFileError(
            "a passphrase is needed, and there is no terminal to ask for it",
            where=key,
            hint=f"Give it by the environment variable {VARIABLE}.",
        )
    try:
        return os.fsencode(getpass.getpass(prompt))
    except EOFError as error:
        raise KeyFileError("no passphrase was given", where=key, hint="Start again.") from error
