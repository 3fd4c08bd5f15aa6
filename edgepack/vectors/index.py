"""`vectors/index.json`: put together, and read from bundles that may lie."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import from_json

from edgepack.errors import VerificationError
from edgepack.files import canonical_json
from edgepack.records.vectors import VariantVectors, VectorIndex, VectorOutput
from edgepack.vectors.sharing import FOLDER, INDEX
from edgepack.vectors.tolerance import tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from edgepack.records.vectors import (
        Configuration,
        Differences,
        Distances,
        VectorRun,
        VectorTensor,
    )

HINT = "Build the bundle again."


def text(index: VectorIndex) -> bytes:
    """The index as canonical JSON, without a line end."""
    return canonical_json(index.model_dump(mode="json"))


def read(data: bytes, members: AbstractSet[str], variants: AbstractSet[str]) -> VectorIndex:
    """The index that a bundle holds.

    Args:
        data: the member's bytes.
        members: names of all members, which paths must be among.
        variants: names of the bundle's files.

    Raises:
        VerificationError: it is none, of a later version, or names what is not there.
    """
    try:
        raw = from_json(data)
        version = raw.get("schema_version") if isinstance(raw, dict) else None
        if isinstance(version, int) and version > 1:
            what = f"schema_version {version} is unknown here; a newer edgepack reads it"
            raise VerificationError(what, where=INDEX)
        # What a later edgepack adds to this version is no fault.
        index = VectorIndex.model_validate_json(data, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise VerificationError(what, where=INDEX, hint=HINT) from error
    except ValueError as error:
        raise VerificationError(f"not JSON: {error}", where=INDEX, hint=HINT) from error
    if fault := next(_faults(index, members, variants), ""):
        raise VerificationError(fault, where=INDEX, hint=HINT)
    return index


def _faults(
    index: VectorIndex, members: AbstractSet[str], variants: AbstractSet[str]
) -> Iterator[str]:
    yield from _tensor_faults(index.source, members)
    for one in index.variants:
        if one.variant not in variants:
            yield f"{one.variant!r} is no variant of this bundle"
        if not one.outputs:
            yield f"{one.variant} has no outputs"
        yield from _tensor_faults((*one.inputs, *one.outputs), members)
        if not all(math.isfinite(tensor.tolerance) for tensor in one.outputs):
            yield f"a tolerance of {one.variant} is not finite"


def _tensor_faults(tensors: Sequence[VectorTensor], members: AbstractSet[str]) -> Iterator[str]:
    for tensor in tensors:
        if tensor.path not in members or not tensor.path.startswith(FOLDER):
            yield f"{tensor.path!r} is no vector of this bundle"
        if any(size < 0 for size in tensor.shape):
            yield f"{tensor.name!r} has the shape {list(tensor.shape)}"


def paths(index: VectorIndex) -> tuple[str, ...]:
    """The files that the index speaks of, each once, in order."""
    tensors = [*index.source]
    for one in index.variants:
        tensors += [*one.inputs, *one.outputs]
    return tuple(dict.fromkeys(tensor.path for tensor in tensors))


def judged(
    variant: str,
    run: VectorRun,
    found: Sequence[tuple[Configuration, Differences]],
    peaks: Sequence[float],
    steps: Mapping[str, float],
) -> VariantVectors:
    """One file's entry, with tolerances; what else would pass for it is not in it yet.

    Args:
        variant: its name.
        run: what was recorded of it.
        found: how far configurations are from what was recorded, the recorded one first.
        peaks: largest absolute value by output.
        steps: how finely an output is graded, in units of what it stores; see `tolerance`.
    """
    outputs = []
    for number, tensor in enumerate(run.outputs):
        spread = max(one.largest[number] for _, one in found)
        most = tolerance(spread, tensor.dtype, peaks[number], steps.get(tensor.name, 0.0))
        outputs.append(VectorOutput(**tensor.model_dump(), tolerance=most, spread=spread))
    return VariantVectors(
        variant=variant,
        signature=run.model.signature,
        inputs=run.inputs,
        outputs=tuple(outputs),
        configurations=tuple(configuration for configuration, _ in found),
    )


def told_apart(entry: VariantVectors, found: Distances) -> VariantVectors:
    """The entry with what its tolerances cannot tell from it."""
    tolerances = [one.tolerance for one in entry.outputs]

    def alike(apart: Sequence[float]) -> bool:
        return all(value <= most for value, most in zip(apart, tolerances, strict=True))

    outputs = tuple(
        output.model_copy(
            update={
                "between_samples": _least(apart[number] for _, _, apart in found.samples),
                "between_variants": _least(apart[number] for apart in found.variants.values()),
            }
        )
        for number, output in enumerate(entry.outputs)
    )
    update = {
        "outputs": outputs,
        "alike_samples": tuple((a, b) for a, b, apart in found.samples if alike(apart)),
        "alike_variants": tuple(name for name, apart in found.variants.items() if alike(apart)),
    }
    return entry.model_copy(update=update)


def _least(values: Iterator[float]) -> float | None:
    return min((value for value in values if math.isfinite(value)), default=None)


def doubts(index: VectorIndex) -> tuple[str, ...]:
    """What replaying would not notice, in words; empty where it notices every other model here."""
    return tuple(doubt for one in index.variants for doubt in _doubts(one, index.count))


def _doubts(entry: VariantVectors, count: int) -> Iterator[str]:
    pairs = count * (count - 1) // 2
    if pairs and len(entry.alike_samples) == pairs:
        yield f"{entry.variant} answers every input alike: its vectors tell nothing"
    elif entry.alike_samples:
        named = " and ".join(map(str, entry.alike_samples[0]))
        more = len(entry.alike_samples) - 1
        others = f", and {more} more pairs" if more else ""
        yield f"{entry.variant} answers the invocations {named} alike{others}"
    if entry.alike_variants:
        others = ", ".join(entry.alike_variants)
        yield f"the vectors of {entry.variant} would not notice {others} in its place"
