"""The verdict on a build: every check in the order that a reader asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.gate.baseline import baseline_checks
from edgepack.gate.contract import contract_checks
from edgepack.gate.source import source_checks
from edgepack.gate.targets import target_checks
from edgepack.gate.variants import built_checks, fact, variant_checks
from edgepack.records.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edgepack.records.contract import Contract
    from edgepack.records.evidence import Evidence
    from edgepack.records.facts import TFLiteFacts
    from edgepack.records.settings import Settings
    from edgepack.records.target import Target
    from edgepack.records.verdict import Check

# What was asked for. Health of outputs is looked at always, and alone makes no gate.
ASKED = {
    "max_accuracy_drop",
    "min_accuracy",
    "min_agreement",
    "max_latency_ratio",
    "max_size_bytes",
    "max_size_ratio",
    "expected_accuracy",
    "contract",
}


def judge(  # noqa: PLR0913 - what was measured, and every kind of thing that was asked
    evidence: Evidence,
    settings: Settings,
    targets: tuple[Target, ...],
    files: Mapping[str, TFLiteFacts],
    *,
    contract: Contract | None = None,
    strict: bool = False,
) -> Verdict:
    """Hold what was measured against what was asked.

    A value over its budget fails. One within it whose interval reaches over it is inconclusive,
    and fails only when `strict`. What was asked for and could not be measured never passes.

    Args:
        evidence: what was measured.
        settings: variants, budgets, expected accuracy.
        targets: profiles that must find a variant for them.
        files: what is in the .tflite file of each built variant.
        contract: what an app expects of the signatures.
        strict: whether inconclusive checks fail the build.
    """
    signatures = {variant: facts.signatures for variant, facts in files.items()}
    found = [
        *_checks(evidence, settings),
        *target_checks(targets, evidence, files),
        *(contract_checks(contract, signatures) if contract else ()),
    ]
    checks = (*found, *_overall(evidence, found))
    failing = {"fail", "inconclusive"} if strict else {"fail"}
    passed = not any(check.outcome in failing for check in checks)
    return Verdict(passed=passed, strict=strict, checks=checks)


def _checks(evidence: Evidence, settings: Settings) -> Iterator[Check]:
    yield from source_checks(evidence.source, settings.model)
    yield from built_checks(evidence, settings)
    yield from _variant_checks(evidence, settings)


def _overall(evidence: Evidence, found: list[Check]) -> Iterator[Check]:
    if not evidence.variants:
        yield fact("build", "any_variant", "no variant was built", ok=False)
    if not any(check.name in ASKED for check in found):
        hint = "set a limit under budgets.all, such as max_accuracy_drop"
        yield fact("build", "any_budget", "nothing was checked", ok=False, more=hint)


def _variant_checks(evidence: Evidence, settings: Settings) -> Iterator[Check]:
    old = {one.variant: one for one in evidence.baseline}
    for one in evidence.variants:
        yield from variant_checks(one, evidence, settings.budgets.of(one.variant))
        if one.variant in old:
            yield from baseline_checks(old[one.variant], one, settings.budgets.baseline)
