"""A bundle that holds, with what is used of it unpacked for as long as that is used."""

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
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from io import BufferedReader

    from edgepack.bundle.keys import PublicKey
    from edgepack.bundle.verify import Checked
    from edgepack.records.manifest import Manifest, ModelEntry
    from edgepack.records.vectors import VariantVectors, VectorIndex


@dataclass(frozen=True)
class Held:
    """A bundle of which every byte was checked.

    Args:
        file: the bundle.
        found: what is in it.
        root: directory for members.
    """

    file: BufferedReader
    found: Checked
    root: Path

    def unpack(self, names: Iterable[str]) -> None:
        """Write members below `root`.

        Raises:
            OutputError: one cannot be written.
        """
        archive.unpack(self.file, (self.found.entries[name] for name in names), self.root)


@contextmanager
def held(bundle: Path, keys: Sequence[PublicKey] = ()) -> Iterator[Held]:
    """Verify a bundle, and keep what is unpacked of it until the end of the block.

    Args:
        bundle: the file.
        keys: one of them must have signed, where there are any.

    Raises:
        VerificationError: the bundle is not whole, or not signed.
        UsageError: there is no such file.
    """
    with (
        reader.opened(bundle) as file,
        tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch,
    ):
        yield Held(file, verify.check(file, bundle, keys), Path(scratch) / "bundle")


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
    with held(bundle) as one:
        manifest = one.found.manifest
        vectors = _index(one.file, bundle, one.found)
        models = {model.variant: model for model in manifest.models}
        entries = _wanted(vectors, bundle, variants)
        one.unpack({*index.paths(vectors), *(model.path for model in models.values())})
        yield Unpacked(
            manifest=manifest,
            sha256=reader.whole(one.file)[0],
            models=models,
            entries=entries,
            count=vectors.count,
            doubts=index.doubts(vectors.model_copy(update={"variants": entries})),
            root=one.root,
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
