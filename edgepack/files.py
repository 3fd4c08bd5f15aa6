"""What every room needs of files: digests, canonical JSON, whole-or-nothing writes, safe names."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import rfc8785

from edgepack.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedRandom

STALE_SECONDS = 3600
MAX_NAME_BYTES = 200
_TEMPORARY = re.compile(r"\..*\.edgepack-[0-9a-f]{12}\.tmp")
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$)", re.IGNORECASE)
_HINTS = {
    errno.ENOSPC: "Free space there, or choose another output directory.",
    errno.EDQUOT: "Free space there, or choose another output directory.",
    errno.EFBIG: "Raise the limit on file sizes (ulimit -f).",
    errno.EACCES: "Make the directory writable, or choose another one.",
    errno.EPERM: "Make the directory writable, or choose another one.",
    errno.EROFS: "The file system is read-only: choose another output directory.",
    errno.ENOTDIR: "A part of the path is a file: choose another output directory.",
    errno.EISDIR: "Remove that directory, or choose another name.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal, in bounded memory.

    Raises:
        OSError: the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes) -> str:
    """SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of a value of dicts, lists, strings, numbers, bools and None (RFC 8785).

    Raises:
        UsageError: it holds NaN, an infinity, an integer beyond 2**53 - 1, or no JSON at all.
    """
    try:
        return rfc8785.dumps(value)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"a value has no canonical JSON: {error}") from error


@contextlib.contextmanager
def replace(path: str | Path) -> Iterator[BufferedRandom]:
    """Open a new file that takes the place of `path` when the block ends, whole or not at all.

    The bytes go to a temporary file in the same directory, which is made if need be. It may be
    read and rewound too. When the block or the disk fails, what was at `path` stays and the
    temporary goes. Symbolic links are followed: the file that they name is replaced.

    Raises:
        OutputError: it cannot be written; names the path, the reason and a way out.
    """
    target = Path(os.path.realpath(path))
    with _explained(target):
        _check_replaceable(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        file = _create_temporary(target)
    temporary = Path(file.name)
    try:
        with _explained(target, temporary):
            yield file
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        _discard(file, temporary)
    _sync_directory(target.parent)


def write_atomic(path: str | Path, data: bytes) -> None:
    """Make `data` the content of `path`, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replace(path) as file:
        file.write(data)


def sweep(directory: str | Path) -> tuple[Path, ...]:
    """Remove the temporary files that killed runs left in `directory`, and return their paths.

    A temporary that a process still writes is locked by it, and stays. Where the file system knows
    no locks, those older than an hour go. What cannot be removed stays without complaint.
    """
    try:
        found = sorted(p for p in Path(directory).iterdir() if _TEMPORARY.fullmatch(p.name))
    except OSError:
        return ()
    return tuple(path for path in found if _remove_if_abandoned(path))


def safe_member(name: str) -> str:
    """Return the name of an archive member when it is one that every system unpacks as written.

    Raises:
        ValueError: with the reason, such as a path that is absolute or leads out of the archive.
    """
    if fault := _name_fault(name):
        raise ValueError(fault)
    return name


def _name_fault(name: str) -> str:
    """What is wrong with a member's name, or nothing."""
    parts = name.split("/")
    faults = {
        "the name is empty": not name,
        "the name is absolute": name.startswith("/"),
        "the name is a directory's": name.endswith("/") and len(parts) > 1,
        "the name leads out of the archive": ".." in parts,
        "the name has an empty or '.' part": not {"", "."}.isdisjoint(parts),
        "the name has a character that a file system forbids": bool(_FORBIDDEN.search(name)),
        "the name starts with '-'": name.startswith("-"),
        "a part of the name ends with a dot or a space": any(p.endswith((".", " ")) for p in parts),
        "a part of the name is a device of Windows": any(_DEVICES.match(p) for p in parts),
        "the name is not text in Unicode's NFC form": not _is_nfc(name),
    }
    fault = next((text for text, found in faults.items() if found), "")
    return fault or ("the name is too long" if len(name.encode()) > MAX_NAME_BYTES else "")


def _is_nfc(name: str) -> bool:
    surrogates = any("\ud800" <= character <= "\udfff" for character in name)
    return not surrogates and unicodedata.is_normalized("NFC", name)


def _check_replaceable(target: Path) -> None:
    if target.parent.exists() and not target.parent.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        raise OutputError(
            "not a regular file, and will not be replaced by one",
            where=target,
            hint="Choose another name.",
        )


def _create_temporary(target: Path) -> BufferedRandom:
    """A new locked file beside `target`, with the mode that the user's umask gives."""
    while True:
        name = f".{target.name[:40]}.edgepack-{secrets.token_hex(6)}.tmp"
        file = target.with_name(name).open("x+b")
        if not _locked(file) and os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # a sweep took it between being made and being locked


def _discard(file: BinaryIO, temporary: Path) -> None:
    with contextlib.suppress(OSError):  # what it still buffers is not wanted
        file.close()
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    """Make the new name survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_if_abandoned(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            if _locked(file, or_younger_than=STALE_SECONDS):
                return False
            path.unlink()
    except OSError:
        return False
    return True


def _locked(file: BinaryIO, or_younger_than: float = float("-inf")) -> bool:
    """Whether another process holds this file; locks it for this one if not.

    Where the file system knows no locks, whether it changed less than so many seconds ago.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return time.time() - os.fstat(file.fileno()).st_mtime < or_younger_than
    return False


@contextlib.contextmanager
def _explained(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn system errors of writing `target` into OutputError; those of other files pass."""
    try:
        yield
    except OSError as error:
        own = {None, *(str(p) for p in (target, *target.parents, temporary))}
        if temporary is not None and error.filename not in own:
            raise
        raise OutputError(
            f"cannot be written: {error.strerror or error}",
            where=target,
            hint=_HINTS.get(error.errno or 0, "Choose another output directory."),
        ) from error
