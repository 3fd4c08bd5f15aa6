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
    if given := os.environ.get(VARIABLE):
        return given.encode()
    if not sys.stdin.isatty():
        raise KeyFileError(
            "is encrypted, and there is no terminal to ask for its passphrase",
            where=key,
            hint=f"Give the passphrase by the environment variable {VARIABLE}.",
        )
    return getpass.getpass(f"Passphrase of {key}: ").encode()


def new_passphrase() -> bytes:
    """A passphrase for a new key, asked for twice on a terminal.

    Raises:
        KeyFileError: there is none, or the two differ.
    """
    if given := os.environ.get(VARIABLE):
        return given.encode()
    if not sys.stdin.isatty():
        raise KeyFileError(
            "there is no terminal to ask for a passphrase",
            hint=f"Give it by the environment variable {VARIABLE}.",
        )
    first = getpass.getpass("Passphrase: ")
    if not first or first != getpass.getpass("Again: "):
        raise KeyFileError("the passphrase is empty, or not the same twice", hint="Start again.")
    return first.encode()
