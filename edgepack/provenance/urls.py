"""URLs of repositories and CI runs, fit to be published."""

from __future__ import annotations

import re

_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_PATH = r"(?:/[A-Za-z0-9._~!$&'()*+,=:%/-]*)?"
_PUBLIC = re.compile(rf"(?:https?|ssh|git)://{_HOST}{_PATH}")
_SCP = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!/)([^:@\s]+)")


def public(url: str) -> str:
    """A repository's URL without user, password, parameters, query and fragment.

    Git's short form `git@host:path` becomes `ssh://host/path`. What may hide a secret or names a
    place on this machine only, such as a path, comes back empty.
    """
    url = url.strip()
    if "://" not in url:
        short = _SCP.fullmatch(url)
        url = f"ssh://{short[1]}/{short[2]}" if short else ""
    scheme, _, rest = url.partition("://")
    kept, *cut = re.split(r"[?#;]", rest, maxsplit=1)
    authority, slash, path = kept.partition("/")
    plain = f"{scheme.lower()}://{authority.rpartition('@')[2]}{slash}{path}"
    misread = "@" in "".join(cut)  # such a character may have stood in a password
    return plain if _PUBLIC.fullmatch(plain) and not misread else ""
