"""Which variants a target takes, and why it takes no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from edgepack.records.compat import ARTIFACTS
from edgepack.records.manifest import TargetEntry
from edgepack.records.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.evidence import Evidence, VariantEvidence
    from edgepack.records.target import Target
    from edgepack.records.tensors import Signature, Tensor


def selection(
    targets: tuple[Target, ...],
    evidence: Evidence,
    signatures: Mapping[str, tuple[Signature, ...]],
) -> tuple[TargetEntry, ...]:
    """The variants that each target accepts, best first.

    Best is what the target's list of precisions puts first, then what is smaller.

    Args:
        targets: what must be satisfied.
        evidence: the variants that were built.
        signatures: each variant's, as read from its .tflite file.
    """
    return tuple(
        TargetEntry(
            name=target.name,
            variants=_accepted(target, evidence, signatures),
            platform=target.platform,
            runtime=target.runtime,
        )
        for target in targets
    )


def target_checks(
    targets: tuple[Target, ...],
    evidence: Evidence,
    signatures: Mapping[str, tuple[Signature, ...]],
) -> Iterator[Check]:
    """One check a target: at least one variant is for it."""
    for target in targets:
        accepted = _accepted(target, evidence, signatures)
        yield Check(
            subject=f"target:{target.name}",
            name="accepts",
            value=len(accepted),
            budget=1,
            outcome="pass" if accepted else "fail",
            detail=", ".join(accepted) or _why_none(target, evidence, signatures),
        )


def _accepted(
    target: Target, evidence: Evidence, signatures: Mapping[str, tuple[Signature, ...]]
) -> tuple[str, ...]:
    fit = [v for v in evidence.variants if not objections(target, v, signatures[v.variant])]
    order = target.precisions.index
    fit.sort(key=lambda v: (order(v.precision), v.size_bytes, v.variant))
    return tuple(v.variant for v in fit)


def _why_none(
    target: Target, evidence: Evidence, signatures: Mapping[str, tuple[Signature, ...]]
) -> str:
    reasons = [
        f"{v.variant}: {', '.join(objections(target, v, signatures[v.variant]))}"
        for v in evidence.variants
    ]
    return "; ".join(reasons) or "no variant was built"


def objections(
    target: Target, one: VariantEvidence, signatures: tuple[Signature, ...]
) -> tuple[str, ...]:
    """Why a target does not take a variant; nothing where it does."""
    return tuple(_objections(target, one, signatures))


def _objections(
    target: Target, one: VariantEvidence, signatures: tuple[Signature, ...]
) -> Iterator[str]:
    if one.precision not in target.precisions:
        yield f"precision is {one.precision}, not {_either(target.precisions)}"
    inputs = tuple(tensor for signature in signatures for tensor in signature.inputs)
    outputs = tuple(tensor for signature in signatures for tensor in signature.outputs)
    yield from _dtype_objections("input", inputs, target.input_dtypes)
    yield from _dtype_objections("output", outputs, target.output_dtypes)
    if target.max_size_bytes is not None and one.size_bytes > target.max_size_bytes:
        yield f"{one.size_bytes} bytes are more than {target.max_size_bytes}"
    yield from _release_objections(target, one)


def _release_objections(target: Target, one: VariantEvidence) -> Iterator[str]:
    """Operators that the least release of the target's runtime does not know."""
    need = target.runtime
    if need is None or not need.least_version:
        return
    numbering = ARTIFACTS.get(need.artifact)
    for least in one.least_releases:
        if least.numbering != numbering or least.or_earlier:
            continue
        operators = " and ".join(least.operators)
        if least.release is None:
            yield f"no {need.artifact} that was tried has {operators}"
        elif Version(least.release) > Version(need.least_version):
            yield (
                f"{operators} is new in {need.artifact} {least.release}, and devices may have "
                f"{need.least_version}; without it {least.without} would do"
            )


def _dtype_objections(
    kind: str, tensors: tuple[Tensor, ...], accepted: tuple[str, ...]
) -> Iterator[str]:
    for tensor in tensors:
        if accepted and tensor.dtype not in accepted:
            yield f"{kind} {tensor.name!r} is {tensor.dtype}, not {_either(accepted)}"


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)
