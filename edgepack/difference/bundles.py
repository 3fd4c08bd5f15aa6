"""Two bundles, checked whole and compared."""

from __future__ import annotations

import mmap
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepack.bundle import parts, reader, verify
from edgepack.difference.fields import About, listed, short
from edgepack.difference.manifests import between, ranked
from edgepack.records.difference import Difference, Side
from edgepack.tflite.contents import contents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

    from edgepack.bundle.verify import Checked
    from edgepack.records.difference import Change
    from edgepack.tflite.contents import Contents

UNSIGNED = "it is not signed yet"
LOST = "whoever checks with that key refuses it"
UNREAD = "manifest.json says what this edgepack does not know"


@dataclass(frozen=True)
class _Open:
    """A bundle that holds, still open."""

    path: Path
    file: BufferedReader
    checked: Checked

    def model(self, path: str) -> Contents:
        """Graph and weights of one of its models, in place and not in memory."""
        entry = self.checked.entries[path]
        mapped = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(mapped)[entry.offset : entry.offset + entry.size]
        return contents(view, f"{self.path}: {path}")


def compare(before: Path, after: Path) -> Difference:
    """Check two bundles and tell all that changed from the first to the second.

    Raises:
        VerificationError: one of them does not hold.
        UsageError: one of them cannot be read.
    """
    with ExitStack() as stack:
        old, new = (_opened(stack, path) for path in (before, after))
        sides = _side(old), _side(new)
        same = sides[0].contents_sha256 == sides[1].contents_sha256
        found = [*_signers(*sides)]
        if not same:
            found += _differences(old, new)
    changes = ranked(found)
    return Difference(
        before=sides[0],
        after=sides[1],
        same_contents=same,
        breaking=any(change.breaking for change in changes),
        changes=changes,
    )


def _opened(stack: ExitStack, path: Path) -> _Open:
    file = stack.enter_context(reader.opened(path))
    return _Open(path, file, verify.check(file, path))


def _side(bundle: _Open) -> Side:
    digest, size = reader.whole(bundle.file)
    manifest, signed = bundle.checked.manifest, bundle.checked.signed
    return Side(
        path=str(bundle.path),
        name=manifest.name,
        version=manifest.version,
        sequence=manifest.sequence,
        sha256=digest,
        contents_sha256=bundle.checked.contents,
        size_bytes=size,
        signed_by=tuple(sorted((*signed.checked, *signed.unchecked))),
    )


def _differences(old: _Open, new: _Open) -> list[Change]:
    """What of the contents differs; never nothing."""
    before, after = old.checked.manifest, new.checked.manifest
    kept = {model.variant: model for model in after.models}
    differing = {
        model.variant: (old.model(model.path), new.model(kept[model.variant].path))
        for model in before.models
        if model.variant in kept and model.digest != kept[model.variant].digest
    }
    found = [*between(before, after, differing), *_attachments(old.checked, new.checked)]
    return found or [About("files").change(parts.MANIFEST, ("", ""), detail=UNREAD)]


def _attachments(old: Checked, new: Checked) -> Iterator[Change]:
    for name in sorted({*old.manifest.attachments} & {*new.manifest.attachments}):
        pair = short(old.digests[name]), short(new.digests[name])
        yield from About("files", part=name).differing("contents", pair)


def _signers(old: Side, new: Side) -> Iterator[Change]:
    """A key that signed no more locks out those who hold it, unless signing is yet to come."""
    lost, won = {*old.signed_by} - {*new.signed_by}, {*new.signed_by} - {*old.signed_by}
    if lost:
        why, detail = (LOST, "") if new.signed_by else ("", UNSIGNED)
        pair = listed(map(short, sorted(lost))), ""
        yield About("release").change("signature by", pair, why, detail)
    if won:
        yield About("release").change("signature by", ("", listed(map(short, sorted(won)))))
