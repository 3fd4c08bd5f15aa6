"""Checks of every variant against what an app expects of its signatures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.contract import breaches, speaks_for
from edgepack.gate.variants import fact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.contract import Contract
    from edgepack.records.tensors import Signature
    from edgepack.records.verdict import Check


def contract_checks(
    contract: Contract, signatures: Mapping[str, tuple[Signature, ...]]
) -> Iterator[Check]:
    """One check for each variant that the contract speaks for; a failure names each breach."""
    for variant, found in signatures.items():
        if speaks_for(contract, variant):
            broken = breaches(contract, found)
            yield fact(variant, "contract", "; ".join(broken) or "kept", ok=not broken)
