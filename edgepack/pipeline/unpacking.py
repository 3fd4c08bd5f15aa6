"""A bundle that holds, with its models and golden vectors unpacked for as long as they are used."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgepack.bundle import archive, reader, verify
from edgepack.errors import UsageError
from edgepack.pipeline.session import SCRATCH
from edgepack.vectors import index
from edgepack.vectors.sharing import INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgepack.bundle.verify import Checked
    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.records.vectors import VariantVectors, VectorIndex


@dataclass(frozen=True)
class Unpacked:
    """What lies in `root`.

    Args:
        manifest: of the bundle.
        sha256: of the bundle.
        models: by variant.
        entries: vectors of the variants that were asked for.
        count: invocations of each file.
        doubts: what the vectors would not notice.
        root: directory that the paths of models and vectors start at.
    """

    manifest: Manifest
    sha256: str
    models: Mapping[str, ModelEntry]
    entries: tuple[VariantVectors, ...]
    count: int
    doubts: tuple[str, ...]
    root: Path


@contextmanager
def unpacked(bundle: Path, variants: Sequence[str]) -> Iterator[Unpacked]:
    """Verify a bundle, and unpack models and vectors until the end of the block.

    Args:
        bundle: the file.
        variants: names; none for all that have vectors.

    Raises:
        VerificationError: the bundle is not whole, or its vectors are none.
        UsageError: it has no vectors, or none of a variant; or there is no such file.
    """
    with (
        reader.opened(bundle) as file,
        tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch,
    ):
        found = verify.check(file, bundle)
        vectors = _index(file, bundle, found)
        models = {one.variant: one for one in found.manifest.models}
        entries, root = _wanted(vectors, bundle, variants), Path(scratch) / "bundle"
        wanted = {*index.paths(vectors), *(one.path for one in models.values())}
        archive.unpack(file, (found.entries[name] for name in wanted), root)
        yield Unpacked(
            manifest=found.manifest,
            sha256=reader.whole(file)[0],
            models=models,
            entries=entries,
            count=vectors.count,
            doubts=index.doubts(vectors.model_copy(update={"variants": entries})),
            root=root,
        )


def _index(file: BinaryIO, where: Path, found: Checked) -> VectorIndex:
    if INDEX not in found.digests:
        raise UsageError(
            "the bundle has no golden vectors",
            where=where,
            hint="Set vectors = 8 under [release] in edgepack.toml, and build it again.",
        )
    data = b"".join(reader.payload(file, found.entries[INDEX]))
    variants = {model.variant for model in found.manifest.models}
    return index.read(data, found.digests.keys(), variants)


def _wanted(
    vectors: VectorIndex, bundle: Path, variants: Sequence[str]
) -> tuple[VariantVectors, ...]:
    entries = {one.variant: one for one in vectors.variants}
    if absent := [name for name in variants if name not in entries]:
        raise UsageError(
            f"the bundle has no vectors of {', '.join(absent)}",
            where=bundle,
            hint=f"There are some of {', '.join(entries)}.",
        )
    return tuple(entries[name] for name in dict.fromkeys(variants or entries))
